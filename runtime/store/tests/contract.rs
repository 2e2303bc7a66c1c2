//! What every store holds to. Each promise is tried on each store, and on one in a directory it must
//! still hold after the store was closed, or dropped, and opened again after every write.

mod samples;
mod subject;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hero_schema::{
    FinalCallback, Firing, FiringOutcome, FiringPlace, LaunchNumber, NumberedVersion,
    OutcomeRecord, PlayRecord, PlaySid, PlayStatus, Raised, ReplayedSpans, RequestKind, ResumeId,
    ResumeRequest, Retention, Schedule, ScheduleSid, ScheduleState, Span, SpanId, SpanRange,
    SpanStatus, StartKey, Starter, Timestamp, Usage, VersionSid, Workflow, WorkflowChange,
    WorkflowChangeKind, WorkflowSid,
};
use hero_store::{Batch, Due, Error, Fence, Page, PageQuery, PlayQuery, StartedBy, Store, Write};
use samples::{
    answered, firing, json, log, numbered, outcome, play, request, revised, schedule, span,
    version, workflow,
};
use subject::Subject;

/// Runs each promise against each store.
macro_rules! promises {
    ($($promise:ident,)+) => {
        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() { super::$promise(super::Subject::in_memory()).await })+
        }
        mod in_sled_closed_after_every_write {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() { super::$promise(super::Subject::closed_after_every_write()).await })+
        }
        mod in_sled_dropped_after_every_write {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() { super::$promise(super::Subject::dropped_after_every_write()).await })+
        }
    };
}

promises! {
    a_play_reads_back_as_it_was_written,
    only_the_next_revision_replaces_a_play,
    a_refused_batch_leaves_no_trace,
    of_two_plays_with_one_start_key_the_first_is_stored,
    of_64_starts_with_one_key_at_once_one_wins,
    a_start_key_is_free_again_once_its_play_is_removed,
    what_an_older_launch_writes_is_refused,
    the_first_outcome_of_a_step_stands,
    what_outcomes_spent_counts_once,
    a_stored_answer_is_never_replaced,
    requests_come_in_the_order_they_were_asked,
    what_falls_due_comes_by_its_moment_and_leaves_with_its_reason,
    nothing_falls_due_for_a_play_that_has_ended,
    a_removed_play_leaves_nothing_behind,
    only_what_has_ended_is_removed,
    a_batch_over_several_plays_is_stored_as_a_whole,
    open_questions_come_oldest_first_until_they_are_answered,
    plays_that_have_ended_come_by_their_end,
    outcomes_are_to_be_posted_by_their_moment_until_they_are,
    a_span_is_replaced_by_the_one_with_its_launch_and_number,
    spans_of_replayed_steps_show_what_those_showed_that_ran_them,
    spans_of_replayed_steps_come_in_pages_without_gap_or_overlap,
    a_replayed_span_that_ran_nowhere_is_named,
    a_log_is_followed_by_its_cursor,
    plays_come_newest_first_by_every_filter,
    plays_are_found_by_tag_time_text_and_who_started_them,
    a_play_leaves_the_lists_of_tags_that_it_has_no_more,
    what_fits_rarely_comes_in_short_pages,
    a_list_comes_in_pages_without_gap_or_overlap,
    a_cursor_of_another_list_is_refused,
    a_version_is_never_replaced,
    a_workflow_is_found_by_its_sid_and_by_its_name,
    for_how_long_plays_are_kept_is_told_by_workflow,
    only_the_next_revision_replaces_a_workflow,
    a_number_is_of_one_version_and_a_version_has_one_number,
    the_history_of_a_workflow_is_only_added_to,
    a_workflow_is_removed_as_it_was_read,
    an_answer_that_was_carried_over_may_be_asked_for_anew,
    only_the_next_revision_replaces_a_schedule,
    a_schedule_is_found_by_its_sid_and_by_its_name,
    schedules_come_by_when_they_fire_and_only_where_they_do,
    firings_come_latest_first_and_those_that_are_open_earliest_first,
    a_firing_that_is_decided_for_good_stands,
    a_schedule_is_removed_with_its_firings,
    a_workflow_with_an_active_schedule_is_not_removed,
    what_was_posted_is_there_with_the_next_commit,
    news_tell_of_every_play_that_was_written,
    values_of_any_size_read_back,
    no_id_reaches_the_records_of_another,
    every_one_of_64_writers_at_once_is_answered,
    of_many_who_change_a_play_at_once_one_wins,
    a_closed_store_refuses_everything,
    the_clock_goes_forward,
}

async fn a_play_reads_back_as_it_was_written(mut subject: Subject) {
    let mut written = play("a");
    written.workflow_sid = Some(WorkflowSid::new("w"));
    written.output = Some(json("null"));
    subject.commit([Write::Play(Box::new(written.clone()))]).await;
    let read = subject.store().play(&written.sid).await.expect("readable");
    assert_eq!(read, Some(written));
    assert_eq!(subject.store().play(&PlaySid::new("b")).await.expect("readable"), None);
}

async fn only_the_next_revision_replaces_a_play(mut subject: Subject) {
    let first = play("a");
    let second = revised(&first, |play| play.status = PlayStatus::AwaitingResume);
    let third = revised(&second, |play| play.status = PlayStatus::Running);
    subject.commit([Write::Play(Box::new(first.clone()))]).await;
    assert_conflict(subject.try_commit(None, [Write::Play(Box::new(first.clone()))]).await);
    assert_conflict(subject.try_commit(None, [Write::Play(Box::new(third.clone()))]).await);
    subject.commit([Write::Play(Box::new(second.clone()))]).await;
    assert_conflict(subject.try_commit(None, [Write::Play(Box::new(second.clone()))]).await);
    assert_eq!(subject.store().play(&first.sid).await.expect("readable"), Some(second));
    subject.commit([Write::Play(Box::new(third.clone()))]).await;
    assert_eq!(subject.store().play(&first.sid).await.expect("readable"), Some(third));
}

async fn a_refused_batch_leaves_no_trace(mut subject: Subject) {
    let (stored, sid) = (play("a"), PlaySid::new("a"));
    let other = play("b");
    subject.commit([Write::Play(Box::new(stored.clone()))]).await;
    let refused = subject.try_commit(
        None,
        [
            Write::Play(Box::new(other.clone())),
            Write::Outcome(sid.clone(), Box::new(outcome("k", "lost"))),
            Write::Request(sid.clone(), Box::new(request("r", 1))),
            Write::Workflow(Box::new(workflow("w", "lost"))),
            Write::Play(Box::new(stored)),
        ],
    );
    assert_conflict(refused.await);
    let store = subject.store();
    assert_eq!(store.play(&other.sid).await.expect("readable"), None);
    assert_eq!(store.outcomes(&sid).await.expect("readable"), []);
    assert_eq!(store.requests(&sid).await.expect("readable"), []);
    assert_eq!(store.workflow("lost").await.expect("readable"), None);
    assert_eq!(sids(&store.plays(PlayQuery::default()).await.expect("readable")), ["a"]);
    // And nothing of it is remembered either.
    subject.commit([Write::Play(Box::new(other))]).await;
    subject.commit([Write::Outcome(sid.clone(), Box::new(outcome("k", "kept")))]).await;
    let kept = subject.store().outcomes(&sid).await.expect("readable");
    assert_eq!(kept, [outcome("k", "kept")]);
}

async fn of_two_plays_with_one_start_key_the_first_is_stored(mut subject: Subject) {
    let first = started_with("a", "key");
    subject.commit([write(&first)]).await;
    let other = started_with("b", "key");
    let along = outcome("k", "lost");
    let along = Write::Outcome(PlaySid::new("c"), Box::new(along));
    assert_conflict(subject.try_commit(None, [write(&other), along]).await);
    let both = [started_with("d", "new"), started_with("e", "new")];
    assert_conflict(subject.try_commit(None, both.iter().map(write)).await);
    for lost in ["b", "d", "e"] {
        assert_eq!(subject.store().play(&PlaySid::new(lost)).await.expect("readable"), None);
    }
    assert_eq!(subject.store().outcomes(&PlaySid::new("c")).await.expect("readable"), []);
    assert_eq!(subject.store().play_started_with("new").await.expect("readable"), None);

    let further = revised(&first, |play| play.status = PlayStatus::Success);
    subject.commit([write(&further), write(&started_with("b", "other"))]).await;
    let found = subject.store().play_started_with("key").await.expect("readable");
    assert_eq!(found, Some(further));
    assert_eq!(subject.store().play_started_with("ke").await.expect("readable"), None);
}

async fn of_64_starts_with_one_key_at_once_one_wins(mut subject: Subject) {
    let store = subject.store().clone();
    let starts = (0..64).map(|number| {
        let (store, play) = (store.clone(), started_with(&format!("{number}"), "key"));
        tokio::spawn(async move {
            store.commit(Batch { fence: None, writes: vec![write(&play)] }).await
        })
    });
    let mut n_won = 0;
    for start in starts.collect::<Vec<_>>() {
        match start.await.expect("every start is answered") {
            Ok(()) => n_won += 1,
            lost => assert_conflict(lost),
        }
    }
    drop(store);
    subject.reopen().await;
    let page = subject.store().plays(PlayQuery::default()).await.expect("readable");
    assert_eq!((n_won, page.items.len()), (1, 1));
    let found = subject.store().play_started_with("key").await.expect("readable");
    assert_eq!(found.as_ref(), page.items.first());
}

async fn a_start_key_is_free_again_once_its_play_is_removed(mut subject: Subject) {
    let first = PlayRecord { status: PlayStatus::Success, ..started_with("a", "key") };
    subject.commit([write(&first)]).await;
    let second = started_with("b", "key");
    let removed = [Write::Remove(first.sid.clone())];
    subject.commit(removed.into_iter().chain([write(&second)])).await;
    let found = subject.store().play_started_with("key").await.expect("readable");
    assert_eq!(found, Some(second));
}

async fn what_an_older_launch_writes_is_refused(mut subject: Subject) {
    let first = play("a");
    let sid = first.sid.clone();
    let second = revised(&first, |play| play.launch = LaunchNumber(2));
    let fence = |launch| Some(Fence { play: PlaySid::new("a"), launch: LaunchNumber(launch) });
    let step = |key: &str| [Write::Outcome(PlaySid::new("a"), Box::new(outcome(key, "x")))];

    assert_conflict(subject.try_commit(fence(1), step("0")).await);
    subject.commit([Write::Play(Box::new(first))]).await;
    subject.try_commit(fence(1), step("1")).await.expect("launch 1 is current");
    subject.commit([Write::Play(Box::new(second))]).await;
    let refused = subject.try_commit(fence(1), step("2")).await;
    let Err(Error::Fenced { play, stale, current }) = refused else { panic!("{refused:?}") };
    assert_eq!((play.as_str(), stale, current), ("a", LaunchNumber(1), LaunchNumber(2)));
    subject.store().post(Batch { fence: fence(1), writes: step("3").into() });
    subject.try_commit(fence(2), step("4")).await.expect("launch 2 is current");

    let outcomes = subject.store().outcomes(&sid).await.expect("readable");
    let keys: BTreeSet<_> = outcomes.iter().map(|outcome| outcome.key.as_str()).collect();
    assert_eq!(keys, BTreeSet::from(["1", "4"]));
}

async fn the_first_outcome_of_a_step_stands(mut subject: Subject) {
    let sid = PlaySid::new("a");
    let write = |key: &str, text: &str| Write::Outcome(sid.clone(), Box::new(outcome(key, text)));
    subject.commit([write("k", "first"), write("k", "second"), write("l", "other")]).await;
    subject.commit([write("k", "third")]).await;
    let mut outcomes = subject.store().outcomes(&sid).await.expect("readable");
    outcomes.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(outcomes, [outcome("k", "first"), outcome("l", "other")]);
}

async fn what_outcomes_spent_counts_once(mut subject: Subject) {
    let sid = PlaySid::new("a");
    let write = |key: &str, cost_usd, input_tokens| {
        let usage = Usage { cost_usd, input_tokens, output_tokens: 1 };
        Write::Outcome(sid.clone(), Box::new(OutcomeRecord { usage, ..outcome(key, "x") }))
    };
    assert!(subject.store().spent(&sid).await.expect("readable").is_nothing());
    subject.commit([write("k", 0.5, 10), write("k", 4.0, 99), write("l", 0.25, 20)]).await;
    subject.commit([write("l", 4.0, 99)]).await;
    subject.commit([write("m", 0.0, 0)]).await;
    let spent = subject.store().spent(&sid).await.expect("readable");
    assert_eq!(spent, Usage { cost_usd: 0.75, input_tokens: 30, output_tokens: 3 });
}

async fn a_stored_answer_is_never_replaced(mut subject: Subject) {
    let sid = PlaySid::new("a");
    let asked = request("r", 1);
    let yes = answered(&asked, "true");
    let write = |request: &_| [Write::Request(PlaySid::new("a"), Box::new(Clone::clone(request)))];
    subject.commit(write(&asked)).await;
    subject.commit(write(&yes)).await;
    assert_conflict(subject.try_commit(None, write(&answered(&asked, "false"))).await);
    assert_conflict(subject.try_commit(None, write(&asked)).await);
    subject.commit(write(&yes)).await;
    let stored = subject.store().request(&sid, &ResumeId::new("r")).await.expect("readable");
    assert_eq!(stored, Some(yes));
    let none = subject.store().request(&sid, &ResumeId::new("s")).await.expect("readable");
    assert_eq!(none, None);
}

async fn requests_come_in_the_order_they_were_asked(mut subject: Subject) {
    let sid = PlaySid::new("a");
    for (id, asked_at) in [("x", 20), ("y", 10), ("z", 30)] {
        subject.commit([Write::Request(sid.clone(), Box::new(request(id, asked_at)))]).await;
    }
    let requests = subject.store().requests(&sid).await.expect("readable");
    let ids: Vec<_> = requests.iter().map(|request| request.id.as_str()).collect();
    assert_eq!(ids, ["y", "x", "z"]);
}

async fn what_falls_due_comes_by_its_moment_and_leaves_with_its_reason(mut subject: Subject) {
    let mut a = play("a");
    a.deadline = Some(Timestamp(20));
    let b = play("b");
    let expiring = |id: &str, at| {
        let mut request = request(id, 1);
        request.expires_at = Some(Timestamp(at));
        request
    };
    let ask = |play: &PlayRecord, request| Write::Request(play.sid.clone(), Box::new(request));
    subject.commit([write(&a), write(&b)]).await;
    // Asked in two batches and in the other order; `s` waits for ever.
    subject.commit([ask(&a, expiring("r", 30)), ask(&b, request("s", 1))]).await;
    subject.commit([ask(&b, expiring("r", 10)), ask(&b, expiring("", -5))]).await;
    assert_eq!(due(&subject, 9).await, ["-5 b/", "10 b/r", "20 a", "30 a/r"]);
    assert_eq!(due(&subject, 2).await, ["-5 b/", "10 b/r"]);

    let answer = answered(&expiring("r", 10), "null");
    subject.commit([ask(&b, answer)]).await;
    assert_eq!(due(&subject, 9).await, ["-5 b/", "20 a", "30 a/r"]);

    // Both moments are put off, past each other.
    a = revised(&a, |play| play.deadline = Some(Timestamp(50)));
    subject.commit([write(&a), ask(&a, expiring("r", 40))]).await;
    assert_eq!(due(&subject, 9).await, ["-5 b/", "40 a/r", "50 a"]);
    a = revised(&a, |play| play.deadline = None);
    subject.commit([write(&a)]).await;
    assert_eq!(due(&subject, 9).await, ["-5 b/", "40 a/r"]);
}

async fn nothing_falls_due_for_a_play_that_has_ended(mut subject: Subject) {
    let mut running = play("a");
    running.deadline = Some(Timestamp(20));
    let mut asked = request("r", 1);
    asked.expires_at = Some(Timestamp(10));
    let ask = || Write::Request(PlaySid::new("a"), Box::new(asked.clone()));
    subject.commit([write(&running), ask()]).await;
    let ended = revised(&running, |play| play.status = PlayStatus::Failed);
    subject.commit([write(&ended)]).await;
    assert!(due(&subject, 9).await.is_empty());
    // Stored late, it is not waited for either.
    subject.commit([ask()]).await;
    assert!(due(&subject, 9).await.is_empty());
    let taken_up = revised(&ended, |play| play.status = PlayStatus::Running);
    subject.commit([write(&taken_up)]).await;
    assert_eq!(due(&subject, 9).await, ["10 a/r", "20 a"]);
}

async fn a_removed_play_leaves_nothing_behind(mut subject: Subject) {
    let (a, b) = (full_play("a"), full_play("b"));
    subject.commit(everything_of(&a)).await;
    subject.commit(everything_of(&b)).await;
    let ended = revised(&a, |play| play.status = PlayStatus::Success);
    // The last step and the end stand in the batch that removes them.
    let late = Write::Outcome(a.sid.clone(), Box::new(outcome("late", "x")));
    subject.commit([late, write(&ended), Write::Remove(a.sid.clone())]).await;
    assert!(!has_anything(&subject, &a).await);
    assert!(has_anything(&subject, &b).await);
    assert_eq!(due(&subject, 9).await, ["20 b/r", "30 b"]);

    // Its launch may not have noticed.
    let fence = Some(Fence { play: a.sid.clone(), launch: a.launch });
    let span = || [Write::Span(PlaySid::new("a"), Box::new(span(1, 9)))];
    subject.store().post(Batch { fence: fence.clone(), writes: span().into() });
    assert_conflict(subject.try_commit(fence, span()).await);
    assert!(!has_anything(&subject, &a).await);

    // Removed once more; and a new play of that name remembers nothing.
    subject.commit([Write::Remove(a.sid.clone())]).await;
    let again = PlayRecord { deadline: None, ..a.clone() };
    subject
        .commit([write(&again), Write::Outcome(a.sid.clone(), Box::new(outcome("k", "new")))])
        .await;
    let outcomes = subject.store().outcomes(&a.sid).await.expect("readable");
    assert_eq!(outcomes, [outcome("k", "new")]);
    assert_eq!(subject.store().requests(&a.sid).await.expect("readable"), []);
}

async fn only_what_has_ended_is_removed(mut subject: Subject) {
    let (running, other) = (full_play("a"), play("b"));
    let ended = revised(&other, |play| play.status = PlayStatus::Success);
    subject.commit(everything_of(&running)).await;
    subject.commit([write(&other)]).await;
    let remove = |play: &PlayRecord| Write::Remove(play.sid.clone());
    assert_conflict(
        subject.try_commit(None, [write(&ended), remove(&ended), remove(&running)]).await,
    );
    assert!(has_anything(&subject, &running).await);
    let kept = subject.store().play(&other.sid).await.expect("readable");
    assert_eq!(kept, Some(other));
}

async fn a_batch_over_several_plays_is_stored_as_a_whole(mut subject: Subject) {
    let family = ["parent", "child", "other child"].map(play);
    subject.commit(family.iter().map(write)).await;
    let asked = request("r", 1);
    let ask = |request| Write::Request(PlaySid::new("parent"), Box::new(request));
    subject.commit([ask(asked.clone())]).await;

    // The end of a child answers its parent; here the last of three revisions is an old one.
    let cancelled =
        family.clone().map(|play| revised(&play, |play| play.status = PlayStatus::Cancelled));
    let moved = revised(&family[2], |play| play.name = "moved".into());
    subject.commit([write(&moved)]).await;
    let mut writes: Vec<_> = cancelled.iter().map(write).collect();
    writes.insert(1, ask(answered(&asked, "true")));
    for stale_index in [3, 0] {
        writes.swap(3, stale_index);
        assert_conflict(subject.try_commit(None, writes.clone()).await);
        let store = subject.store();
        for (play, stored) in
            [(&family[0], &family[0]), (&family[1], &family[1]), (&family[2], &moved)]
        {
            assert_eq!(store.play(&play.sid).await.expect("readable").as_ref(), Some(stored));
        }
        assert_eq!(open(&subject).await, ["parent/r"]);
    }
    writes[0] = write(&revised(&moved, |play| play.status = PlayStatus::Cancelled));
    subject.commit(writes).await;
    let ended = PlayQuery { status: Some(PlayStatus::Cancelled), ..PlayQuery::default() };
    assert_eq!(subject.store().plays(ended).await.expect("readable").items.len(), 3);
    assert!(open(&subject).await.is_empty());
}

async fn plays_that_have_ended_come_by_their_end(mut subject: Subject) {
    let ended = |subject: &Subject| {
        let store = subject.store().clone();
        async move { sids(&store.ended_plays(PageQuery::default()).await.expect("readable")) }
    };
    let of_workflow = |subject: &Subject, status| {
        let (store, workflow) = (subject.store().clone(), Some(WorkflowSid::new("w")));
        let query = PlayQuery { status: Some(status), workflow, ..PlayQuery::default() };
        async move { sids(&store.plays(query).await.expect("readable")) }
    };
    let plays = ["a", "b", "c"]
        .map(|sid| PlayRecord { workflow_sid: Some(WorkflowSid::new("w")), ..play(sid) });
    subject.commit(plays.iter().map(write)).await;
    assert_eq!(of_workflow(&subject, PlayStatus::Running).await.len(), 3);
    for (play, at) in plays[..2].iter().zip([30, 20]) {
        let end = revised(play, |play| {
            play.status = PlayStatus::Success;
            play.ended_at = Some(Timestamp(at));
        });
        subject.commit([write(&end)]).await;
    }
    assert_eq!(ended(&subject).await, ["b", "a"]);
    assert_eq!(of_workflow(&subject, PlayStatus::Running).await, ["c"]);
    assert_eq!(of_workflow(&subject, PlayStatus::Success).await.len(), 2);
    subject.commit([Write::Remove(plays[1].sid.clone())]).await;
    assert_eq!(ended(&subject).await, ["a"]);
    assert_eq!(of_workflow(&subject, PlayStatus::Success).await, ["a"]);
}

async fn outcomes_are_to_be_posted_by_their_moment_until_they_are(mut subject: Subject) {
    let outbox = |subject: &Subject| {
        let store = subject.store().clone();
        async move {
            let due = store.outbox(10).await.expect("readable");
            due.into_iter().map(|due| (due.at.0, due.play.to_string())).collect::<Vec<_>>()
        }
    };
    let posted = |at: Option<i64>| FinalCallback {
        next_at: at.map(Timestamp),
        ..FinalCallback::to("https://example.com/".into())
    };
    let plays =
        ["a", "b", "c"].map(|sid| PlayRecord { final_callback: Some(posted(None)), ..play(sid) });
    subject.commit(plays.iter().map(write)).await;
    assert_eq!(outbox(&subject).await, []);
    let mut ended = Vec::new();
    for (play, at) in plays.iter().zip([30, 20, 10]) {
        ended.push(revised(play, |play| {
            play.status = PlayStatus::Success;
            play.ended_at = Some(Timestamp(at));
            play.final_callback = Some(posted(Some(at)));
        }));
        subject.commit([write(ended.last().expect("just pushed"))]).await;
    }
    let due = |at: i64, play: &str| (at, play.to_owned());
    assert_eq!(outbox(&subject).await, [due(10, "c"), due(20, "b"), due(30, "a")]);
    let later = revised(&ended[2], |play| play.final_callback = Some(posted(Some(40))));
    let delivered = revised(&ended[1], |play| play.final_callback = Some(posted(None)));
    subject.commit([write(&later), write(&delivered)]).await;
    assert_eq!(outbox(&subject).await, [due(30, "a"), due(40, "c")]);
    assert_eq!(subject.store().outbox(1).await.expect("readable").len(), 1);
    subject.commit([Write::Remove(PlaySid::new("a"))]).await;
    assert_eq!(outbox(&subject).await, [due(40, "c")]);
}

async fn open_questions_come_oldest_first_until_they_are_answered(mut subject: Subject) {
    for (kind, id) in [(RequestKind::Timer, "t"), (RequestKind::Child, "u")] {
        let asked = ResumeRequest { kind, ..request(id, 5) };
        subject.commit([Write::Request(PlaySid::new("a"), Box::new(asked))]).await;
    }
    let asked = [("a", "x", 20), ("b", "x", 10), ("a", "y", 30), ("c", "z", 15)];
    for (sid, id, at) in asked {
        subject.commit([Write::Request(PlaySid::new(sid), Box::new(request(id, at)))]).await;
    }
    assert_eq!(open(&subject).await, ["b/x", "c/z", "a/x", "a/y"]);
    let answer = answered(&request("z", 15), "null");
    subject.commit([Write::Request(PlaySid::new("c"), Box::new(answer))]).await;
    assert_eq!(open(&subject).await, ["b/x", "a/x", "a/y"]);
}

async fn a_span_is_replaced_by_the_one_with_its_launch_and_number(mut subject: Subject) {
    let sid = PlaySid::new("a");
    let places = [(1, 0), (1, 255), (1, 256), (2, 1), (256, 0)];
    for (launch, seq) in places.into_iter().rev() {
        subject.commit([Write::Span(sid.clone(), Box::new(span(launch, seq)))]).await;
    }
    let mut ended = span(1, 255);
    ended.status = SpanStatus::Ok;
    subject.commit([Write::Span(sid.clone(), Box::new(ended.clone()))]).await;
    let page = subject.store().spans(&sid, PageQuery::default()).await.expect("readable");
    let found: Vec<_> = page.items.iter().map(|span| (span.launch.0, span.seq)).collect();
    assert_eq!(found, places);
    assert_eq!(page.items[1], ended);
}

/// What launch 2 has replayed of launch 1, from this place among its frames on.
fn replayed(seq: u64, ran_as: &[(u64, u64, u64)]) -> ReplayedSpans {
    let range = |&(seq, stride, n)| SpanRange { launch: LaunchNumber(1), seq, stride, n };
    ReplayedSpans {
        launch: LaunchNumber(2),
        seq,
        parent_id: SpanId::new("00000000000000aa"),
        at: Timestamp(9_000),
        ran_as: ran_as.iter().map(range).collect(),
    }
}

fn of_replayed(spans: ReplayedSpans) -> Write {
    Write::Replayed(PlaySid::new("a"), Box::new(spans))
}

async fn spans_of_replayed_steps_show_what_those_showed_that_ran_them(mut subject: Subject) {
    let sid = PlaySid::new("a");
    let mut ran =
        Span { status: SpanStatus::Failed, ended_at: Some(Timestamp(3_000)), ..span(1, 3) };
    ran.tags = BTreeMap::from([("cost_usd".to_owned(), json("1"))]);
    ran.error = Some(Raised {
        class: "shop:Declined".into(),
        message: "no".into(),
        traceback: String::new(),
        args: None,
    });
    ran.child_play_sid = Some(PlaySid::new("b"));
    subject.commit([Write::Span(sid.clone(), Box::new(ran.clone()))]).await;
    subject.commit([of_replayed(replayed(7, &[(3, 1, 1)]))]).await;
    let page = subject.store().spans(&sid, PageQuery::default()).await.expect("readable");
    let shown = Span {
        launch: LaunchNumber(2),
        seq: 7,
        parent_id: Some(SpanId::new("00000000000000aa")),
        status: SpanStatus::Replayed,
        started_at: Timestamp(9_000),
        ended_at: Some(Timestamp(9_000)),
        tags: BTreeMap::new(),
        error: None,
        child_play_sid: None,
        ..ran.clone()
    };
    assert_eq!(page.items, [ran, shown]);
}

async fn spans_of_replayed_steps_come_in_pages_without_gap_or_overlap(mut subject: Subject) {
    let sid = PlaySid::new("a");
    let ran = |seq| Write::Span(sid.clone(), Box::new(span(1, seq)));
    subject.commit((1..=40).map(ran)).await;
    // In launch 2: a span, 13 of every second one, one by itself, a few far apart, and a span.
    let spans = replayed(2, &[(4, 2, 13), (39, 1, 1), (1, 12, 4)]);
    subject.commit([Write::Span(sid.clone(), Box::new(span(2, 1))), of_replayed(spans)]).await;
    subject.commit([Write::Span(sid.clone(), Box::new(span(2, 20)))]).await;
    subject.commit([of_replayed(replayed(21, &[(2, 1, 1)]))]).await;
    let ran_as = (4..=28).step_by(2).chain([39, 1, 13, 25, 37]);
    let expected: Vec<_> = (1..=40)
        .map(|seq| (1, seq, seq))
        .chain([(2, 1, 1)])
        .chain((2..).zip(ran_as).map(|(seq, ran_as)| (2, seq, ran_as)))
        .chain([(2, 20, 20), (2, 21, 2)])
        .collect();
    for limit in 1..=expected.len() + 1 {
        let (mut seen, mut query) = (Vec::new(), PageQuery { cursor: None, limit });
        loop {
            let page = subject.store().spans(&sid, query.clone()).await.expect("readable");
            assert_eq!(page.damaged, [""; 0]);
            let left = expected.len() - seen.len();
            assert_eq!((page.items.len(), page.has_more), (limit.min(left), limit < left));
            seen.extend(page.items.iter().map(|span| {
                let ran_as = u64::from_str_radix(span.span_id.as_str(), 16).expect("a number");
                (span.launch.0, span.seq, ran_as)
            }));
            query.cursor = page.next_cursor;
            if !page.has_more {
                break;
            }
        }
        assert_eq!(seen, expected, "{limit}");
        // The last cursor brings what is new.
        let page = subject.store().spans(&sid, query).await.expect("readable");
        assert_eq!((page.items.len(), page.has_more), (0, false));
    }
}

async fn a_replayed_span_that_ran_nowhere_is_named(mut subject: Subject) {
    let sid = PlaySid::new("a");
    subject.commit([Write::Span(sid.clone(), Box::new(span(1, 2)))]).await;
    subject.commit([of_replayed(replayed(5, &[(1, 1, 3), (u64::MAX, 1, 1)]))]).await;
    let (mut seen, mut damaged, mut query) = (0, 0, PageQuery { cursor: None, limit: 1 });
    loop {
        let page = subject.store().spans(&sid, query.clone()).await.expect("readable");
        assert_eq!(page.items.len() + page.damaged.len(), 1);
        (seen, damaged) = (seen + page.items.len(), damaged + page.damaged.len());
        query.cursor = page.next_cursor;
        if !page.has_more {
            break;
        }
    }
    assert_eq!((seen, damaged), (2, 3));
    for unsound in [replayed(1, &[]), replayed(1, &[(1, 0, 2)]), replayed(u64::MAX, &[(1, 1, 1)])] {
        let refused = subject.try_commit(None, [of_replayed(unsound)]).await;
        assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
    }
}

async fn a_log_is_followed_by_its_cursor(mut subject: Subject) {
    let sid = PlaySid::new("a");
    let read = |subject: &Subject, cursor| {
        let (store, sid) = (subject.store().clone(), PlaySid::new("a"));
        async move { store.logs(&sid, PageQuery { cursor, limit: 2 }).await.expect("readable") }
    };
    let empty = read(&subject, None).await;
    assert_eq!(empty, Page { items: vec![], next_cursor: None, has_more: false, damaged: vec![] });
    subject.commit((1..=3).map(|seq| Write::Log(sid.clone(), log(1, seq)))).await;
    let first = read(&subject, None).await;
    assert_eq!((first.items.as_slice(), first.has_more), (&[log(1, 1), log(1, 2)][..], true));
    let second = read(&subject, first.next_cursor).await;
    assert_eq!((second.items.as_slice(), second.has_more), (&[log(1, 3)][..], false));
    let nothing_yet = read(&subject, second.next_cursor.clone()).await;
    assert_eq!((nothing_yet.items.as_slice(), nothing_yet.has_more), (&[][..], false));
    assert_eq!(nothing_yet.next_cursor, second.next_cursor);
    subject.commit([Write::Log(sid.clone(), log(2, 1))]).await;
    assert_eq!(read(&subject, nothing_yet.next_cursor).await.items, [log(2, 1)]);
}

async fn plays_come_newest_first_by_every_filter(mut subject: Subject) {
    let (workflow, parent) = (Some(WorkflowSid::new("w")), Some(PlaySid::new("a")));
    for (sid, created_at, in_workflow, is_child) in [
        ("a", 10, false, false),
        ("b", 30, true, false),
        ("c", 20, true, true),
        ("d", 30, false, true),
    ] {
        let mut play = play(sid);
        play.created_at.0 = created_at;
        play.workflow_sid = workflow.clone().filter(|_| in_workflow);
        play.parent = parent.clone().filter(|_| is_child);
        subject.commit([Write::Play(Box::new(play))]).await;
    }
    let moved = subject.store().play(&PlaySid::new("b")).await.expect("readable").expect("stored");
    let moved = revised(&moved, |play| play.status = PlayStatus::Success);
    subject.commit([Write::Play(Box::new(moved))]).await;

    let (running, success) = (Some(PlayStatus::Running), Some(PlayStatus::Success));
    for (status, workflow, parent, expected) in [
        (None, None, None, vec!["b", "d", "c", "a"]),
        (running, None, None, vec!["d", "c", "a"]),
        (success, None, None, vec!["b"]),
        (Some(PlayStatus::Failed), None, None, vec![]),
        (None, workflow.clone(), None, vec!["b", "c"]),
        (None, None, parent.clone(), vec!["d", "c"]),
        (running, workflow.clone(), None, vec!["c"]),
        (success, workflow.clone(), parent.clone(), vec![]),
        (running, workflow, parent, vec!["c"]),
        (None, Some(WorkflowSid::new("x")), None, vec![]),
    ] {
        let query = PlayQuery { status, workflow, parent, ..PlayQuery::default() };
        let page = subject.store().plays(query.clone()).await.expect("readable");
        assert_eq!(sids(&page), expected, "{query:?}");
    }
}

async fn plays_are_found_by_tag_time_text_and_who_started_them(mut subject: Subject) {
    let nightly = || Some(Starter::Schedule { schedule: "s1".into() });
    let of_a = || Some(Starter::Parent { play_sid: PlaySid::new("a") });
    for (sid, created_at, name, tags, starter) in [
        ("a", 10, "Report for Oslo", r#"{"city": "Oslo", "n": 3}"#, Some(Starter::Rpc { uid: 7 })),
        ("b", 20, "report", r#"{"city": "Bergen", "n": "3"}"#, nightly()),
        ("c", 20, "other", r#"{"city": "Oslo", "x|y\u0000": "a|b"}"#, of_a()),
        ("d", -5, "clean up", "{}", Some(Starter::Schedule { schedule: "s2".into() })),
        ("e", 30, "REPORT", "{}", None),
    ] {
        let mut play = play(sid);
        play.created_at.0 = created_at;
        play.name = name.into();
        play.tags = json(tags).read().expect("an object");
        play.started_by = starter;
        subject.commit([write(&play)]).await;
    }
    let by = |word: &str, who: Option<&str>| {
        Some(StartedBy { word: word.into(), who: who.map(Into::into) })
    };
    let tags = |tags: &[(&str, &str)]| {
        tags.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect()
    };
    let all = PlayQuery::default;
    let (since, until) = (|at| Some(Timestamp(at)), |at| Some(Timestamp(at)));
    for (query, expected) in [
        (PlayQuery { tags: tags(&[("city", "Oslo")]), ..all() }, vec!["c", "a"]),
        (PlayQuery { tags: tags(&[("n", "3")]), ..all() }, vec!["b", "a"]),
        (PlayQuery { tags: tags(&[("n", "3"), ("city", "Oslo")]), ..all() }, vec!["a"]),
        (PlayQuery { tags: tags(&[("x|y\0", "a|b")]), ..all() }, vec!["c"]),
        (PlayQuery { tags: tags(&[("city", "Osl")]), ..all() }, vec![]),
        (PlayQuery { started_by: by("schedule", None), ..all() }, vec!["b", "d"]),
        (PlayQuery { started_by: by("schedule", Some("s1")), ..all() }, vec!["b"]),
        (PlayQuery { started_by: by("rpc", Some("7")), ..all() }, vec!["a"]),
        (PlayQuery { started_by: by("rpc", Some("8")), ..all() }, vec![]),
        (PlayQuery { started_by: by("parent", Some("a")), ..all() }, vec!["c"]),
        (PlayQuery { text: Some("report".into()), ..all() }, vec!["e", "b", "a"]),
        (PlayQuery { since: since(20), ..all() }, vec!["e", "b", "c"]),
        (PlayQuery { until: until(20), ..all() }, vec!["a", "d"]),
        (PlayQuery { since: since(10), until: until(30), ..all() }, vec!["b", "c", "a"]),
        (PlayQuery { since: since(30), until: until(10), ..all() }, vec![]),
        (PlayQuery { since: since(i64::MIN), until: until(i64::MIN), ..all() }, vec![]),
        (PlayQuery { since: since(i64::MAX), ..all() }, vec![]),
        (PlayQuery { tags: tags(&[("city", "Oslo")]), until: until(20), ..all() }, vec!["a"]),
        (PlayQuery { started_by: by("schedule", None), since: since(0), ..all() }, vec!["b"]),
    ] {
        let page = subject.store().plays(query.clone()).await.expect("readable");
        assert_eq!(sids(&page), expected, "{query:?}");
        assert!(!page.has_more, "{query:?}");
        // One by one it is the same, from any place of the list.
        let (mut query, mut seen) = (query, Vec::new());
        query.page.limit = 1;
        loop {
            let page = subject.store().plays(query.clone()).await.expect("readable");
            seen.extend(sids(&page));
            query.page.cursor = page.next_cursor;
            if !page.has_more {
                break;
            }
        }
        assert_eq!(seen, expected, "{query:?}");
    }
}

async fn a_play_leaves_the_lists_of_tags_that_it_has_no_more(mut subject: Subject) {
    let mut first = play("a");
    first.tags = json(r#"{"state": "draft", "n": 1}"#).read().expect("an object");
    subject.commit([write(&first)]).await;
    let second = revised(&first, |play| drop(play.tags.insert("state".into(), json(r#""done""#))));
    subject.commit([write(&second)]).await;
    for (name, text, expected) in
        [("state", "draft", vec![]), ("state", "done", vec!["a"]), ("n", "1", vec!["a"])]
    {
        let tags = BTreeMap::from([(name.to_owned(), text.to_owned())]);
        let query = PlayQuery { tags, ..PlayQuery::default() };
        let page = subject.store().plays(query).await.expect("readable");
        assert_eq!(sids(&page), expected, "{name}={text}");
    }
}

async fn what_fits_rarely_comes_in_short_pages(mut subject: Subject) {
    let n_plays = 5_200;
    let plays = (0..n_plays).map(|number| {
        let mut play = play(&format!("{number:05}"));
        play.created_at.0 = number;
        play.name = if number == 0 { "needle" } else { "hay" }.into();
        write(&play)
    });
    subject.commit(plays).await;
    let mut query = PlayQuery { text: Some("needle".into()), ..PlayQuery::default() };
    let first = subject.store().plays(query.clone()).await.expect("readable");
    assert_eq!((sids(&first), first.has_more), (vec![], true));
    query.page.cursor = first.next_cursor;
    let second = subject.store().plays(query).await.expect("readable");
    assert_eq!((sids(&second), second.has_more), (vec!["00000".to_owned()], false));
}

async fn a_list_comes_in_pages_without_gap_or_overlap(mut subject: Subject) {
    let plays = (0..300).map(|number| {
        let mut play = play(&format!("{number:03}"));
        // Several of the same moment, and two statuses: what is filtered out takes no place.
        play.created_at.0 = number / 7;
        play.status = if number % 3 == 0 { PlayStatus::Failed } else { PlayStatus::Running };
        play.workflow_sid = Some(WorkflowSid::new("w"));
        Write::Play(Box::new(play))
    });
    subject.commit(plays).await;
    for limit in [1, 7, 99, 100, 101, 1000, usize::MAX] {
        let mut query = PlayQuery {
            status: Some(PlayStatus::Failed),
            workflow: Some(WorkflowSid::new("w")),
            ..PlayQuery::default()
        };
        query.page.limit = limit;
        let mut seen = Vec::new();
        loop {
            let page = subject.store().plays(query.clone()).await.expect("readable");
            assert!(page.items.len() == limit || !page.has_more, "{limit}");
            seen.extend(sids(&page));
            query.page.cursor = page.next_cursor;
            if !page.has_more {
                break;
            }
        }
        assert_eq!(seen.len(), 100, "{limit}");
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 100, "{limit}");
    }
}

async fn a_cursor_of_another_list_is_refused(mut subject: Subject) {
    let (a, b) = (PlaySid::new("a"), PlaySid::new("b"));
    for sid in [&a, &b] {
        subject.commit([1, 2].map(|seq| Write::Log(sid.clone(), log(1, seq)))).await;
    }
    let store = subject.store();
    let page = |cursor| PageQuery { cursor, limit: 1 };
    let cursor = store.logs(&a, page(None)).await.expect("readable").next_cursor;
    assert_eq!(store.logs(&a, page(cursor.clone())).await.expect("its own").items, [log(1, 2)]);
    assert_bad_cursor(store.logs(&b, page(cursor.clone())).await);
    assert_bad_cursor(store.spans(&a, page(cursor.clone())).await);
    assert_bad_cursor(store.open_questions(page(cursor.clone())).await);
    assert_bad_cursor(store.workflows(page(cursor)).await);
    for text in ["", "0", "zz", "é", "00000000", "0000000000", "\u{0}"] {
        assert_bad_cursor(store.logs(&a, page(Some(text.into()))).await);
    }
}

async fn a_version_is_never_replaced(mut subject: Subject) {
    subject.commit([Write::Version(Box::new(version("v", "first")))]).await;
    subject.commit([Write::Version(Box::new(version("v", "second")))]).await;
    let stored = subject.store().version(&VersionSid::new("v")).await.expect("readable");
    assert_eq!(stored, Some(version("v", "first")));
    let none = subject.store().version(&VersionSid::new("x")).await.expect("readable");
    assert_eq!(none, None);
}

async fn a_workflow_is_found_by_its_sid_and_by_its_name(mut subject: Subject) {
    for (sid, name) in [("1", "b"), ("2", "c"), ("3", "a")] {
        subject.commit([Write::Workflow(Box::new(workflow(sid, name)))]).await;
    }
    let taken = Write::Workflow(Box::new(workflow("4", "c")));
    assert_conflict(subject.try_commit(None, [taken]).await);
    let renamed = Workflow { revision: 2, ..workflow("2", "d") };
    subject.commit([Write::Workflow(Box::new(renamed.clone()))]).await;
    subject.commit([Write::Workflow(Box::new(workflow("4", "c")))]).await;
    let store = subject.store();
    assert_eq!(store.workflow("2").await.expect("readable"), Some(renamed.clone()));
    assert_eq!(store.workflow("d").await.expect("readable"), Some(renamed));
    assert_eq!(store.workflow("c").await.expect("readable"), Some(workflow("4", "c")));
    assert_eq!(store.workflow("e").await.expect("readable"), None);
    let page = store.workflows(PageQuery { cursor: None, limit: 3 }).await.expect("readable");
    assert_eq!(names(&page), ["a", "b", "c"]);
    let rest = PageQuery { cursor: page.next_cursor, limit: 3 };
    assert_eq!(names(&store.workflows(rest).await.expect("readable")), ["d"]);
}

async fn for_how_long_plays_are_kept_is_told_by_workflow(mut subject: Subject) {
    let keeping = |workflow: &str, keep_last| Retention {
        keep_last,
        keep_days: Some(0.5),
        ..Retention::unlimited(WorkflowSid::new(workflow))
    };
    let (a, b) = (keeping("a", Some(3)), keeping("b", None));
    subject.commit([Write::Retention(b.clone()), Write::Retention(keeping("a", None))]).await;
    subject.commit([Write::Retention(a.clone())]).await;
    let store = subject.store();
    assert_eq!(store.retention(&WorkflowSid::new("a")).await.expect("readable"), Some(a.clone()));
    assert_eq!(store.retention(&WorkflowSid::new("")).await.expect("readable"), None);
    let first = store.retentions(PageQuery { cursor: None, limit: 1 }).await.expect("readable");
    assert_eq!((&first.items, first.has_more), (&vec![a], true));
    let rest = PageQuery { cursor: first.next_cursor, limit: 9 };
    assert_eq!(store.retentions(rest).await.expect("readable").items, [b]);
    subject.commit([Write::Retention(Retention::unlimited(WorkflowSid::new("a")))]).await;
    assert_eq!(subject.store().retention(&WorkflowSid::new("a")).await.expect("readable"), None);
}

async fn only_the_next_revision_replaces_a_workflow(mut subject: Subject) {
    let revision = |revision, version| {
        let workflow = Workflow { revision, version, ..workflow("w", "ship") };
        [Write::Workflow(Box::new(workflow))]
    };
    subject.commit(revision(1, 1)).await;
    for stale in [1, 3] {
        assert_conflict(subject.try_commit(None, revision(stale, 9)).await);
    }
    subject.commit(revision(2, 2)).await;
    assert_conflict(subject.try_commit(None, revision(2, 9)).await);
    let stored = subject.store().workflow("ship").await.expect("readable").expect("there");
    assert_eq!((stored.revision, stored.version), (2, 2));
}

async fn a_number_is_of_one_version_and_a_version_has_one_number(mut subject: Subject) {
    let sid = WorkflowSid::new("w");
    let write = |version| [Write::NumberedVersion(WorkflowSid::new("w"), version)];
    for number in [1, 2, 255, 256] {
        subject.commit(write(numbered(number))).await;
    }
    subject.commit(write(numbered(2))).await;
    assert_conflict(
        subject.try_commit(None, write(NumberedVersion { number: 3, ..numbered(2) })).await,
    );
    assert_conflict(
        subject.try_commit(None, write(NumberedVersion { number: 2, ..numbered(3) })).await,
    );
    let other = WorkflowSid::new("x");
    subject.commit([Write::NumberedVersion(other.clone(), numbered(7))]).await;

    let store = subject.store();
    assert_eq!(store.numbered_version(&sid, 2).await.expect("readable"), Some(numbered(2)));
    assert_eq!(store.numbered_version(&sid, 7).await.expect("readable"), None);
    let page = PageQuery { cursor: None, limit: 3 };
    let page = store.numbered_versions(&sid, page).await.expect("readable");
    assert_eq!(page.items, [numbered(256), numbered(255), numbered(2)]);
    let rest = PageQuery { cursor: page.next_cursor, limit: 3 };
    let rest = store.numbered_versions(&sid, rest).await.expect("readable");
    assert_eq!(rest.items, [numbered(1)]);
    for (beginning, limit, n_found) in
        [("", 9, 4), ("02", 9, 2), ("02", 1, 1), ("0001", 9, 1), ("9", 9, 0)]
    {
        let found = store.versions_from(&sid, beginning, limit).await.expect("readable");
        assert_eq!(found.len(), n_found, "{beginning:?}");
    }
}

async fn the_history_of_a_workflow_is_only_added_to(mut subject: Subject) {
    let sid = WorkflowSid::new("w");
    let change = |revision, how| WorkflowChange {
        revision,
        version: 1,
        version_sid: VersionSid::new("0001"),
        how,
        at: Timestamp(5),
    };
    let write = |change| [Write::WorkflowChange(WorkflowSid::new("w"), change)];
    let (first, second) =
        (change(1, WorkflowChangeKind::Saved), change(2, WorkflowChangeKind::RolledBack));
    subject.commit(write(first.clone())).await;
    subject.commit(write(second.clone())).await;
    subject.commit(write(change(1, WorkflowChangeKind::SavedAgain))).await;
    let page = subject.store().workflow_changes(&sid, PageQuery::default()).await;
    assert_eq!(page.expect("readable").items, [second, first]);
}

async fn a_workflow_is_removed_as_it_was_read(mut subject: Subject) {
    let (kept, gone) = (workflow("k", "kept"), workflow("g", "gone"));
    let change = WorkflowChange {
        revision: 1,
        version: 1,
        version_sid: VersionSid::new("0001"),
        how: WorkflowChangeKind::Saved,
        at: Timestamp(5),
    };
    for workflow in [&kept, &gone] {
        let sid = &workflow.sid;
        subject
            .commit([
                Write::Version(Box::new(version("0001", "code"))),
                Write::Workflow(Box::new(workflow.clone())),
                Write::NumberedVersion(sid.clone(), numbered(1)),
                Write::WorkflowChange(sid.clone(), change.clone()),
            ])
            .await;
    }
    let newer = Workflow { revision: 2, ..gone.clone() };
    subject.commit([Write::Workflow(Box::new(newer.clone()))]).await;
    assert_conflict(
        subject.try_commit(None, [Write::RemoveWorkflow(Box::new(gone.clone()))]).await,
    );
    // Also what the same batch has just written.
    let more = Write::NumberedVersion(gone.sid.clone(), numbered(2));
    subject.commit([more, Write::RemoveWorkflow(Box::new(newer.clone()))]).await;
    subject.commit([Write::RemoveWorkflow(Box::new(newer))]).await;

    let store = subject.store();
    for name in ["g", "gone"] {
        assert_eq!(store.workflow(name).await.expect("readable"), None);
    }
    let none = store.numbered_versions(&gone.sid, PageQuery::default()).await.expect("readable");
    assert_eq!(none.items, []);
    assert_eq!(store.versions_from(&gone.sid, "", 9).await.expect("readable"), []);
    let none = store.workflow_changes(&gone.sid, PageQuery::default()).await.expect("readable");
    assert_eq!(none.items, []);
    assert_eq!(store.workflow("kept").await.expect("readable"), Some(kept.clone()));
    assert_eq!(store.versions_from(&kept.sid, "", 9).await.expect("readable"), [numbered(1)]);
    let code = store.version(&VersionSid::new("0001")).await.expect("readable");
    assert!(code.is_some(), "plays are pinned to it");
    subject.commit([Write::Workflow(Box::new(workflow("n", "gone")))]).await;
}

async fn an_answer_that_was_carried_over_may_be_asked_for_anew(mut subject: Subject) {
    let sid = PlaySid::new("a");
    let asked = request("r", 1);
    let carried = ResumeRequest { is_carried: true, ..answered(&asked, "true") };
    let write =
        |request: &ResumeRequest| [Write::Request(PlaySid::new("a"), Box::new(request.clone()))];
    subject.commit(write(&carried)).await;
    subject.commit(write(&asked)).await;
    subject.commit(write(&answered(&asked, "false"))).await;
    assert_conflict(subject.try_commit(None, write(&carried)).await);
    let stored = subject.store().requests(&sid).await.expect("readable");
    assert_eq!(stored, [answered(&asked, "false")]);
}

async fn only_the_next_revision_replaces_a_schedule(mut subject: Subject) {
    let first = schedule("s", "nightly");
    let second = Schedule { revision: 1, state: ScheduleState::Paused, ..first.clone() };
    let third = Schedule { revision: 2, ..first.clone() };
    assert_conflict(subject.try_commit(None, [write_schedule(&second)]).await);
    subject.commit([write_schedule(&first)]).await;
    assert_conflict(subject.try_commit(None, [write_schedule(&first)]).await);
    // What goes with a refused revision is refused with it.
    let along = Write::Firing(Box::new(firing("s", 10)));
    assert_conflict(subject.try_commit(None, [along, write_schedule(&third)]).await);
    assert_eq!(subject.store().open_firings(None, 10).await.expect("readable"), []);
    subject.commit([write_schedule(&second)]).await;
    assert_eq!(subject.store().schedule("s").await.expect("readable"), Some(second));
}

async fn a_schedule_is_found_by_its_sid_and_by_its_name(mut subject: Subject) {
    let nightly = schedule("s", "nightly");
    subject.commit([write_schedule(&nightly), write_schedule(&schedule("t", "a"))]).await;
    let namesake = subject.try_commit(None, [write_schedule(&schedule("u", "nightly"))]);
    assert_conflict(namesake.await);
    for name in ["s", "nightly"] {
        let found = subject.store().schedule(name).await.expect("readable");
        assert_eq!(found.as_ref(), Some(&nightly), "{name}");
    }
    assert_eq!(subject.store().schedule("night").await.expect("readable"), None);
    let page = |cursor| PageQuery { cursor, limit: 1 };
    let first = subject.store().schedules(page(None)).await.expect("readable");
    let second = subject.store().schedules(page(first.next_cursor)).await.expect("readable");
    let names = [&first.items[0].name, &second.items[0].name];
    assert_eq!((names, second.has_more), ([&"a".to_owned(), &"nightly".to_owned()], false));
}

async fn schedules_come_by_when_they_fire_and_only_where_they_do(mut subject: Subject) {
    let at = |sid: &str, at| Schedule { next_at: Some(Timestamp(at)), ..schedule(sid, sid) };
    let (late, early) = (at("a", 30), at("b", -20));
    let other = Schedule { workflow_sid: WorkflowSid::new("v"), ..at("c", 40) };
    let paused = Schedule { state: ScheduleState::Paused, next_at: None, ..schedule("d", "d") };
    subject.commit([&late, &early, &other, &paused].map(write_schedule)).await;
    assert_eq!(due_schedules(&subject, 10).await, ["-20 b", "30 a", "40 c"]);
    assert_eq!(due_schedules(&subject, 1).await, ["-20 b"]);
    assert_eq!(active(&subject, "w").await, ["a", "b"]);
    assert_eq!(active(&subject, "v").await, ["c"]);
    assert_eq!(active(&subject, "").await, [""; 0]);

    let later = Schedule { revision: 1, next_at: Some(Timestamp(35)), ..early.clone() };
    let state = ScheduleState::Retired;
    let over = Schedule { revision: 1, state, next_at: None, due: None, ..other };
    let unpaused = Schedule { revision: 1, ..at("d", 1) };
    subject.commit([&later, &over, &unpaused].map(write_schedule)).await;
    assert_eq!(due_schedules(&subject, 10).await, ["1 d", "30 a", "35 b"]);
    assert_eq!(active(&subject, "w").await, ["a", "b", "d"]);
    assert_eq!(active(&subject, "v").await, [""; 0]);
}

async fn firings_come_latest_first_and_those_that_are_open_earliest_first(mut subject: Subject) {
    assert_conflict(subject.try_commit(None, [write_firing(&firing("s", 1))]).await);
    let schedules = [schedule("s", "s"), schedule("t", "t")];
    subject.commit(schedules.iter().map(write_schedule)).await;
    let queued = Firing { outcome: FiringOutcome::Queued, ..firing("s", 30) };
    let claimed = [firing("s", 20), firing("s", 10), firing("t", 15)];
    subject.commit(claimed.iter().chain([&queued]).map(write_firing)).await;
    let sid = ScheduleSid::new("s");
    assert_eq!(open_firings(&subject, Some(&sid)).await, ["s-10", "s-20", "s-30"]);
    assert_eq!(open_firings(&subject, None).await, ["s-10", "s-20", "s-30", "t-15"]);

    let started = FiringOutcome::Started { play_sid: PlaySid::new("p") };
    let started = Firing { outcome: started, ..firing("s", 20) };
    let claimed = Firing { outcome: FiringOutcome::Claimed, ..queued };
    subject.commit([&started, &claimed].map(write_firing)).await;
    assert_eq!(open_firings(&subject, Some(&sid)).await, ["s-10", "s-30"]);
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let page = subject.store().firings(&sid, PageQuery { cursor, limit: 2 }).await;
        let page = page.expect("readable");
        found.extend(page.items);
        cursor = page.next_cursor;
        if !page.has_more {
            break;
        }
    }
    assert_eq!(found, [claimed, started.clone(), firing("s", 10)]);
    let place = FiringPlace { due_at: started.due_at, id: started.id.clone() };
    assert_eq!(subject.store().firing(&sid, &place).await.expect("readable"), Some(started));
    let place = FiringPlace { due_at: Timestamp(21), ..place };
    assert_eq!(subject.store().firing(&sid, &place).await.expect("readable"), None);
}

async fn a_firing_that_is_decided_for_good_stands(mut subject: Subject) {
    subject.commit([write_schedule(&schedule("s", "s")), write_firing(&firing("s", 1))]).await;
    let started = |play| {
        let outcome = FiringOutcome::Started { play_sid: PlaySid::new(play) };
        Firing { outcome, ..firing("s", 1) }
    };
    subject.commit([write_firing(&started("p"))]).await;
    subject.commit([write_firing(&started("p"))]).await;
    assert_conflict(subject.try_commit(None, [write_firing(&started("q"))]).await);
    assert_conflict(subject.try_commit(None, [write_firing(&firing("s", 1))]).await);
}

async fn a_schedule_is_removed_with_its_firings(mut subject: Subject) {
    let kept = [write_schedule(&schedule("ss", "ss")), write_firing(&firing("ss", 1))];
    subject.commit(kept).await;
    subject.commit([write_schedule(&schedule("s", "s")), write_firing(&firing("s", 1))]).await;
    let sid = ScheduleSid::new("s");
    let last = [write_firing(&firing("s", 2)), Write::RemoveSchedule(sid.clone())];
    subject.commit(last).await;
    let store = subject.store();
    assert_eq!(store.schedule("s").await.expect("readable"), None);
    assert_eq!(store.firings(&sid, PageQuery::default()).await.expect("readable").items, []);
    assert_eq!(open_firings(&subject, None).await, ["ss-1"]);
    assert_eq!(due_schedules(&subject, 10).await, ["11 ss"]);
    assert_eq!(active(&subject, "w").await, ["ss"]);
    subject.commit([Write::RemoveSchedule(sid), write_schedule(&schedule("s2", "s"))]).await;
    assert_conflict(subject.try_commit(None, [write_firing(&firing("s", 3))]).await);
}

async fn a_workflow_with_an_active_schedule_is_not_removed(mut subject: Subject) {
    let ship = workflow("w", "ship");
    let active = schedule("s", "s");
    let paused = Schedule { revision: 1, state: ScheduleState::Paused, ..active.clone() };
    let remove = || Write::RemoveWorkflow(Box::new(ship.clone()));
    let write = Write::Workflow(Box::new(ship.clone()));
    subject.commit([write.clone(), write_schedule(&active)]).await;
    assert_conflict(subject.try_commit(None, [remove()]).await);
    subject.commit([write_schedule(&paused), remove()]).await;
    assert_eq!(subject.store().workflow("ship").await.expect("readable"), None);
    let again = Schedule { revision: 2, ..active };
    assert_conflict(subject.try_commit(None, [write, write_schedule(&again), remove()]).await);
}

async fn what_was_posted_is_there_with_the_next_commit(mut subject: Subject) {
    let sid = PlaySid::new("a");
    for status in [SpanStatus::Running, SpanStatus::Ok] {
        let mut span = span(1, 1);
        span.status = status;
        let writes = vec![Write::Span(sid.clone(), Box::new(span))];
        subject.store().post(Batch { fence: None, writes });
    }
    subject.commit([Write::Log(sid.clone(), log(1, 1))]).await;
    let page = subject.store().spans(&sid, PageQuery::default()).await.expect("readable");
    assert_eq!(page.items.iter().map(|span| span.status).collect::<Vec<_>>(), [SpanStatus::Ok]);
}

async fn news_tell_of_every_play_that_was_written(subject: Subject) {
    let store = subject.store();
    let mut news = store.news();
    let (a, b) = (PlaySid::new("a"), PlaySid::new("b"));
    let writes = vec![Write::Play(Box::new(play("a")))];
    store.commit(Batch { fence: None, writes: writes.clone() }).await.expect("accepted");
    assert_eq!(news.recv().await, Ok(a));
    assert_conflict(store.commit(Batch { fence: None, writes }).await);
    store.post(Batch { fence: None, writes: vec![Write::Log(b.clone(), log(1, 1))] });
    // The refused batch changed nothing and is no news.
    assert_eq!(news.recv().await, Ok(b.clone()));
    let page = store.logs(&b, PageQuery::default()).await.expect("readable");
    assert_eq!(page.items, [log(1, 1)]);
}

async fn values_of_any_size_read_back(mut subject: Subject) {
    let sid = PlaySid::new("a");
    for n_bytes in [0, 3000, 3700, 3750, 3800, 4095, 4096, 5000, 100_000, 1 << 20] {
        let text = "é".repeat(n_bytes / 2);
        let key = n_bytes.to_string();
        subject.commit([Write::Outcome(sid.clone(), Box::new(outcome(&key, &text)))]).await;
        let outcomes = subject.store().outcomes(&sid).await.expect("readable");
        assert!(outcomes.contains(&outcome(&key, &text)), "{n_bytes}");
    }
    let mut large = play("a");
    large.input = json(&format!(r#"{{"text":"{}"}}"#, "x".repeat(10_000)));
    subject.commit([Write::Play(Box::new(large.clone()))]).await;
    let small = revised(&large, |play| play.input = json("{}"));
    subject.commit([Write::Play(Box::new(small.clone()))]).await;
    assert_eq!(subject.store().play(&sid).await.expect("readable"), Some(small));
    let source = "pass\n".repeat(20_000);
    let versions = ["v", "w"].map(|sid| Write::Version(Box::new(version(sid, &source))));
    subject.commit(versions).await;
    let stored = subject.store().version(&VersionSid::new("w")).await.expect("readable");
    assert_eq!(stored, Some(version("w", &source)));
}

async fn no_id_reaches_the_records_of_another(mut subject: Subject) {
    let ids = ["", "a", "a/b", "a\0", "a\0\u{1}b", "é", "%", "../x"];
    for id in ids {
        let sid = PlaySid::new(id);
        let outcome = Write::Outcome(sid.clone(), Box::new(outcome(id, id)));
        subject.commit([Write::Play(Box::new(play(id))), outcome]).await;
    }
    for id in ids {
        let sid = PlaySid::new(id);
        let store = subject.store();
        assert_eq!(store.outcomes(&sid).await.expect("readable"), [outcome(id, id)]);
        assert_eq!(store.play(&sid).await.expect("readable"), Some(play(id)));
    }
    let page = subject.store().plays(PlayQuery::default()).await.expect("readable");
    assert_eq!(sids(&page).len(), ids.len());
}

async fn every_one_of_64_writers_at_once_is_answered(mut subject: Subject) {
    let store = subject.store().clone();
    let writers = (0..64).map(|number| {
        let (store, sid) = (store.clone(), PlaySid::new(format!("{}", number % 4)));
        tokio::spawn(async move {
            for step in 0..10 {
                let outcome = outcome(&format!("{number}.{step}"), "x");
                let writes = vec![Write::Outcome(sid.clone(), Box::new(outcome))];
                store.commit(Batch { fence: None, writes }).await.expect("accepted");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("every writer is answered");
    }
    drop(store);
    subject.reopen().await;
    for sid in 0..4 {
        let sid = PlaySid::new(sid.to_string());
        assert_eq!(subject.store().outcomes(&sid).await.expect("readable").len(), 160);
    }
}

async fn of_many_who_change_a_play_at_once_one_wins(mut subject: Subject) {
    let first = play("a");
    subject.commit([Write::Play(Box::new(first.clone()))]).await;
    let store = subject.store().clone();
    let racers: Vec<_> = (0..32)
        .map(|number| {
            let changed = revised(&first, |play| play.name = number.to_string());
            let bystander = play(&format!("bystander {number}"));
            let store: Arc<dyn Store> = store.clone();
            tokio::spawn(async move {
                let writes =
                    |play| Batch { fence: None, writes: vec![Write::Play(Box::new(play))] };
                let won = store.commit(writes(changed)).await;
                store.commit(writes(bystander)).await.expect("it is in nobody's way");
                (number, won)
            })
        })
        .collect();
    let mut winners = Vec::new();
    for racer in racers {
        match racer.await.expect("every racer is answered") {
            (number, Ok(())) => winners.push(number.to_string()),
            (_, lost) => assert_conflict(lost),
        }
    }
    drop(store);
    subject.reopen().await;
    let stored = subject.store().play(&first.sid).await.expect("readable").expect("stored");
    assert_eq!(winners, [stored.name]);
    let page = subject.store().plays(PlayQuery::default()).await.expect("readable");
    assert_eq!(page.items.len(), 33);
}

async fn a_closed_store_refuses_everything(subject: Subject) {
    let store = subject.store();
    store.close().await.expect("it closes");
    let batch = || Batch { fence: None, writes: vec![Write::Play(Box::new(play("a")))] };
    assert!(matches!(store.commit(batch()).await, Err(Error::Closed)));
    store.post(batch());
    assert!(matches!(store.play(&PlaySid::new("a")).await, Err(Error::Closed)));
    assert!(matches!(store.close().await, Err(Error::Closed)));
}

async fn the_clock_goes_forward(mut subject: Subject) {
    let before = subject.store().now();
    subject.reopen().await;
    assert!(subject.store().now() > before);
}

fn assert_conflict(result: Result<(), Error>) {
    assert!(matches!(result, Err(Error::Conflict { .. })), "{result:?}");
}

fn write_schedule(schedule: &Schedule) -> Write {
    Write::Schedule(Box::new(schedule.clone()))
}

fn write_firing(firing: &Firing) -> Write {
    Write::Firing(Box::new(firing.clone()))
}

async fn due_schedules(subject: &Subject, limit: usize) -> Vec<String> {
    let due = subject.store().due_schedules(limit).await.expect("readable");
    due.into_iter().map(|(at, schedule)| format!("{} {schedule}", at.0)).collect()
}

async fn active(subject: &Subject, workflow: &str) -> Vec<String> {
    let active = subject.store().active_schedules(&WorkflowSid::new(workflow)).await;
    active.expect("readable").iter().map(ToString::to_string).collect()
}

async fn open_firings(subject: &Subject, schedule: Option<&ScheduleSid>) -> Vec<String> {
    let open = subject.store().open_firings(schedule, 10).await.expect("readable");
    open.iter().map(|firing| firing.id.to_string()).collect()
}

fn assert_bad_cursor<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::BadCursor(_))), "{result:?}");
}

fn write(play: &PlayRecord) -> Write {
    Write::Play(Box::new(play.clone()))
}

fn started_with(sid: &str, key: &str) -> PlayRecord {
    let start_key = StartKey { key: key.into(), fingerprint: "f".into() };
    PlayRecord { start_key: Some(start_key), ..play(sid) }
}

/// A play that is on every list.
fn full_play(sid: &str) -> PlayRecord {
    PlayRecord {
        workflow_sid: Some(WorkflowSid::new("w")),
        parent: Some(PlaySid::new("p")),
        deadline: Some(Timestamp(30)),
        started_by: Some(Starter::Schedule { schedule: "s".into() }),
        tags: BTreeMap::from([("n".into(), json("1"))]),
        ..play(sid)
    }
}

/// The play with a record of each kind, one of them large.
fn everything_of(play: &PlayRecord) -> Vec<Write> {
    let sid = || play.sid.clone();
    let mut asked = request("r", 1);
    asked.expires_at = Some(Timestamp(20));
    vec![
        write(play),
        Write::Request(sid(), Box::new(asked)),
        Write::Outcome(sid(), Box::new(outcome("k", &"x".repeat(10_000)))),
        Write::Outcome(sid(), Box::new(outcome("l", "x"))),
        Write::Span(sid(), Box::new(span(1, 1))),
        Write::Replayed(sid(), Box::new(replayed(1, &[(1, 1, 1)]))),
        Write::Log(sid(), log(1, 1)),
    ]
}

/// Whether anything of such a play is found, by whatever way.
async fn has_anything(subject: &Subject, play: &PlayRecord) -> bool {
    let store = subject.store();
    let sid = &play.sid;
    let all = PageQuery::default;
    let of_status = PlayQuery { status: Some(play.status), ..PlayQuery::default() };
    let of_workflow = PlayQuery { workflow: play.workflow_sid.clone(), ..PlayQuery::default() };
    let of_parent = PlayQuery { parent: play.parent.clone(), ..PlayQuery::default() };
    let tags = BTreeMap::from([("n".to_owned(), "1".to_owned())]);
    let tagged = PlayQuery { tags, ..PlayQuery::default() };
    let by = |who: Option<&str>| {
        let started_by = StartedBy { word: "schedule".into(), who: who.map(Into::into) };
        PlayQuery { started_by: Some(started_by), ..PlayQuery::default() }
    };
    let (by_a_schedule, by_this_one) = (by(None), by(Some("s")));
    let mut is_listed = Vec::new();
    for query in [
        PlayQuery::default(),
        of_status,
        of_workflow,
        of_parent,
        tagged,
        by_a_schedule,
        by_this_one,
    ] {
        let page = store.plays(query).await.expect("readable");
        is_listed.push(page.items.iter().any(|listed| listed.sid == *sid));
    }
    let is_there = [
        store.play(sid).await.expect("readable").is_some(),
        !store.requests(sid).await.expect("readable").is_empty(),
        !store.outcomes(sid).await.expect("readable").is_empty(),
        !store.spans(sid, all()).await.expect("readable").items.is_empty(),
        !store.logs(sid, all()).await.expect("readable").items.is_empty(),
        open(subject).await.iter().any(|listed| listed.starts_with(&format!("{sid}/"))),
    ];
    let found: Vec<_> = is_listed.into_iter().chain(is_there).collect();
    assert!(found.iter().all(|is_there| *is_there == found[0]), "some are left: {found:?}");
    found[0]
}

/// What falls due, as `moment play` or `moment play/request`.
async fn due(subject: &Subject, limit: usize) -> Vec<String> {
    let due = subject.store().due(limit).await.expect("readable");
    let text = |due: Due| match due.request {
        Some(request) => format!("{} {}/{request}", due.at.0, due.play),
        None => format!("{} {}", due.at.0, due.play),
    };
    due.into_iter().map(text).collect()
}

fn sids(page: &Page<PlayRecord>) -> Vec<String> {
    page.items.iter().map(|play| play.sid.as_str().to_owned()).collect()
}

fn names(page: &Page<hero_schema::Workflow>) -> Vec<&str> {
    page.items.iter().map(|workflow| workflow.name.as_str()).collect()
}

/// The open requests as `play/request`, read in pages of two.
async fn open(subject: &Subject) -> Vec<String> {
    let mut found = Vec::new();
    let mut query = PageQuery { cursor: None, limit: 2 };
    loop {
        let page = subject.store().open_questions(query).await.expect("readable");
        found.extend(page.items.iter().map(|(play, request)| format!("{play}/{}", request.id)));
        if !page.has_more {
            return found;
        }
        query = PageQuery { cursor: page.next_cursor, limit: 2 };
    }
}
