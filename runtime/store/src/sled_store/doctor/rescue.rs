//! Writes what is readable to a new store and puts it in the place of the old one.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use hero_schema::{
    Firing, LogLine, NumberedVersion, OutcomeRecord, PlayRecord, PlaySid, ReplayedSpans,
    ResumeRequest, Retention, Schedule, Span, Workflow, WorkflowChange, WorkflowVersion,
};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::Serialize;
use serde_json::value::RawValue;

use super::super::blobs::sync_dir;
use super::super::{SledEngine, directory, io_error, space};
use super::diagnosis::Diagnosis;
use super::report::Repaired;
use crate::plan::{Group, KnownPlays};
use crate::{Batch, Engine, Error, Write, keys};

/// Stands in a new store until it is whole.
const UNFINISHED: &str = "unfinished";

const QUARANTINE: &str = "quarantine";

/// Replaces a damaged store by a new one.
pub(super) fn replace(dir: &Path, diagnosis: &Diagnosis) -> Result<Repaired, Error> {
    let fresh = beside(dir, "repairing");
    put_away(dir, &fresh)?;
    let report = diagnosis.report(dir);
    space::check_for(dir, report.tree_bytes + report.blob_bytes)?;
    write_new(dir, &fresh, diagnosis)?;
    let parent = dir.parent().unwrap_or(Path::new("/"));
    sync_dir(parent)?;
    // Both at once: at no moment is there no store, which a server would take for a new one.
    renameat_with(CWD, &fresh, CWD, dir, RenameFlags::EXCHANGE)
        .map_err(|error| io_error("put the repaired store in the place of", dir)(error.into()))?;
    sync_dir(parent)?;
    let old = keep(dir, &fresh)?;
    let quarantined: Vec<_> = diagnosis.lost_plays().cloned().collect();
    let n_kept = diagnosis.plays.len() - quarantined.len();
    Ok(Repaired { n_kept, quarantined, quarantine: dir.join(QUARANTINE), old })
}

/// `<name>.<what>` beside a directory.
fn beside(dir: &Path, what: &str) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}"));
    dir.with_file_name(name)
}

/// Puts away what an earlier repair left when it crashed: half of a new store, or the whole old one.
fn put_away(dir: &Path, fresh: &Path) -> Result<(), Error> {
    if fresh.join(UNFINISHED).exists() {
        return fs::remove_dir_all(fresh).map_err(io_error("remove", fresh));
    }
    if fresh.exists() { keep(dir, fresh).map(drop) } else { Ok(()) }
}

/// Names a directory `<name>.damaged-<n>`, and says so.
fn keep(dir: &Path, damaged: &Path) -> Result<PathBuf, Error> {
    let names = (1..).map(|n| beside(dir, &format!("damaged-{n}")));
    let kept = names.into_iter().find(|path| !path.exists()).expect("numbers do not end");
    fs::rename(damaged, &kept).map_err(io_error("rename", damaged))?;
    sync_dir(dir.parent().unwrap_or(Path::new("/")))?;
    Ok(kept)
}

fn write_new(dir: &Path, fresh: &Path, diagnosis: &Diagnosis) -> Result<(), Error> {
    directory::create_private(fresh)?;
    let unfinished = fresh.join(UNFINISHED);
    File::create(&unfinished).map_err(io_error("create", &unfinished))?;
    sync_dir(fresh)?;
    let engine = directory::open(fresh)?;
    let mut saving = Saving { engine: &engine, known: KnownPlays::default() };
    saving.save_workflows(diagnosis)?;
    saving.save_schedules(diagnosis)?;
    for (play, reasons) in &diagnosis.plays {
        if reasons.is_empty() {
            saving.save_play(diagnosis, play)?;
        }
    }
    engine.sync()?;
    drop(engine);
    quarantine(dir, fresh, diagnosis)?;
    fs::remove_file(&unfinished).map_err(io_error("remove", &unfinished))?;
    sync_dir(fresh)
}

/// A new store that is being filled.
struct Saving<'a> {
    engine: &'a SledEngine,
    known: KnownPlays,
}

impl Saving<'_> {
    fn save(&mut self, writes: Vec<Write>) -> Result<(), Error> {
        let batch = Batch { fence: None, writes };
        let mut group = Group::new(self.engine, &mut self.known);
        group.add(&batch)?;
        self.engine.apply(group.into_changes())
    }

    fn save_workflows(&mut self, diagnosis: &Diagnosis) -> Result<(), Error> {
        for (_, version) in diagnosis.records::<WorkflowVersion>(b"v") {
            self.save(
                version.ok().map(|version| Write::Version(Box::new(version))).into_iter().collect(),
            )?;
        }
        for (_, workflow) in diagnosis.records::<Workflow>(b"w") {
            let Ok(workflow) = workflow else { continue };
            let sid = &workflow.sid;
            let versions = diagnosis.records::<NumberedVersion>(&keys::numbered_versions(sid));
            let changes = diagnosis.records::<WorkflowChange>(&keys::workflow_changes(sid));
            let versions = versions
                .filter_map(|(_, read)| Some(Write::NumberedVersion(sid.clone(), read.ok()?)));
            let changes = changes
                .filter_map(|(_, read)| Some(Write::WorkflowChange(sid.clone(), read.ok()?)));
            let mut writes: Vec<_> = versions.chain(changes).collect();
            writes.push(Write::Workflow(Box::new(workflow)));
            self.save(writes)?;
        }
        for (_, retention) in diagnosis.records::<Retention>(&keys::retentions()) {
            self.save(retention.ok().map(Write::Retention).into_iter().collect())?;
        }
        Ok(())
    }

    /// A schedule whose own record is lost takes its history along.
    fn save_schedules(&mut self, diagnosis: &Diagnosis) -> Result<(), Error> {
        let mut kept = HashSet::new();
        let schedules = diagnosis.records::<Schedule>(b"c").filter_map(|(_, read)| read.ok());
        for schedule in schedules {
            kept.insert(schedule.sid.clone());
            // It begins anew as what it is.
            let schedule = Schedule { revision: 0, ..schedule };
            self.save(vec![Write::Schedule(Box::new(schedule))])?;
        }
        let firings = diagnosis.records::<Firing>(b"e").filter_map(|(_, read)| read.ok());
        for firing in firings.filter(|firing| kept.contains(&firing.schedule_sid)) {
            self.save(vec![Write::Firing(Box::new(firing))])?;
        }
        Ok(())
    }

    fn save_play(&mut self, diagnosis: &Diagnosis, sid: &PlaySid) -> Result<(), Error> {
        let play: Option<PlayRecord> = diagnosis.record(&keys::play(sid))?;
        let mut writes: Vec<_> = play.map(|play| Write::Play(Box::new(play))).into_iter().collect();
        for (_, outcome) in diagnosis.records::<OutcomeRecord>(&keys::outcomes(sid)) {
            writes.push(Write::Outcome(sid.clone(), Box::new(outcome?)));
        }
        for (_, request) in diagnosis.records::<ResumeRequest>(&keys::requests(sid)) {
            writes.push(Write::Request(sid.clone(), Box::new(request?)));
        }
        // A play can do without these.
        let spans = diagnosis.records::<Span>(&keys::spans(sid)).filter_map(|(_, span)| span.ok());
        writes.extend(spans.map(|span| Write::Span(sid.clone(), Box::new(span))));
        // Those of replayed steps stand among them, and read as nothing else.
        let replayed = diagnosis.records::<ReplayedSpans>(&keys::spans(sid));
        let replayed = replayed.filter_map(|(_, spans)| spans.ok());
        writes.extend(replayed.map(|spans| Write::Replayed(sid.clone(), Box::new(spans))));
        let lines =
            diagnosis.records::<LogLine>(&keys::logs(sid)).filter_map(|(_, line)| line.ok());
        writes.extend(lines.map(|line| Write::Log(sid.clone(), line)));
        self.save(writes)
    }
}

/// Writes the plays that are not carried over, for people, and what earlier repairs wrote so.
fn quarantine(dir: &Path, fresh: &Path, diagnosis: &Diagnosis) -> Result<(), Error> {
    let quarantine = fresh.join(QUARANTINE);
    fs::create_dir_all(&quarantine).map_err(io_error("create", &quarantine))?;
    let earlier = fs::read_dir(dir.join(QUARANTINE)).into_iter().flatten().flatten();
    for file in earlier {
        let to = quarantine.join(file.file_name());
        fs::copy(file.path(), &to).map_err(io_error("copy", &file.path()))?;
        File::open(&to).and_then(|file| file.sync_all()).map_err(io_error("sync", &to))?;
    }
    for play in diagnosis.lost_plays() {
        let names = (1..).map(|n| quarantine.join(file_name(play, n)));
        let path = names.into_iter().find(|path| !path.exists()).expect("numbers do not end");
        write_play(&path, diagnosis, play).map_err(io_error("write", &path))?;
    }
    sync_dir(&quarantine)
}

/// A file's name for a play, whose id may be any text.
fn file_name(play: &PlaySid, n: u32) -> String {
    let mut name = String::new();
    for byte in play.as_str().bytes().take(100) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte.into()),
            other => name.push_str(&format!("%{other:02X}")),
        }
    }
    if n == 1 { format!("{name}.jsonl") } else { format!("{name}.{n}.jsonl") }
}

/// The first line of such a file.
#[derive(Serialize)]
struct Heading<'a> {
    kind: &'static str,
    play: &'a PlaySid,
    reasons: &'a [String],
}

/// Any other line: one of the two is there.
#[derive(Serialize)]
struct Line {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
}

fn write_play(path: &Path, diagnosis: &Diagnosis, play: &PlaySid) -> std::io::Result<()> {
    let heading = Heading { kind: "quarantined", play, reasons: &diagnosis.plays[play] };
    let mut lines = vec![serde_json::to_string(&heading)?];
    for (kind, prefix) in [
        ("play", keys::play(play)),
        ("request", keys::requests(play)),
        ("outcome", keys::outcomes(play)),
        ("span", keys::spans(play)),
        ("log", keys::logs(play)),
    ] {
        for (_, read) in diagnosis.records::<Box<RawValue>>(&prefix) {
            let (record, damage) = match read {
                Ok(record) => (Some(record), None),
                Err(error) => (None, Some(error.to_string())),
            };
            lines.push(serde_json::to_string(&Line { kind, record, damage })?);
        }
    }
    let mut file = File::create(path)?;
    file.write_all((lines.join("\n") + "\n").as_bytes())?;
    file.sync_all()
}
