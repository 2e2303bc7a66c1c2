//! What a store's directory holds, and how it is opened.
//!
//! | name | is |
//! |---|---|
//! | `lock` | who has it open, see [`super::lock`] |
//! | `format` | the format number, as text: read before anything else |
//! | `sled/log` | what was written lately, see [`super::wal`] |
//! | `sled/tree/` | sled's files: the same, to be read; made anew at every opening |
//! | `packs/` | what is older, see [`super::pack`]; the sums in the log name the one that counts |
//! | `sled.next/` | what is to take the place of `sled/`, see [`super::compaction`], or took it |
//! | `blobs/` | large values, see [`super::blobs`] |
//! | `head` | how many writes were acknowledged, see [`super::head`] |
//!
//! `format` is written last when a store is created. So where it is there, the tree must hold its
//! format record too: a tree without one was emptied or cut, and is not taken for a new store.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use super::blobs::{self, BlobName, Blobs, sync_dir};
use super::guarded::guarded;
use super::head::Head;
use super::layers::Layers;
use super::lock::DirectoryLock;
use super::pack::Pack;
use super::recovery::{self, Recovered};
use super::sums::Sums;
use super::{Core, SledEngine, State, compaction, io_error, space};
use crate::record::{self, Format};
use crate::{Changes, Engine, Error, clock, keys, migration};

/// The format that this version writes, and the newest it understands.
pub(super) const FORMAT_NUMBER: u32 = 5;

/// What sled may keep in memory. It divides this by 256, and a page of the largest values must fit.
const CACHE_BYTES: u64 = 16 << 20;

/// How long to wait for a sled that was just closed in this process to let go of its file: its
/// threads outlive it for a moment.
const RELEASE_SECONDS_MAX: u64 = 5;

/// What sled writes into `conf` for the configuration it is given here.
const SLED_CONF: &[u8] = b"segment_size: 524288\nuse_compression: false\nversion: 0.34\n";

/// Opens the store of a directory.
pub(super) fn open(dir: &Path) -> Result<SledEngine, Error> {
    try_open(dir).map_err(|error| match error {
        Error::Damaged { record, reason } => {
            Error::DamagedStore { dir: dir.to_owned(), reason: format!("{record}: {reason}") }
        }
        other => other,
    })
}

fn try_open(dir: &Path) -> Result<SledEngine, Error> {
    create_private(dir)?;
    let lock = DirectoryLock::take(dir)?;
    let format = read_format(dir)?;
    space::check(dir, space::TO_OPEN)?;
    let sled_dir = dir.join("sled");
    compaction::clean_up(dir)?;
    let head = Head::open(dir)?;
    let Recovered { tree, log, recent, sums } = recovery::recover(&sled_dir, format, &head)?;
    let layers = Layers::over(checked_pack(dir, sums.whole.pack)?, tree, log, recent, &sled_dir)?;
    let state = State { sums, changed: None, last_change: None, stopped: None };
    let core = Core {
        layers: RwLock::new(Arc::new(layers)),
        writing: RwLock::default(),
        state: state.into(),
        blobs: Blobs::in_dir(dir.join("blobs")),
        head,
        dir: dir.to_owned(),
        _lock: lock,
    };
    check_format_record(&core, format.is_some())?;
    sync_all(dir, &core)?;
    sweep(&core)?;
    if format == Some(FORMAT_NUMBER) {
        recovery::remove_old_tree(&sled_dir)?;
    }
    let engine = SledEngine::over(core)?;
    if format.is_some_and(|format| format < 4) {
        migration::to_format_4(&engine)?;
        engine.sync()?;
    }
    if format != Some(FORMAT_NUMBER) {
        write_format(dir)?;
    }
    Ok(engine)
}

/// Creates the directory where it is missing. It holds what users gave and got, so it is its owner's
/// alone, also where someone created it before.
pub(super) fn create_private(dir: &Path) -> Result<(), Error> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(dir).map_err(io_error("create", dir))?;
    let private = Permissions::from_mode(0o700);
    fs::set_permissions(dir, private).map_err(io_error("make private", dir))
}

/// The number in `format`; None where the store was never completely created.
pub(super) fn read_format(dir: &Path) -> Result<Option<u32>, Error> {
    let path = dir.join("format");
    let content = match fs::read(&path) {
        Ok(content) => content,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", &path)(error)),
    };
    let Ok(found) = String::from_utf8_lossy(&content).trim().parse() else {
        let record = format!("`{}`", path.display());
        return Err(Error::Damaged { record, reason: "it holds no number".into() });
    };
    if found > FORMAT_NUMBER {
        return Err(Error::Format { dir: dir.to_owned(), found, known: FORMAT_NUMBER });
    }
    Ok(Some(found))
}

fn write_format(dir: &Path) -> Result<(), Error> {
    let path = dir.join("format");
    blobs::write_whole(&path, format!("{FORMAT_NUMBER}\n").as_bytes())
        .map_err(io_error("write", &path))?;
    sync_dir(dir)
}

/// Refuses a directory that is not there or that a newer version wrote.
pub(super) fn check_format(dir: &Path) -> Result<(), Error> {
    fs::metadata(dir).map_err(io_error("read", dir))?;
    match read_format(dir) {
        Ok(_) | Err(Error::Damaged { .. }) => Ok(()),
        Err(other) => Err(other),
    }
}

/// Removes what keeps sled from opening and what it can do without.
pub(super) fn heal(sled_dir: &Path) -> Result<(), Error> {
    for path in in_sleds_way(sled_dir)? {
        tracing::warn!(path = %path.display(), "removing a damaged file that sled makes anew");
        fs::remove_file(&path).map_err(io_error("remove", &path))?;
    }
    Ok(())
}

/// What keeps sled from opening and what it can do without: snapshots that a kill inside an earlier
/// open or a full disk left half written, snapshots that are damaged (sled makes another one of its
/// log), and a `conf` that is not what it would write anew.
fn in_sleds_way(sled_dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for path in blobs::names_in(sled_dir)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_in_the_way = match &*name {
            "conf" => !reads_as(&path, is_sleds_conf)?,
            name if name.ends_with(".generating") => true,
            name if name.starts_with("snap.") => !reads_as(&path, is_whole_snapshot)?,
            _ => false,
        };
        if is_in_the_way {
            found.push(path);
        }
    }
    Ok(found)
}

fn reads_as(path: &Path, is_right: impl FnOnce(&[u8]) -> bool) -> Result<bool, Error> {
    fs::read(path).map(|content| is_right(&content)).map_err(io_error("read", path))
}

/// Whether this is what sled would write: the text and its checksum.
fn is_sleds_conf(content: &[u8]) -> bool {
    let checksum = crc32fast::hash(SLED_CONF).to_le_bytes();
    content.strip_prefix(SLED_CONF) == Some(checksum.as_slice())
}

/// Whether a snapshot ends with its length and checksum.
fn is_whole_snapshot(content: &[u8]) -> bool {
    let Some((rest, checksum)) = content.split_last_chunk() else { return false };
    let Some((body, length)) = rest.split_last_chunk() else { return false };
    body.len() as u64 == u64::from_le_bytes(*length)
        && crc32fast::hash(body) == u32::from_le_bytes(*checksum)
}

pub(super) fn open_sled(sled_dir: &Path) -> Result<sled::Db, Error> {
    let config =
        sled::Config::new().path(sled_dir).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    let waiting_ends = Instant::now() + Duration::from_secs(RELEASE_SECONDS_MAX);
    loop {
        match guarded("open", sled_dir, || "the tree".into(), || config.open()) {
            Err(Error::Io { source, .. })
                if is_locked(&source) && Instant::now() < waiting_ends =>
            {
                thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

/// Whether sled's own lock is in the way. Ours is held, so it can only be that of a sled on its way
/// out.
fn is_locked(error: &std::io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

/// The pack of this number. What lists hang on is read at once, the rest when it is needed.
fn checked_pack(dir: &Path, number: u64) -> Result<Option<Pack>, Error> {
    if number == 0 {
        return Ok(None);
    }
    let pack = Pack::open(&compaction::packs_dir(dir), number)?;
    for keys in keys::summed().iter().filter(|keys| !keys::is_of_plays(&keys.start)) {
        pack.check(keys)?;
    }
    Ok(Some(pack))
}

/// Removes what a crash left before anything named it.
fn sweep(core: &Core) -> Result<(), Error> {
    let Sums { n_blobs, whole, .. } = core.state().sums;
    compaction::remove_packs(&core.dir, |number| number != whole.pack)?;
    let files = core.blobs.files()?;
    if files.len() as u64 > n_blobs {
        let mut names = HashSet::new();
        core.layers().each_pair(|_, packed| {
            names.extend(BlobName::of(packed));
            Ok(())
        })?;
        Blobs::sweep(blobs::unnamed(files, &names));
    }
    Ok(())
}

fn check_format_record(core: &Core, is_created: bool) -> Result<(), Error> {
    match core.get(keys::FORMAT)? {
        Some(bytes) => record::decode::<Format>(keys::FORMAT, &bytes).map(drop),
        None if is_created => {
            Err(damaged_tree("it lacks its format record: it was emptied or cut"))
        }
        None => {
            let format = Format { number: FORMAT_NUMBER, created_at: clock::now() };
            let value = record::encode(keys::FORMAT, &format);
            core.commit(Changes::from([(keys::FORMAT.to_vec(), Some(value))]), false, &mut || {})
        }
    }
}

/// Makes durable what opening made: first the names, so that no count of writes outlives the file that
/// they are in.
fn sync_all(dir: &Path, core: &Core) -> Result<(), Error> {
    sync_dir(&dir.join("sled"))?;
    for inner in [dir.join("blobs"), compaction::packs_dir(dir)] {
        fs::create_dir_all(&inner).map_err(io_error("create", &inner))?;
        sync_dir(&inner)?;
    }
    sync_dir(dir)?;
    // The directory itself may be new. Its parent may be closed to us, and then was there before us.
    let parent = dir.canonicalize().ok().and_then(|dir| dir.parent().map(Path::to_owned));
    parent.map_or(Ok(()), |parent| sync_dir(&parent).or(Ok(())))?;
    core.commit(Changes::new(), true, &mut || {})?;
    core.head.sync()
}

pub(super) fn damaged_tree(reason: &str) -> Error {
    Error::Damaged { record: "the tree".into(), reason: reason.into() }
}
