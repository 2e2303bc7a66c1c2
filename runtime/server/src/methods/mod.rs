//! One file a method: what it checks, and what it calls.

pub(crate) mod workflow_check;
pub(crate) mod workflow_delete;
pub(crate) mod workflow_get;
pub(crate) mod workflow_history;
pub(crate) mod workflow_list;
pub(crate) mod workflow_retention;
pub(crate) mod workflow_rollback;
pub(crate) mod workflow_save;
pub(crate) mod workflow_save_from_play;
pub(crate) mod workflow_versions;

pub(crate) mod callback_post;

pub(crate) mod play_cancel;
pub(crate) mod play_delete;
pub(crate) mod play_fork;
pub(crate) mod play_get;
pub(crate) mod play_list;
pub(crate) mod play_logs;
pub(crate) mod play_move;
pub(crate) mod play_pending_resumes;
pub(crate) mod play_prefill;
pub(crate) mod play_restart;
pub(crate) mod play_resume;
pub(crate) mod play_retry;
pub(crate) mod play_run_async;
pub(crate) mod play_spans;
pub(crate) mod play_start;
pub(crate) mod play_wait;

pub(crate) mod schedule_add;
pub(crate) mod schedule_delete;
pub(crate) mod schedule_get;
pub(crate) mod schedule_history;
pub(crate) mod schedule_list;
pub(crate) mod schedule_pause;
pub(crate) mod schedule_run;
pub(crate) mod schedule_unpause;

pub(crate) mod inbox_list;
pub(crate) mod stats;

mod page;
