//! When the outcome of a play is posted, and when that is given up.

use hero_schema::{FinalCallback, FinalCallbackStatus, PlayRecord, Timestamp};

/// How long after the attempt before each is made, in seconds; the first one counts from the end.
pub const WAITS_SECONDS: [u64; 4] = [0, 1, 5, 30];

/// Puts the outcome of a play that has just ended on its way.
pub(crate) fn begin(play: &mut PlayRecord) {
    let (true, Some(ended_at)) = (play.status.is_ended(), play.ended_at) else { return };
    if let Some(callback) = &mut play.final_callback
        && callback.status == FinalCallbackStatus::Waiting
    {
        callback.status = FinalCallbackStatus::Due;
        callback.next_at = Some(waited(ended_at, 0));
    }
}

/// The play after an attempt; None where the attempt is none of its, because another one counts already.
#[must_use]
pub fn tried(
    play: &PlayRecord,
    n_attempts_before: u32,
    failed: Option<String>,
    now: Timestamp,
) -> Option<PlayRecord> {
    let callback = play.final_callback.as_ref()?;
    if callback.status != FinalCallbackStatus::Due || callback.n_attempts != n_attempts_before {
        return None;
    }
    let n_attempts = n_attempts_before + 1;
    let goes_on = failed.is_some() && (n_attempts as usize) < WAITS_SECONDS.len();
    let callback = FinalCallback {
        url: callback.url.clone(),
        status: match (&failed, goes_on) {
            (None, _) => FinalCallbackStatus::Delivered,
            (Some(_), true) => FinalCallbackStatus::Due,
            (Some(_), false) => FinalCallbackStatus::GivenUp,
        },
        n_attempts,
        next_at: goes_on.then(|| waited(now, n_attempts as usize)),
        tried_at: Some(now),
        last_error: failed,
    };
    let revision = play.revision + 1;
    Some(PlayRecord { revision, final_callback: Some(callback), ..play.clone() })
}

fn waited(since: Timestamp, attempt: usize) -> Timestamp {
    since.after_micros(WAITS_SECONDS[attempt] * 1_000_000)
}

#[cfg(test)]
mod tests {
    use hero_schema::{Json, PlaySid, PlayStatus, VersionSid};

    use super::*;

    fn ended() -> PlayRecord {
        let input = Json::empty_object();
        let play = PlayRecord::new(PlaySid::new("p"), VersionSid::new("v"), input, Timestamp(0));
        let mut play = PlayRecord {
            status: PlayStatus::Failed,
            ended_at: Some(Timestamp(7)),
            final_callback: Some(FinalCallback::to("https://example.com".into())),
            ..play
        };
        begin(&mut play);
        play
    }

    fn callback(play: &PlayRecord) -> &FinalCallback {
        play.final_callback.as_ref().expect("it has one")
    }

    #[test]
    fn it_is_tried_at_once_and_after_1_5_and_30_seconds_and_then_given_up() {
        let mut play = ended();
        let mut now = 7;
        for (attempt, wait) in (0..).zip([0, 1, 5, 30]) {
            assert_eq!(callback(&play).next_at, Some(Timestamp(now + wait * 1_000_000)));
            now += wait * 1_000_000 + 100;
            play = tried(&play, attempt, Some("no".into()), Timestamp(now)).expect("due");
        }
        let told = callback(&play);
        assert_eq!((told.status, told.n_attempts), (FinalCallbackStatus::GivenUp, 4));
        assert_eq!((told.next_at, told.last_error.as_deref()), (None, Some("no")));
        assert_eq!(tried(&play, 4, None, Timestamp(now)), None, "it is over");
    }

    #[test]
    fn what_has_arrived_is_not_tried_again() {
        let play = tried(&ended(), 0, Some("no".into()), Timestamp(8)).expect("due");
        assert_eq!(tried(&play, 0, None, Timestamp(9)), None, "that attempt is counted already");
        let play = tried(&play, 1, None, Timestamp(9)).expect("due");
        let told = callback(&play);
        assert_eq!((told.status, told.n_attempts), (FinalCallbackStatus::Delivered, 2));
        assert_eq!((told.next_at, &told.last_error), (None, &None));
        assert_eq!(tried(&play, 2, Some("no".into()), Timestamp(10)), None);
    }

    #[test]
    fn it_begins_with_the_end_and_once() {
        let again = tried(&ended(), 0, Some("no".into()), Timestamp(8)).expect("due");
        let mut same = again.clone();
        begin(&mut same);
        assert_eq!(same, again);
        let mut waits = PlayRecord { status: PlayStatus::Running, ended_at: None, ..ended() };
        waits.final_callback = Some(FinalCallback::to("https://example.com".into()));
        begin(&mut waits);
        assert_eq!(callback(&waits).status, FinalCallbackStatus::Waiting);
    }
}
