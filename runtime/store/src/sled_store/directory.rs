//! What a store's directory holds, and how it is opened.
//!
//! | name | is |
//! |---|---|
//! | `lock` | who has it open, see [`super::lock`] |
//! | `format` | the format number, as text: read before anything else |
//! | `sled/` | sled's files |
//! | `blobs/` | large values, see [`super::blobs`] |
//! | `head` | how many writes were acknowledged, see [`super::head`] |
//!
//! `format` is written last when a store is created. So where it is there, the tree must hold its
//! format record too: a tree without one was emptied or cut, and is not taken for a new store.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::blobs::{self, Blobs, sync_dir};
use super::head::Head;
use super::lock::DirectoryLock;
use super::{SledEngine, guarded, io_error};
use crate::record::{self, Format};
use crate::{Changes, Engine, Error, clock, keys};

/// The format that this version writes, and the newest it understands.
pub(super) const FORMAT_NUMBER: u32 = 1;

/// What sled may keep in memory.
const CACHE_BYTES: u64 = 64 << 20;

/// How long to wait for a sled that was just closed in this process to let go of its file: its
/// threads outlive it for a moment.
const RELEASE_SECONDS_MAX: u64 = 5;

/// Opens the store of a directory.
pub(super) fn open(dir: &Path) -> Result<SledEngine, Error> {
    create_private(dir)?;
    let lock = DirectoryLock::take(dir)?;
    let is_created = read_format(dir)?.is_some();
    let sled_dir = dir.join("sled");
    if is_created && !sled_dir.join("db").exists() {
        return Err(damaged_tree("`db` is missing"));
    }
    heal(&sled_dir)?;
    let tree = open_sled(&sled_dir)?;
    let db_file = sled_dir.join("db");
    let data_file = File::open(&db_file).map_err(io_error("open", &db_file))?;
    let blobs = Blobs::in_dir(dir.join("blobs"));
    let n_writes = n_writes_in(&tree, &sled_dir)?;
    let head = Head::open(dir)?;
    head.check(n_writes)?;
    let n_writes = n_writes.into();
    let engine = SledEngine { tree, data_file, blobs, n_writes, head, sled_dir, _lock: lock };
    check_format_record(&engine, is_created)?;
    sync_all(dir, &engine)?;
    if !is_created {
        write_format(dir)?;
    }
    Ok(engine)
}

/// Creates the directory where it is missing. It holds what users gave and got, so it is its owner's
/// alone, also where someone created it before.
fn create_private(dir: &Path) -> Result<(), Error> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(dir).map_err(io_error("create", dir))?;
    let private = Permissions::from_mode(0o700);
    fs::set_permissions(dir, private).map_err(io_error("make private", dir))
}

/// The number in `format`; None where the store was never completely created.
fn read_format(dir: &Path) -> Result<Option<u32>, Error> {
    let path = dir.join("format");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", &path)(error)),
    };
    let Ok(found) = text.trim().parse() else {
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

/// Removes what a kill inside an earlier open, or a full disk, left behind: sled would take a half
/// written snapshot for a whole one and refuse to open.
fn heal(sled_dir: &Path) -> Result<(), Error> {
    let entries = match fs::read_dir(sled_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error("list", sled_dir)(error)),
    };
    for entry in entries {
        let path = entry.map_err(io_error("list", sled_dir))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::info!(path = %path.display(), "removing a half written snapshot");
            fs::remove_file(&path).map_err(io_error("remove", &path))?;
        }
    }
    Ok(())
}

fn open_sled(sled_dir: &Path) -> Result<sled::Db, Error> {
    let config = sled::Config::new().path(sled_dir).cache_capacity(CACHE_BYTES);
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

/// How many writes the tree has come to.
fn n_writes_in(tree: &sled::Db, sled_dir: &Path) -> Result<u64, Error> {
    let record = || keys::describe(keys::N_WRITES);
    match guarded("read", sled_dir, record, || tree.get(keys::N_WRITES))?.as_deref() {
        None => Ok(0),
        Some(bytes) => match bytes.try_into() {
            Ok(bytes) => Ok(u64::from_be_bytes(bytes)),
            Err(_) => Err(Error::Damaged { record: record(), reason: "it is cut off".into() }),
        },
    }
}

fn check_format_record(engine: &SledEngine, is_created: bool) -> Result<(), Error> {
    match engine.get(keys::FORMAT)? {
        Some(bytes) => record::decode::<Format>(keys::FORMAT, &bytes).map(drop),
        None if is_created => {
            Err(damaged_tree("it lacks its format record: it was emptied or cut"))
        }
        None => {
            let format = Format { number: FORMAT_NUMBER, created_at: clock::now() };
            let value = record::encode(keys::FORMAT, &format);
            engine.apply(Changes::from([(keys::FORMAT.to_vec(), Some(value))]))
        }
    }
}

/// Makes durable what sled wrote while it opened and never syncs itself.
fn sync_all(dir: &Path, engine: &SledEngine) -> Result<(), Error> {
    engine.sync()?;
    engine.head.sync()?;
    let conf: PathBuf = engine.sled_dir.join("conf");
    File::open(&conf).and_then(|conf| conf.sync_all()).map_err(io_error("sync", &conf))?;
    sync_dir(&engine.sled_dir)?;
    let blobs_dir = dir.join("blobs");
    fs::create_dir_all(&blobs_dir).map_err(io_error("create", &blobs_dir))?;
    sync_dir(&blobs_dir)?;
    sync_dir(dir)?;
    // The directory itself may be new. Its parent may be closed to us, and then was there before us.
    let parent = dir.canonicalize().ok().and_then(|dir| dir.parent().map(Path::to_owned));
    parent.map_or(Ok(()), |parent| sync_dir(&parent).or(Ok(())))
}

fn damaged_tree(reason: &str) -> Error {
    Error::Damaged { record: "the tree".into(), reason: reason.into() }
}
