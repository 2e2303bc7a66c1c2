//! A store under test, and what happens to it after each write.

use std::sync::Arc;

use hero_store::{Batch, Error, Fence, MemoryStore, SledStore, Store, Write};
use tempfile::TempDir;

/// A store that is opened anew after each write where it is kept anywhere.
pub(crate) struct Subject {
    store: Option<Arc<dyn Store>>,
    kept: Kept,
}

enum Kept {
    InMemory,
    InDirectory { dir: TempDir, is_closed_first: bool },
}

impl Subject {
    pub(crate) fn in_memory() -> Self {
        Self { store: Some(Arc::new(MemoryStore::new())), kept: Kept::InMemory }
    }

    /// As a program that is stopped.
    pub(crate) fn closed_after_every_write() -> Self {
        Self::in_directory(true)
    }

    /// As a program that crashes.
    pub(crate) fn dropped_after_every_write() -> Self {
        Self::in_directory(false)
    }

    fn in_directory(is_closed_first: bool) -> Self {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let store = SledStore::open(dir.path()).expect("a new store opens");
        Self { store: Some(Arc::new(store)), kept: Kept::InDirectory { dir, is_closed_first } }
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        self.store.as_ref().expect("it is open between writes")
    }

    /// Writes, expecting no refusal.
    pub(crate) async fn commit(&mut self, writes: impl IntoIterator<Item = Write>) {
        self.try_commit(None, writes).await.expect("the batch is accepted");
    }

    pub(crate) async fn try_commit(
        &mut self,
        fence: Option<Fence>,
        writes: impl IntoIterator<Item = Write>,
    ) -> Result<(), Error> {
        let batch = Batch { fence, writes: writes.into_iter().collect() };
        let result = self.store().commit(batch).await;
        self.reopen().await;
        result
    }

    pub(crate) async fn reopen(&mut self) {
        let Kept::InDirectory { dir, is_closed_first } = &self.kept else { return };
        let store = self.store.take().expect("it is open between writes");
        if *is_closed_first {
            store.close().await.expect("it closes");
        }
        assert_eq!(Arc::strong_count(&store), 1, "a test holds on to the store");
        drop(store);
        self.store = Some(Arc::new(SledStore::open(dir.path()).expect("it opens again")));
    }
}
