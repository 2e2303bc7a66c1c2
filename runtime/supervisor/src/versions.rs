//! Versions that were asked for lately. A version never changes, so it is read once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use hero_schema::{VersionSid, WorkflowVersion};

/// How many are kept.
const KEPT_MAX: usize = 64;

/// How long their files may be, all taken together, in bytes.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// The versions, the last one asked for at the end.
#[derive(Default)]
pub(crate) struct Versions(Mutex<VecDeque<Arc<WorkflowVersion>>>);

impl Versions {
    /// A version that is kept.
    pub(crate) fn find(&self, sid: &VersionSid) -> Option<Arc<WorkflowVersion>> {
        let mut kept = self.lock();
        let index = kept.iter().position(|version| version.sid == *sid)?;
        let version = kept.remove(index)?;
        kept.push_back(Arc::clone(&version));
        Some(version)
    }

    /// Keeps a version, and forgets those that nobody has asked for the longest.
    pub(crate) fn keep(&self, version: &Arc<WorkflowVersion>) {
        let mut kept = self.lock();
        kept.retain(|other| other.sid != version.sid);
        kept.push_back(Arc::clone(version));
        let mut n_bytes: usize = kept.iter().map(|version| size(version)).sum();
        while kept.len() > KEPT_MAX || n_bytes > KEPT_BYTES_MAX {
            n_bytes -= kept.pop_front().map_or(n_bytes, |version| size(&version));
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<WorkflowVersion>>> {
        self.0.lock().expect("nobody panics while holding this lock")
    }
}

fn size(version: &WorkflowVersion) -> usize {
    version.bundle.files.iter().map(|(path, source)| path.len() + source.len()).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hero_schema::{Bundle, FlowSignature, Timestamp};

    use super::*;

    fn version(sid: &str, n_bytes: usize) -> Arc<WorkflowVersion> {
        let files = BTreeMap::from([("flow.py".into(), "x".repeat(n_bytes))]);
        Arc::new(WorkflowVersion {
            sid: VersionSid::new(sid),
            bundle: Bundle { entry: "flow.py".into(), flow: "main".into(), files },
            signature: FlowSignature::default(),
            saved: None,
            created_at: Timestamp(0),
        })
    }

    #[test]
    fn what_is_asked_for_is_kept_the_longest_and_never_more_than_there_is_room_for() {
        let versions = Versions::default();
        let has = |sid: &str| versions.find(&VersionSid::new(sid)).is_some();
        versions.keep(&version("asked for", 10));
        for number in 0..KEPT_MAX {
            versions.keep(&version(&number.to_string(), 10));
            assert!(has("asked for"));
        }
        assert!(!has("0") && has("1"));
        versions.keep(&version("large", KEPT_BYTES_MAX / 2));
        versions.keep(&version("too large", KEPT_BYTES_MAX));
        assert!(!has("large") && !has("too large") && !has("asked for"));
        assert!(versions.lock().is_empty());
    }
}
