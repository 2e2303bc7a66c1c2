//! Who waits for news of which play. The store tells everyone of everything; with many that wait, each would
//! be woken for all the others.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use hero_schema::PlaySid;
use hero_store::Store;
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;

/// Hands the news of a store to those who wait for them.
#[derive(Clone, Default)]
pub(crate) struct News(Arc<Mutex<Listeners>>);

#[derive(Default)]
struct Listeners {
    of: HashMap<PlaySid, Vec<Arc<Notify>>>,
    is_over: bool,
}

impl News {
    /// Takes news until the store is gone.
    pub(crate) fn of(store: &dyn Store) -> Self {
        let news = Self::default();
        let mut told = store.news();
        let listeners = news.clone();
        tokio::spawn(async move {
            loop {
                match told.recv().await {
                    Ok(play) => listeners.tell(&play),
                    Err(RecvError::Lagged(_)) => listeners.tell_all(),
                    Err(RecvError::Closed) => break,
                }
            }
            listeners.lock().is_over = true;
            listeners.tell_all();
        });
        news
    }

    /// Whether none will come any more.
    pub(crate) fn are_over(&self) -> bool {
        self.lock().is_over
    }

    /// Listens to nothing yet.
    pub(crate) fn listener(&self) -> Listener {
        Listener { news: self.clone(), plays: HashSet::new(), has_news: Arc::default() }
    }

    fn tell(&self, play: &PlaySid) {
        self.lock().of.get(play).into_iter().flatten().for_each(|listener| listener.notify_one());
    }

    fn tell_all(&self) {
        self.lock().of.values().flatten().for_each(|listener| listener.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, Listeners> {
        self.0.lock().expect("nobody panics while holding this lock")
    }
}

/// Hears of some plays, until it is dropped.
pub(crate) struct Listener {
    news: News,
    plays: HashSet<PlaySid>,
    has_news: Arc<Notify>,
}

impl Listener {
    /// Listens to these too. Returns whether one of them is new: what happened to it before is not told.
    pub(crate) fn listen_to(&mut self, plays: impl IntoIterator<Item = PlaySid>) -> bool {
        let mut listeners = self.news.lock();
        let mut has_new = false;
        for play in plays {
            if self.plays.insert(play.clone()) {
                has_new = true;
                listeners.of.entry(play).or_default().push(Arc::clone(&self.has_news));
            }
        }
        has_new
    }

    /// Returns once something has happened since it listens, or since this returned the last time.
    pub(crate) async fn heard(&self) {
        self.has_news.notified().await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut listeners = self.news.lock();
        for play in &self.plays {
            let Some(of_play) = listeners.of.get_mut(play) else { continue };
            of_play.retain(|listener| !Arc::ptr_eq(listener, &self.has_news));
            if of_play.is_empty() {
                listeners.of.remove(play);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hero_schema::{Json, PlayRecord, Timestamp, VersionSid};
    use hero_store::{Batch, MemoryStore, Write};

    use super::*;

    async fn has_heard(listener: &Listener) -> bool {
        tokio::time::timeout(Duration::ZERO, listener.heard()).await.is_ok()
    }

    #[tokio::test]
    async fn each_hears_of_its_own_plays_until_the_store_is_gone() {
        let store = MemoryStore::default();
        let news = News::of(&store);
        let [one, other] = ["one", "other"].map(PlaySid::new);
        let (mut hears, mut hears_not) = (news.listener(), news.listener());
        assert!(hears.listen_to([one.clone(), one.clone()]));
        assert!(!hears.listen_to([one.clone()]) && hears_not.listen_to([other]));
        let input = Json::parse("{}").expect("JSON");
        let play = PlayRecord::new(one, VersionSid::new("v"), input, Timestamp(0));
        let writes = vec![Write::Play(Box::new(play))];
        store.commit(Batch { fence: None, writes }).await.expect("stored");
        hears.heard().await;
        assert!(!has_heard(&hears).await && !has_heard(&hears_not).await && !news.are_over());
        drop(store);
        hears.heard().await;
        hears_not.heard().await;
        assert!(news.are_over());
        drop((hears, hears_not));
        assert!(news.lock().of.is_empty());
    }
}
