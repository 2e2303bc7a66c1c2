//! Exit codes: of a launch, and of the `hero_logic` command.

/// The flow returned and its result was reported.
pub const SUCCESS: i32 = 0;
/// A launch: the flow raised. The command: the play ended `failed`.
pub const FAILED: i32 = 1;
/// A launch: no such flow, or a definition error. The command: it could not be carried out as
/// given, and nothing was changed.
pub const USAGE: i32 = 2;
/// A launch: paused. The command: the play waits for an answer. (`EX_TEMPFAIL` of sysexits.h.)
pub const PAUSED: i32 = 75;
/// The command: the play passed its deadline. (As `timeout(1)`.)
pub const TIMED_OUT: i32 = 124;
/// The command: the play was cancelled. (128 + SIGINT.)
pub const CANCELLED: i32 = 130;

/// Every code with its name, for `PROTOCOL.md`.
pub const ALL: [(i32, &str); 6] = [
    (SUCCESS, "success"),
    (FAILED, "failed"),
    (USAGE, "usage"),
    (PAUSED, "paused"),
    (TIMED_OUT, "timed_out"),
    (CANCELLED, "cancelled"),
];

/// The code with which the command reports a play.
pub fn of_status(status: crate::PlayStatus) -> i32 {
    use crate::PlayStatus as S;
    match status {
        S::Pending | S::Running | S::Success => SUCCESS,
        S::AwaitingResume => PAUSED,
        S::Failed => FAILED,
        S::Cancelled => CANCELLED,
        S::TimedOut => TIMED_OUT,
    }
}
