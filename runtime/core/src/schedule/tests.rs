use hero_schema::{Json, ScheduleSid, When, WorkflowSid};
use jiff::tz::TimeZone;

use super::*;

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("the zone is built in")
}

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().expect("a moment").as_microsecond())
}

fn shown(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).expect("in range").to_string()
}

fn cron(expression: &str, time_zone: &str) -> (When, Calendar) {
    let when = When::Cron { expression: expression.into(), time_zone: time_zone.into() };
    let calendar = Calendar::new(&when, zone(time_zone), Timestamp(0)).expect("it reads");
    (when, calendar)
}

fn every(micros: u64) -> (When, Calendar) {
    let when = When::Every { micros };
    let calendar = Calendar::new(&when, TimeZone::UTC, Timestamp(0)).expect("it reads");
    (when, calendar)
}

fn schedule(when: When, overlap: Overlap) -> Schedule {
    Schedule {
        sid: ScheduleSid::new("s"),
        revision: 0,
        name: "nightly".into(),
        workflow_sid: WorkflowSid::new("w"),
        workflow_name: "report".into(),
        when,
        input_data: Json::empty_object(),
        overlap,
        catch_up_micros: Some(HOUR),
        jitter_micros: 0,
        allow_replan: false,
        state: ScheduleState::Active,
        due: None,
        next_at: None,
        latest: None,
        created_at: Timestamp(0),
    }
}

/// A schedule by the hour, from the epoch on.
fn hourly(overlap: Overlap) -> (Schedule, Calendar) {
    let (when, calendar) = every(HOUR);
    let schedule = begin(schedule(when, overlap), &calendar, Timestamp(0)).expect("it is due");
    (schedule, calendar)
}

fn after(micros: u64) -> Timestamp {
    Timestamp(0).after_micros(micros)
}

fn decided(turn: Turn) -> Decided {
    match turn {
        Turn::Decide(decided) => *decided,
        other => panic!("{other:?}"),
    }
}

#[test]
fn cron_expressions_are_due_by_the_clock_of_their_zone() {
    let cases: &[(&str, &str, &str, &[&str])] = &[
        (
            "30 2 * * *",
            "UTC",
            "2026-11-21T12:00:00Z",
            &["2026-11-22T02:30:00Z", "2026-11-23T02:30:00Z"],
        ),
        ("0 9 * * MON-FRI", "Europe/Berlin", "2026-11-20T12:00:00Z", &["2026-11-23T08:00:00Z"]),
        (
            "0 0 L * *",
            "UTC",
            "2028-02-10T00:00:00Z",
            &["2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z"],
        ),
        (
            "0 0 29 2 *",
            "UTC",
            "2025-01-01T00:00:00Z",
            &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"],
        ),
        ("@daily", "Asia/Kolkata", "2026-11-21T00:00:00Z", &["2026-11-21T18:30:00Z"]),
        (
            "*/20 * * * *",
            "UTC",
            "2026-11-21T00:20:00Z",
            &["2026-11-21T00:40:00Z", "2026-11-21T01:00:00Z"],
        ),
        ("30 2 * * *", "Australia/Lord_Howe", "2026-04-03T12:00:00Z", &["2026-04-03T15:30:00Z"]),
    ];
    for (expression, zone, from, expected) in cases {
        let (_, calendar) = cron(expression, zone);
        let upcoming = calendar.upcoming(at(from), expected.len());
        let upcoming: Vec<_> = upcoming.into_iter().map(shown).collect();
        assert_eq!(upcoming, *expected, "{expression} in {zone} after {from}");
    }
}

#[test]
fn a_daily_time_is_due_once_a_day_across_both_changes_of_the_clock() {
    // Expression, zone, from, and the due times of the days around the change.
    let cases: &[(&str, &str, &str, &[&str])] = &[
        // The clock goes from 02:00 to 03:00: it fires as soon as the clock goes on.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2027-03-26T12:00:00Z",
            &["2027-03-27T01:30:00Z", "2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"],
        ),
        // The clock shows 02:30 twice: it fires the first time.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2027-10-29T12:00:00Z",
            &["2027-10-30T00:30:00Z", "2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"],
        ),
        (
            "30 2 * * *",
            "America/New_York",
            "2027-03-13T00:00:00Z",
            &["2027-03-13T07:30:00Z", "2027-03-14T07:00:00Z", "2027-03-15T06:30:00Z"],
        ),
        (
            "30 1 * * *",
            "America/New_York",
            "2027-11-06T00:00:00Z",
            &["2027-11-06T05:30:00Z", "2027-11-07T05:30:00Z", "2027-11-08T06:30:00Z"],
        ),
        // A change by half an hour only.
        (
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-02T20:00:00Z",
            &["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"],
        ),
    ];
    for (expression, zone, from, expected) in cases {
        let (_, calendar) = cron(expression, zone);
        let upcoming: Vec<_> =
            calendar.upcoming(at(from), expected.len()).into_iter().map(shown).collect();
        assert_eq!(upcoming, *expected, "{expression} in {zone}");
    }
}

#[test]
fn over_ten_years_a_daily_time_is_due_on_every_day_once() {
    for name in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo"] {
        for expression in ["30 2 * * *", "0 2 * * *", "59 1 * * *", "30 1 * * *", "0 0 * * *"] {
            let (_, calendar) = cron(expression, name);
            let due = calendar.upcoming(at("2017-01-01T12:00:00Z"), 3653);
            let days: Vec<_> = due
                .iter()
                .map(|due| {
                    let due = jiff::Timestamp::from_microsecond(due.0).expect("in range");
                    due.to_zoned(zone(name)).date()
                })
                .collect();
            let is_next = |pair: &[jiff::civil::Date]| pair[0].tomorrow().ok() == Some(pair[1]);
            let odd = days.windows(2).find(|pair| !is_next(pair));
            assert_eq!(odd, None, "{expression} in {name}");
        }
    }
}

#[test]
fn every_counts_from_the_beginning_however_often_it_was_looked_at() {
    let (_, calendar) = every(7 * SECOND);
    let cases = [(0, 7), (6, 7), (7, 14), (13, 14), (700, 707)];
    for (moment, expected) in cases {
        assert_eq!(calendar.next_after(after(moment * SECOND)), Some(after(expected * SECOND)));
    }
    assert_eq!(calendar.next_after(Timestamp(-1)), Some(after(7 * SECOND)));
    assert_eq!(calendar.next_after(Timestamp(i64::MAX)), None);
}

#[test]
fn what_can_never_be_due_is_refused() {
    for expression in [
        "",
        "x",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "0 25 * * *",
        "0 0 32 * *",
        "@reboot",
        "5 4 * * 9",
    ] {
        let when = When::Cron { expression: expression.into(), time_zone: "UTC".into() };
        let read = Calendar::new(&when, TimeZone::UTC, Timestamp(0));
        assert!(matches!(read, Err(Unfit::Expression { .. })), "{expression:?}: {read:?}");
    }
    let long = When::Cron { expression: "0,".repeat(100_000), time_zone: "UTC".into() };
    assert!(Calendar::new(&long, TimeZone::UTC, Timestamp(0)).is_err());
    for micros in [0, SECOND - 1, u64::MAX] {
        let read = Calendar::new(&When::Every { micros }, TimeZone::UTC, Timestamp(0));
        assert_eq!(read.err(), Some(Unfit::Distance { micros }));
    }
    let (when, calendar) = cron("0 0 30 2 *", "UTC");
    assert_eq!(begin(schedule(when, Overlap::Skip), &calendar, Timestamp(0)), Err(Over));
    let when = When::At(Timestamp(5));
    let calendar = Calendar::new(&when, TimeZone::UTC, Timestamp(0)).expect("it reads");
    assert_eq!(begin(schedule(when, Overlap::Skip), &calendar, Timestamp(5)), Err(Over));
}

/// What is open before the due time.
enum Open {
    Nothing,
    Queued,
    Full,
    Claimed,
}

#[test]
fn a_due_time_comes_to_what_the_overlap_policy_says() {
    use Open::{Claimed, Full, Nothing, Queued};
    use Overlap::{Allow, CancelPrevious, Queue, Skip};
    let cases = [
        (Skip, false, Nothing, "claimed"),
        (Skip, true, Nothing, "skipped overlap"),
        (Skip, false, Claimed, "start"),
        (Skip, true, Claimed, "start"),
        (Queue, false, Nothing, "claimed"),
        (Queue, true, Nothing, "queued"),
        (Queue, true, Queued, "queued"),
        (Queue, false, Queued, "claimed the queued one"),
        (Queue, true, Full, "skipped queue_full"),
        (Queue, false, Claimed, "start"),
        (Allow, false, Nothing, "claimed"),
        (Allow, true, Nothing, "claimed"),
        (Allow, true, Claimed, "start"),
        (CancelPrevious, false, Nothing, "claimed"),
        (CancelPrevious, true, Nothing, "cancel"),
        (CancelPrevious, true, Claimed, "start"),
    ];
    for (overlap, runs, open, expected) in cases {
        let (schedule, calendar) = hourly(overlap);
        let play = PlaySid::new("p");
        let earlier = |n: usize, outcome| Firing {
            outcome,
            ..firing(&schedule, Timestamp(n as i64), false, Timestamp(0))
        };
        let open = match open {
            Nothing => Vec::new(),
            Queued => vec![earlier(1, FiringOutcome::Queued)],
            Full => (0..QUEUE_MAX).map(|n| earlier(n, FiringOutcome::Queued)).collect(),
            Claimed => vec![earlier(1, FiringOutcome::Claimed)],
        };
        let runs = runs.then_some(&play);
        let view =
            View { schedule: &schedule, calendar: &calendar, open: &open, runs, now: after(HOUR) };
        let turn = turn(view);
        let told = match &turn {
            Turn::Wait => "wait".into(),
            Turn::Start(firing) if *firing == open[0] => "start".into(),
            Turn::Start(other) => panic!("{other:?}"),
            Turn::Cancel(cancelled) => {
                assert_eq!(*cancelled, play);
                "cancel".into()
            }
            Turn::Decide(decided) => told(decided),
        };
        assert_eq!(told, expected, "{overlap:?}, runs {}", runs.is_some());
        if let Turn::Decide(decided) = turn {
            let is_due = decided.firing.due_at == after(HOUR);
            let next = if is_due { 2 * HOUR } else { HOUR };
            assert_eq!(decided.schedule.due, Some(after(next)), "each due time is decided once");
            assert_eq!(decided.schedule.revision, schedule.revision + 1);
            let is_claimed = decided.firing.outcome == FiringOutcome::Claimed;
            assert_eq!(decided.schedule.latest.is_some(), is_claimed);
        }
    }
}

fn told(decided: &Decided) -> String {
    match &decided.firing.outcome {
        FiringOutcome::Claimed if decided.firing.due_at == after(HOUR) => "claimed".into(),
        FiringOutcome::Claimed => "claimed the queued one".into(),
        FiringOutcome::Queued => "queued".into(),
        FiringOutcome::Skipped { reason, n_due, last_due_at, .. } => {
            assert_eq!((*n_due, *last_due_at), (1, decided.firing.due_at));
            format!("skipped {}", reason.word())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_fires_before_its_time() {
    let (schedule, calendar) = hourly(Overlap::Skip);
    let view = |now| View { schedule: &schedule, calendar: &calendar, open: &[], runs: None, now };
    assert_eq!(turn(view(after(HOUR - 1))), Turn::Wait);
    assert!(matches!(turn(view(after(HOUR))), Turn::Decide(_)));
}

/// Takes turns until there is nothing to be done, with every play ended at once.
fn settle(schedule: &mut Schedule, calendar: &Calendar, now: Timestamp) -> Vec<Firing> {
    let mut firings = Vec::new();
    let mut open = Vec::new();
    loop {
        match turn(View { schedule, calendar, open: &open, runs: None, now }) {
            Turn::Wait => return firings,
            Turn::Start(_) => open.clear(),
            Turn::Cancel(play) => panic!("{play} does not run"),
            Turn::Decide(decided) => {
                open.extend(Some(decided.firing.clone()).filter(|firing| firing.outcome.is_open()));
                firings.push(decided.firing);
                *schedule = decided.schedule;
            }
        }
    }
}

#[test]
fn a_missed_week_follows_the_catch_up_window() {
    // Window, and how many due times are skipped and fire after a week by the hour.
    let cases = [
        (Some(0), 167, 1),
        (Some(HOUR - 1), 167, 1),
        (Some(HOUR), 166, 2),
        (Some(DAY), 143, 25),
        (Some(7 * DAY), 0, 168),
        (None, 0, 168),
    ];
    for (window, n_skipped, n_fired) in cases {
        let (mut schedule, calendar) = hourly(Overlap::Skip);
        schedule.catch_up_micros = window;
        let firings = settle(&mut schedule, &calendar, after(7 * DAY));
        let mut found = (0, 0);
        let mut next = HOUR;
        for firing in &firings {
            assert_eq!(firing.due_at, after(next), "no due time is left out");
            match &firing.outcome {
                FiringOutcome::Skipped {
                    reason: SkipReason::Missed, n_due, last_due_at, ..
                } => {
                    assert_eq!(*last_due_at, after(next + (n_due - 1) * HOUR));
                    found.0 += n_due;
                    next += n_due * HOUR;
                }
                outcome => {
                    assert_eq!(*outcome, FiringOutcome::Claimed);
                    found.1 += 1;
                    next += HOUR;
                }
            }
        }
        assert_eq!(found, (n_skipped, n_fired), "{window:?}");
        assert_eq!(schedule.due, Some(after(7 * DAY + HOUR)));
    }
}

#[test]
fn a_week_that_a_cron_schedule_missed_is_one_record() {
    let (when, calendar) = cron("30 2 * * *", "Europe/Berlin");
    let from = at("2027-03-25T12:00:00Z");
    let mut schedule = begin(schedule(when, Overlap::Skip), &calendar, from).expect("it is due");
    let firings = settle(&mut schedule, &calendar, at("2027-04-01T00:45:00Z"));
    let FiringOutcome::Skipped { n_due, last_due_at, .. } = &firings[0].outcome else {
        panic!("{firings:?}")
    };
    assert_eq!((*n_due, shown(*last_due_at)), (6, "2027-03-31T00:30:00Z".into()));
    assert_eq!(shown(firings[1].due_at), "2027-04-01T00:30:00Z");
    assert_eq!(firings.len(), 2);
}

#[test]
fn a_one_time_schedule_is_retired_by_firing_and_by_missing() {
    for (now, is_missed) in [(HOUR, false), (2 * HOUR, false), (2 * HOUR + 1, true)] {
        let when = When::At(after(HOUR));
        let calendar = Calendar::new(&when, TimeZone::UTC, Timestamp(0)).expect("it reads");
        let once = schedule(when, Overlap::Skip);
        let mut once = begin(once, &calendar, Timestamp(0)).expect("it is due");
        let firings = settle(&mut once, &calendar, after(now));
        assert_eq!(firings.len(), 1);
        let is_skipped = matches!(firings[0].outcome, FiringOutcome::Skipped { .. });
        assert_eq!(is_skipped, is_missed, "{now}");
        assert_eq!((once.state, once.due, once.next_at), (ScheduleState::Retired, None, None));
        assert_eq!(unpause(&once, &calendar, after(now)), Err(Over), "it is not enabled again");
        assert_eq!(pause(&once), None);
    }
}

#[test]
fn what_was_due_during_a_pause_is_skipped() {
    let (schedule, calendar) = hourly(Overlap::Skip);
    let paused = pause(&schedule).expect("it fires");
    assert_eq!((paused.state, paused.next_at), (ScheduleState::Paused, None));
    assert_eq!(pause(&paused), None);
    let now = after(5 * HOUR + MINUTE);
    let view = View { schedule: &paused, calendar: &calendar, open: &[], runs: None, now };
    assert_eq!(turn(view), Turn::Wait);
    let (active, skipped) = unpause(&paused, &calendar, now).expect("it is due again");
    let skipped = skipped.expect("it was due meanwhile");
    assert_eq!(skipped.due_at, after(HOUR));
    let FiringOutcome::Skipped { reason, n_due, last_due_at, .. } = skipped.outcome else {
        panic!("{skipped:?}")
    };
    assert_eq!((reason, n_due, last_due_at), (SkipReason::Paused, 5, after(5 * HOUR)));
    assert_eq!((active.state, active.due), (ScheduleState::Active, Some(after(6 * HOUR))));
    let (active, skipped) = unpause(&paused, &calendar, after(MINUTE)).expect("it is due again");
    assert_eq!((active.due, skipped), (Some(after(HOUR)), None));
}

#[test]
fn a_one_time_schedule_that_was_paused_past_its_time_stays_paused() {
    let when = When::At(after(HOUR));
    let calendar = Calendar::new(&when, TimeZone::UTC, Timestamp(0)).expect("it reads");
    let once = begin(schedule(when, Overlap::Skip), &calendar, Timestamp(0)).expect("it is due");
    let paused = pause(&once).expect("it fires");
    assert_eq!(unpause(&paused, &calendar, after(HOUR)), Err(Over));
    assert!(unpause(&paused, &calendar, after(HOUR - 1)).is_ok());
}

#[test]
fn what_waits_in_a_queue_waits_through_a_pause_as_well() {
    let (schedule, calendar) = hourly(Overlap::Queue);
    let queued = firing(&schedule, after(1), false, Timestamp(0));
    let open = [Firing { outcome: FiringOutcome::Queued, ..queued }];
    let paused = pause(&schedule).expect("it fires");
    let now = after(HOUR);
    let view = View { schedule: &paused, calendar: &calendar, open: &open, runs: None, now };
    assert_eq!(turn(view), Turn::Wait);
}

#[test]
fn jitter_is_the_same_for_the_same_due_time_and_spread_over_the_others() {
    let (when, calendar) = every(HOUR);
    let spread = Schedule { jitter_micros: 10 * MINUTE, ..schedule(when, Overlap::Skip) };
    let mut found = std::collections::BTreeSet::new();
    let mut moment = Timestamp(0);
    for n in 1..=100 {
        let due = begin(spread.clone(), &calendar, moment).expect("it is due");
        assert_eq!(begin(spread.clone(), &calendar, moment), Ok(due.clone()));
        let late = due.next_at.expect("it fires").micros_since(after(n * HOUR));
        assert!(late <= 10 * MINUTE, "{late}");
        found.insert(late);
        moment = due.due.expect("it is due");
    }
    assert!(found.len() > 95, "{} of 100 differ", found.len());
    let other = Schedule { sid: ScheduleSid::new("t"), ..spread.clone() };
    assert_ne!(jitter(&other, after(HOUR)), jitter(&spread, after(HOUR)));
    let plain = Schedule { jitter_micros: 0, ..spread };
    assert_eq!(jitter(&plain, after(HOUR)), 0);
}

#[test]
fn to_run_now_follows_the_overlap_policy_and_leaves_the_due_times_alone() {
    let play = PlaySid::new("p");
    for (overlap, runs, expected) in [
        (Overlap::Skip, None, "claimed"),
        (Overlap::Skip, Some(&play), "skipped"),
        (Overlap::Queue, Some(&play), "queued"),
        (Overlap::Allow, Some(&play), "claimed"),
        (Overlap::CancelPrevious, Some(&play), "cancel"),
    ] {
        let (schedule, calendar) = hourly(overlap);
        let now = after(MINUTE);
        let turn = run_now(View { schedule: &schedule, calendar: &calendar, open: &[], runs, now });
        if expected == "cancel" {
            assert_eq!(turn, Turn::Cancel(play.clone()));
            continue;
        }
        let decided = decided(turn);
        let told = match &decided.firing.outcome {
            FiringOutcome::Claimed => "claimed",
            FiringOutcome::Queued => "queued",
            FiringOutcome::Skipped { last_due_at, .. } if *last_due_at == now => "skipped",
            other => panic!("{other:?}"),
        };
        assert_eq!(told, expected);
        assert_eq!(decided.schedule.due, schedule.due);
        assert!(decided.firing.is_asked_for);
        assert_ne!(decided.firing.id, firing_id(&schedule, now));
    }
}
