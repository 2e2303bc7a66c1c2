//! Damaged directories: nothing panics, nothing is lost without a word.
//!
//! Each round damages a copy of a directory in one place and opens it. What then reads must be what
//! was written; what was acknowledged and is not there must be told of, when the store is opened or
//! when it is read. `HERO_SEED` repeats a run, `HERO_TORTURE=1` makes it long.

mod lane;
mod samples;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hero_store::{Error, SledStore, Store, doctor};
use lane::content::{Content, Verdict};
use lane::{Random, copy, files_under, rounds};
use tempfile::TempDir;

const N_PLAYS: usize = 60;

/// How long opening and reading may take before it counts as hanging.
const ROUND_SECONDS_MAX: u64 = 60;

/// A directory to be damaged, and what was acknowledged in it.
struct Prepared {
    name: &'static str,
    dir: TempDir,
    content: Content,
}

/// The same content as a program that was killed leaves it, as one that was stopped does, and opened
/// again in between.
async fn prepared() -> Vec<Prepared> {
    let mut content = Content::default();
    let dir = directory();
    let store = SledStore::open(dir.path()).expect("a new store opens");
    content.fill(&store, N_PLAYS).await;
    let killed = directory();
    copy(dir.path(), killed.path());
    let killed_content = content.clone();
    store.close().await.expect("it closes");
    let closed = directory();
    copy(dir.path(), closed.path());
    let closed_content = content.clone();

    let store = SledStore::open(dir.path()).expect("it opens again");
    for (number, mut play) in content.plays.clone().into_values().enumerate().take(20) {
        play.revision += 1;
        play.name = format!("renamed {number}");
        content.commit(&store, vec![hero_store::Write::Play(Box::new(play))]).await;
    }
    let reopened = directory();
    copy(dir.path(), reopened.path());
    // Packed, and with something on top of it.
    let working = directory();
    copy(reopened.path(), working.path());
    let store = SledStore::open(working.path()).expect("it opens again");
    store.compact().expect("it compacts");
    let mut packed_content = content.clone();
    for (number, mut play) in packed_content.plays.clone().into_values().enumerate().skip(30) {
        play.revision += 1;
        play.name = format!("renamed {number} again");
        packed_content.commit(&store, vec![hero_store::Write::Play(Box::new(play))]).await;
    }
    let packed = directory();
    copy(working.path(), packed.path());
    vec![
        Prepared { name: "killed", dir: killed, content: killed_content },
        Prepared { name: "closed", dir: closed, content: closed_content },
        Prepared { name: "killed after it was opened again", dir: reopened, content },
        Prepared { name: "packed", dir: packed, content: packed_content },
    ]
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory for the test")
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    FlipBit,
    ZeroPage,
    GarbagePage,
    Truncate,
    CopyPageOverAnother,
    DeleteFile,
    EmptyFile,
}

const DAMAGES: [Damage; 7] = [
    Damage::FlipBit,
    Damage::ZeroPage,
    Damage::GarbagePage,
    Damage::Truncate,
    Damage::CopyPageOverAnother,
    Damage::DeleteFile,
    Damage::EmptyFile,
];

impl Damage {
    /// Does it, and says what was done.
    fn inflict(self, dir: &Path, random: &mut Random) -> String {
        let file = self.target(dir, random);
        let name = file.strip_prefix(dir).unwrap_or(&file).display().to_string();
        let n_used = used_bytes(&file);
        let at = random.below(n_used.max(1));
        let page = at / 4096 * 4096;
        match self {
            Self::FlipBit => {
                let bit = 1 << random.below(8);
                overwrite(&file, at, 1, |byte| byte ^ bit);
            }
            Self::ZeroPage => overwrite(&file, page, 4096, |_| 0),
            Self::GarbagePage => overwrite(&file, page, 4096, |_| random.next() as u8),
            Self::Truncate => {
                let opened = File::options().write(true).open(&file).expect("writable");
                opened.set_len(at as u64).expect("writable");
            }
            Self::CopyPageOverAnother => {
                let content = fs::read(&file).expect("readable");
                let from = random.below(n_used.max(1)) / 4096 * 4096;
                let mut bytes = content[from..].iter().take(4096).copied().cycle();
                overwrite(&file, page, 4096, |byte| bytes.next().unwrap_or(byte));
            }
            Self::DeleteFile => fs::remove_file(&file).expect("removable"),
            Self::EmptyFile => fs::write(&file, "").expect("writable"),
        }
        format!("{self:?} in `{name}` at {at} of {n_used}")
    }

    /// The log mostly, or the pack below it; now and then any other.
    fn target(self, dir: &Path, random: &mut Random) -> PathBuf {
        let files = files_under(dir);
        let packs = files_under(&dir.join("packs"));
        match random.below(6) {
            0 | 1 => random.one_of(&files).clone(),
            2..4 if !packs.is_empty() => random.one_of(&packs).clone(),
            _ => dir.join("sled/log"),
        }
    }
}

/// Where the last byte of a file is that is not 0: a log is longer than what stands in it.
fn used_bytes(file: &Path) -> usize {
    let content = fs::read(file).expect("readable");
    content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

fn overwrite(file: &Path, at: usize, length: usize, mut change: impl FnMut(u8) -> u8) {
    let opened = File::options().read(true).write(true).open(file).expect("writable");
    let mut bytes = vec![0; length];
    let n_read = opened.read_at(&mut bytes, at as u64).expect("readable");
    bytes.truncate(n_read);
    for byte in &mut bytes {
        *byte = change(*byte);
    }
    opened.write_all_at(&bytes, at as u64).expect("writable");
}

/// Lets the doctor look at a damaged directory and repair it. Whatever is found lost when it is opened
/// must be found here; what is repaired opens, is whole, and holds nothing that was not written.
async fn treat(dir: &Path, content: &Content, fate: &Fate) {
    let before = contents_of(dir);
    let report = match doctor::examine(dir) {
        Ok(report) => report,
        Err(Error::Format { .. }) => return,
        Err(other) => panic!("no diagnosis: {other}"),
    };
    assert!(before == contents_of(dir), "the doctor has changed something");
    assert!(*fate == Fate::Whole || report.needs_repair(), "{fate:?}, and yet:\n{report}");
    let report = doctor::repair(dir).expect("it repairs");
    let Some(repaired) = &report.repaired else { return };
    assert!(contents_of(&repaired.old) == before || fate == &Fate::Whole, "the old one is kept");
    let after = doctor::examine(dir).expect("it reads");
    assert!(!after.needs_repair(), "{after}");
    let store = SledStore::open(dir).expect("what is repaired opens");
    let n_kept = content.check_repaired(&store, &repaired.quarantined).await;
    assert_eq!(n_kept, repaired.n_kept, "{report}");
    for play in &repaired.quarantined {
        let file = repaired.quarantine.join(format!("{play}.jsonl"));
        assert!(fs::read_to_string(file).expect("it is there").contains("quarantined"));
    }
    store.close().await.expect("it closes");
}

/// Every file's content; but not who had it open last.
fn contents_of(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = files_under(dir).into_iter().filter(|file| !file.ends_with("lock"));
    let content = |file: &PathBuf| fs::read(file).expect("readable");
    files
        .map(|file| (file.strip_prefix(dir).expect("under it").to_owned(), content(&file)))
        .collect()
}

/// What became of a damaged directory.
#[derive(Debug, PartialEq)]
enum Fate {
    Whole,
    Refused,
    ToldOf,
}

/// Opens a directory and holds it against what was acknowledged.
async fn examine(dir: &Path, content: &Content) -> Fate {
    let store = match SledStore::open(dir) {
        Ok(store) => store,
        Err(error @ Error::DamagedStore { .. }) => {
            let text = error.to_string();
            assert!(text.contains(&*dir.to_string_lossy()), "{text}");
            assert!(text.contains("`hero_logic doctor --repair`"), "{text}");
            return Fate::Refused;
        }
        // A flip in `format` may make another number of it.
        Err(Error::Format { .. }) => return Fate::Refused,
        Err(other) => panic!("refused otherwise: {other}"),
    };
    let Verdict { n_reported } = content.check(&store).await;
    if n_reported == 0 { Fate::Whole } else { Fate::ToldOf }
}

/// The same, and it must come to an end.
async fn examine_in_time(dir: &Path, content: &Content) -> Fate {
    let (dir, content) = (dir.to_owned(), content.clone());
    let runtime = tokio::runtime::Handle::current();
    let examining = tokio::task::spawn_blocking(move || runtime.block_on(examine(&dir, &content)));
    let limit = Duration::from_secs(ROUND_SECONDS_MAX);
    let ended = tokio::time::timeout(limit, examining).await.expect("it comes to an end");
    ended.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_damage_makes_a_store_panic_or_forget_without_a_word() {
    lane::silence_sled();
    let mut random = Random::seeded();
    let prepared = prepared().await;
    for whole in &prepared {
        let dir = directory();
        copy(whole.dir.path(), dir.path());
        assert_eq!(
            examine_in_time(dir.path(), &whole.content).await,
            Fate::Whole,
            "{}",
            whole.name
        );
    }
    let (mut n_refused, mut n_told) = (0, 0);
    for round in 0..rounds(120, 5000) {
        let Prepared { name, dir: pristine, content } = &prepared[round % prepared.len()];
        let dir = directory();
        copy(pristine.path(), dir.path());
        let damage = DAMAGES[round / prepared.len() % DAMAGES.len()];
        let done = damage.inflict(dir.path(), &mut random);
        eprintln!("round {round}, {name}: {done}");
        let doctored = directory();
        let doctored = doctored.path().join("store");
        copy(dir.path(), &doctored);
        let fate = examine_in_time(dir.path(), content).await;
        if round % 5 == 0 || lane::is_torture() {
            treat(&doctored, content, &fate).await;
        }
        match fate {
            Fate::Whole => {}
            Fate::Refused => n_refused += 1,
            Fate::ToldOf => n_told += 1,
        }
    }
    eprintln!("{n_refused} refused, {n_told} told of");
    assert!(
        n_refused > 10 && n_told > 5,
        "{n_refused} refused, {n_told} told of: too few had an effect"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_is_told_of_at_every_byte() {
    lane::silence_sled();
    let prepared = prepared().await;
    let Prepared { dir: pristine, content, .. } = &prepared[0];
    let n_used = used_bytes(&pristine.path().join("sled/log"));
    let step = if lane::is_torture() { 1 } else { 64 };
    let mut n_refused = 0;
    for cut in (n_used - 4096..=n_used).rev().step_by(step) {
        let dir = directory();
        copy(pristine.path(), dir.path());
        let log = File::options().write(true).open(dir.path().join("sled/log")).expect("writable");
        log.set_len(cut as u64).expect("writable");
        let fate = examine_in_time(dir.path(), content).await;
        n_refused += usize::from(fate == Fate::Refused);
    }
    assert!(n_refused > 40, "{n_refused} of the cuts were told of");
}
