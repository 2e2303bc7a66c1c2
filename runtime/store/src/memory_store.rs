//! A store that lasts as long as its process: for tests and for trying things out.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use crate::{Changes, Engine, Error, KeyedStore, Pair};

/// A store that keeps everything in memory. "Durable" means here: until it is closed or dropped.
pub type MemoryStore = KeyedStore<MemoryEngine>;

impl MemoryStore {
    /// An empty store.
    ///
    /// # Panics
    /// The system gives no thread.
    pub fn new() -> Self {
        Self::over(MemoryEngine::default()).expect("the system gives a thread")
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

/// Pairs in memory.
#[derive(Default)]
pub struct MemoryEngine(RwLock<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Engine for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn has(&self, key: &[u8]) -> Result<bool, Error> {
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).contains_key(key))
    }

    fn scan(&self, keys: Range<Vec<u8>>, limit: usize) -> Result<Vec<Pair>, Error> {
        let pairs = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = pairs.range(keys).take(limit);
        Ok(found.map(|(key, value)| (key.clone(), Ok(value.clone()))).collect())
    }

    fn keys(&self, keys: Range<Vec<u8>>) -> Result<Vec<Vec<u8>>, Error> {
        let pairs = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Ok(pairs.range(keys).map(|(key, _)| key.clone()).collect())
    }

    fn apply(&self, changes: Changes) -> Result<(), Error> {
        let mut pairs = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in changes {
            match value {
                Some(value) => pairs.insert(key, value),
                None => pairs.remove(&key),
            };
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        Ok(())
    }
}
