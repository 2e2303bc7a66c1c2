//! Bundles on disk: the code of a version, unpacked where an interpreter can import it.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use hero_schema::WorkflowVersion;

use crate::Error;

/// Unpacks a version into `bundles_dir/<version sid>` and returns that directory.
///
/// What is there already is compared and repaired: a crash may have left empty files, and a version
/// must never run as anything but its content.
pub(crate) fn unpack(bundles_dir: &Path, version: &WorkflowVersion) -> Result<PathBuf, Error> {
    let dir = bundles_dir.join(version.sid.as_str());
    for (path, source) in &version.bundle.files {
        let file = dir.join(relative(path)?);
        if fs::read(&file).is_ok_and(|found| found == source.as_bytes()) {
            continue;
        }
        write_whole(&file, source)?;
    }
    Ok(dir)
}

/// Refuses a path that would leave the bundle's directory.
fn relative(path: &str) -> Result<&Path, Error> {
    let relative = Path::new(path);
    if relative.components().all(|part| matches!(part, Component::Normal(_))) {
        return Ok(relative);
    }
    let source = std::io::Error::other("the path leaves the bundle");
    Err(Error::File { action: "unpack", path: relative.into(), source })
}

/// Writes beside and renames, so that a launch that reads meanwhile sees the old file or the new.
fn write_whole(file: &Path, source: &str) -> Result<(), Error> {
    // Launches of a new version may unpack it at the same time.
    static N_WRITTEN: AtomicU64 = AtomicU64::new(0);
    let number = N_WRITTEN.fetch_add(1, Ordering::Relaxed);
    let parent = file.parent().expect("a file in a directory has a parent");
    fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
    let beside = file.with_extension(format!("{}-{number}.new", std::process::id()));
    fs::write(&beside, source).map_err(Error::file("write", &beside))?;
    fs::rename(&beside, file).map_err(Error::file("rename", &beside))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hero_schema::{Bundle, FlowSignature, Timestamp, VersionSid};

    use super::*;

    fn version(files: &[(&str, &str)]) -> WorkflowVersion {
        let files: BTreeMap<_, _> =
            files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect();
        WorkflowVersion {
            sid: VersionSid::new("v1"),
            bundle: Bundle { entry: "flow.py".into(), flow: "main".into(), files },
            signature: FlowSignature::default(),
            saved: None,
            created_at: Timestamp(0),
        }
    }

    #[test]
    fn a_damaged_copy_is_repaired() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let version = version(&[("flow.py", "x = 1\n"), ("pkg/mod.py", "")]);
        let dir = unpack(root.path(), &version).expect("unpacks");
        fs::write(dir.join("flow.py"), "").expect("truncates");
        unpack(root.path(), &version).expect("unpacks again");
        assert_eq!(fs::read_to_string(dir.join("flow.py")).expect("reads"), "x = 1\n");
        assert!(dir.join("pkg/mod.py").exists());
    }

    #[test]
    fn launches_may_unpack_at_the_same_time() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let version = version(&[("flow.py", "x = 1\n"), ("pkg/mod.py", "y = 2\n")]);
        for round in 0..50 {
            let dir = root.path().join(round.to_string());
            std::thread::scope(|scope| {
                let unpackers = [(); 4].map(|()| scope.spawn(|| unpack(&dir, &version).is_ok()));
                assert!(unpackers.into_iter().all(|unpacker| unpacker.join().expect("no panic")));
            });
        }
    }

    #[test]
    fn no_path_leaves_the_bundle() {
        let root = tempfile::tempdir().expect("a temporary directory");
        for path in ["../evil.py", "/tmp/evil.py", "a/../../evil.py"] {
            assert!(unpack(&root.path().join("b"), &version(&[(path, "")])).is_err(), "{path}");
        }
    }
}
