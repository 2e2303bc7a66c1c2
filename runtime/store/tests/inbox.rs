//! Which requests are on the list of open ones: those that somebody still waits for.

mod samples;

use hero_schema::{PlayRecord, PlayStatus};
use hero_store::{Batch, MemoryStore, PageQuery, SledStore, Store, Write};

async fn commit(store: &dyn Store, writes: Vec<Write>) {
    store.commit(Batch { fence: None, writes }).await.expect("stored");
}

/// The ids of the listed requests, in their order.
async fn listed(store: &dyn Store) -> Vec<String> {
    let page = store.open_questions(PageQuery::default()).await.expect("read");
    page.items.into_iter().map(|(_, request)| request.id.as_str().to_owned()).collect()
}

fn in_status(play: &PlayRecord, status: PlayStatus) -> PlayRecord {
    samples::revised(play, |play| play.status = status)
}

fn write(play: &PlayRecord) -> Write {
    Write::Play(Box::new(play.clone()))
}

fn ask(play: &PlayRecord, id: &str, asked_at: i64) -> Write {
    Write::Request(play.sid.clone(), Box::new(samples::request(id, asked_at)))
}

async fn requests_leave_the_list_with_the_end_of_their_play(store: &dyn Store) {
    let (mine, other) = (samples::play("a"), samples::play("b"));
    let answered = samples::answered(&samples::request("r2", 20), "true");
    let asked = vec![write(&mine), write(&other), ask(&mine, "r1", 10), ask(&mine, "r2", 20)];
    commit(store, asked).await;
    let answer = Write::Request(mine.sid.clone(), Box::new(answered));
    commit(store, vec![ask(&other, "r0", 5), ask(&mine, "r3", 30), answer]).await;
    assert_eq!(listed(store).await, ["r0", "r1", "r3"]);

    // One more is asked in the very batch that ends the play, and one after that.
    let ended = in_status(&mine, PlayStatus::Cancelled);
    commit(store, vec![ask(&mine, "r4", 40), write(&ended), ask(&mine, "r5", 50)]).await;
    assert_eq!(listed(store).await, ["r0"]);
    assert_eq!(store.requests(&mine.sid).await.expect("read").len(), 5);

    let taken_up = in_status(&ended, PlayStatus::Running);
    commit(store, vec![write(&taken_up)]).await;
    assert_eq!(listed(store).await, ["r0", "r1", "r3", "r4", "r5"]);

    commit(store, vec![write(&in_status(&taken_up, PlayStatus::Failed))]).await;
    assert_eq!(listed(store).await, ["r0"]);
}

#[tokio::test]
async fn requests_leave_the_list_with_the_end_of_their_play_in_memory() {
    requests_leave_the_list_with_the_end_of_their_play(&MemoryStore::new()).await;
}

#[tokio::test]
async fn requests_leave_the_list_with_the_end_of_their_play_in_sled() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = SledStore::open(dir.path()).expect("opens");
    requests_leave_the_list_with_the_end_of_their_play(&store).await;
    drop(store);
    let store = SledStore::open(dir.path()).expect("opens again");
    assert_eq!(listed(&store).await, ["r0"]);
}
