//! The trait, and the words it is spoken in.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;

use async_trait::async_trait;
use hero_schema::{
    Firing, FiringPlace, LaunchNumber, LogLine, NumberedVersion, OutcomeRecord, PlayRecord,
    PlaySid, PlayStatus, ReplayedSpans, ResumeId, ResumeRequest, Retention, Schedule, ScheduleSid,
    Span, StepKey, Timestamp, Usage, VersionSid, Workflow, WorkflowChange, WorkflowSid,
    WorkflowVersion,
};
use tokio::sync::broadcast;

/// Returns once a batch is durable, or refused.
pub type Commit = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// Keeps plays. Shared by everything in a process; every method may be called at any time.
///
/// Writes are decided elsewhere and checked here: a play is replaced only by the next revision of
/// itself, and what a launch writes is refused once a newer launch exists. So any number of deciders
/// may race, on one machine or many, and exactly one wins.
///
/// Reads may see what is not durable yet. A crash takes back only what nobody was told of by `Ok`,
/// and nothing that was decided on it survives it: what is written later is durable later.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Stores all writes of the batch, or none. It is queued at once, also where the future is not
    /// polled.
    ///
    /// When that returns `Ok`, the batch and everything posted or committed before it by this caller
    /// survive a power cut. A crash before that leaves all of the batch or nothing of it. Batches
    /// queued at the same time share one flush.
    ///
    /// # Errors
    /// [`Error::Conflict`] and [`Error::Fenced`] say that the batch was decided on an old state and
    /// left no trace. Any other error: it may or may not be there after the next open, and the
    /// caller acknowledges nothing.
    fn commit(&self, batch: Batch) -> Commit;

    /// The same for a caller whose thread has nothing better to do: where nobody writes, the one who polls
    /// writes, and keeps its thread for as long as the disk takes. That spares two changes of thread.
    fn commit_here(&self, batch: Batch) -> Commit;

    /// Queues a batch that nobody waits for (spans, log lines).
    ///
    /// It is stored in order, with the next commit and then durable with it, or soon by itself. A
    /// crash before that loses all of it. A refusal is logged and has no other effect.
    fn post(&self, batch: Batch);

    /// A play; None where there is none.
    async fn play(&self, play: &PlaySid) -> Result<Option<PlayRecord>, Error>;

    /// The play that was started with this key; None where there is none, or none any more.
    async fn play_started_with(&self, key: &str) -> Result<Option<PlayRecord>, Error>;

    /// The plays that match, newest first. A page costs what it shows, however many plays there are,
    /// where one list holds just those: of all, of a status, a workflow or both, of a parent, with a
    /// tag, started in a way or by a schedule, each within a time. Of more than that, and for a text,
    /// the shortest such list is gone through, a part of it for each page: a page may be short, even
    /// empty, and there is more.
    async fn plays(&self, query: PlayQuery) -> Result<Page<PlayRecord>, Error>;

    /// The plays that have ended, by their end, first ended first.
    async fn ended_plays(&self, page: PageQuery) -> Result<Page<PlayRecord>, Error>;

    /// One request of a play.
    async fn request(
        &self,
        play: &PlaySid,
        request: &ResumeId,
    ) -> Result<Option<ResumeRequest>, Error>;

    /// All requests of a play, in the order they were asked.
    async fn requests(&self, play: &PlaySid) -> Result<Vec<ResumeRequest>, Error>;

    /// The open requests that are questions, of all plays that have not ended, oldest first.
    async fn open_questions(
        &self,
        page: PageQuery,
    ) -> Result<Page<(PlaySid, ResumeRequest)>, Error>;

    /// What falls due first, by its moment, due already or not: the deadlines of the plays that have
    /// not ended, and the expiries of their open requests. At most `limit`, at least 1.
    ///
    /// Nothing that falls due is missing, except what a damaged record says.
    async fn due(&self, limit: usize) -> Result<Vec<Due>, Error>;

    /// The plays whose outcome is to be posted, by when, due already or not. At most `limit`, at least 1.
    async fn outbox(&self, limit: usize) -> Result<Vec<Due>, Error>;

    /// One outcome of a play.
    async fn outcome(&self, play: &PlaySid, step: &StepKey)
    -> Result<Option<OutcomeRecord>, Error>;

    /// What the outcomes of a play say that was spent, together: each counts once, however often it was
    /// written.
    async fn spent(&self, play: &PlaySid) -> Result<Usage, Error>;

    /// Everything that a play remembers, in no particular order.
    async fn outcomes(&self, play: &PlaySid) -> Result<Vec<OutcomeRecord>, Error>;

    /// The spans of a play, by launch and then by start.
    async fn spans(&self, play: &PlaySid, page: PageQuery) -> Result<Page<Span>, Error>;

    /// The log of a play, by launch and then in the order written.
    async fn logs(&self, play: &PlaySid, page: PageQuery) -> Result<Page<LogLine>, Error>;

    /// A version with its bundle.
    async fn version(&self, version: &VersionSid) -> Result<Option<WorkflowVersion>, Error>;

    /// A workflow, by its sid or by its name.
    async fn workflow(&self, sid_or_name: &str) -> Result<Option<Workflow>, Error>;

    /// The workflows, by name.
    async fn workflows(&self, page: PageQuery) -> Result<Page<Workflow>, Error>;

    /// For how long the plays of a workflow are kept; None keeps all.
    async fn retention(&self, workflow: &WorkflowSid) -> Result<Option<Retention>, Error>;

    /// The workflows whose plays are not all kept, by their sids.
    async fn retentions(&self, page: PageQuery) -> Result<Page<Retention>, Error>;
    /// The version of a workflow that has this number.
    async fn numbered_version(
        &self,
        workflow: &WorkflowSid,
        number: u32,
    ) -> Result<Option<NumberedVersion>, Error>;

    /// The versions of a workflow whose sids begin so, at most `limit`.
    async fn versions_from(
        &self,
        workflow: &WorkflowSid,
        beginning: &str,
        limit: usize,
    ) -> Result<Vec<NumberedVersion>, Error>;

    /// The versions of a workflow, the highest number first.
    async fn numbered_versions(
        &self,
        workflow: &WorkflowSid,
        page: PageQuery,
    ) -> Result<Page<NumberedVersion>, Error>;

    /// Which version of a workflow became current when, latest first.
    async fn workflow_changes(
        &self,
        workflow: &WorkflowSid,
        page: PageQuery,
    ) -> Result<Page<WorkflowChange>, Error>;

    /// A schedule, by its sid or by its name.
    async fn schedule(&self, sid_or_name: &str) -> Result<Option<Schedule>, Error>;

    /// The schedules, by name.
    async fn schedules(&self, page: PageQuery) -> Result<Page<Schedule>, Error>;

    /// The active schedules of a workflow: while there are some, it must stay.
    async fn active_schedules(&self, workflow: &WorkflowSid) -> Result<Vec<ScheduleSid>, Error>;

    /// The active schedules by when they fire next, earliest first; at most `limit`, at least
    /// 1. None that is due is missing, except what a damaged record says.
    async fn due_schedules(&self, limit: usize) -> Result<Vec<(Timestamp, ScheduleSid)>, Error>;

    /// One firing of a schedule.
    async fn firing(
        &self,
        schedule: &ScheduleSid,
        place: &FiringPlace,
    ) -> Result<Option<Firing>, Error>;

    /// The firings of a schedule, latest due time first.
    async fn firings(&self, schedule: &ScheduleSid, page: PageQuery)
    -> Result<Page<Firing>, Error>;

    /// The firings that something is still to be done about, earliest due time first: of one schedule,
    /// or of all, schedule by schedule. At most `limit`, at least 1.
    async fn open_firings(
        &self,
        schedule: Option<&ScheduleSid>,
        limit: usize,
    ) -> Result<Vec<Firing>, Error>;

    /// Tells of every play that something was stored for, from now on. A receiver that falls behind
    /// is told so (`Lagged`) and must look at everything it waits for.
    fn news(&self) -> broadcast::Receiver<PlaySid>;

    /// The store's clock: the only one that stored times are taken from.
    fn now(&self) -> Timestamp;

    /// Whether there is room for a new play. What is acknowledged already may still be finished where
    /// there is not.
    ///
    /// # Errors
    /// [`Error::NoSpace`] where the disk is nearly full.
    async fn has_room(&self) -> Result<(), Error>;

    /// Makes everything posted durable and gives the directory free.
    ///
    /// Afterwards every write is refused with [`Error::Closed`].
    async fn close(&self) -> Result<(), Error>;
}

/// Something that happens by itself at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// To which play.
    pub play: PlaySid,
    /// The request that expires; None where the deadline of the play passes.
    pub request: Option<ResumeId>,
}

/// Writes that belong together. They may be of several plays; each is checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// On whose behalf; None for what no launch does.
    pub fence: Option<Fence>,
    /// What to store, in order.
    pub writes: Vec<Write>,
}

/// The launch that a batch belongs to: refused once the play has a newer one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The play.
    pub play: PlaySid,
    /// The launch.
    pub launch: LaunchNumber,
}

/// One record to store.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// A play: the first revision of a new one, or the next revision of a stored one. A new one with
    /// the start key of a stored one is an [`Error::Conflict`]. A key is free again once its play is
    /// removed.
    Play(Box<PlayRecord>),
    /// A request, new or now answered. A stored answer is never replaced ([`Error::Conflict`]), unless
    /// it was only carried over.
    Request(PlaySid, Box<ResumeRequest>),
    /// An outcome; the first one stored under a key stands, a later one is passed over.
    Outcome(PlaySid, Box<OutcomeRecord>),
    /// A span, new or further along: the one with the same launch and `seq` is replaced.
    Span(PlaySid, Box<Span>),
    /// Spans of replayed steps. They are shown one by one, each with what the span shows in which its
    /// step ran, and named damaged where that is not there.
    Replayed(PlaySid, Box<ReplayedSpans>),
    /// A log line.
    Log(PlaySid, LogLine),
    /// A version; one that is there already is passed over.
    Version(Box<WorkflowVersion>),
    /// A workflow: a new one, or the next revision of a stored one. Another one of the same name, and
    /// any other revision, is an [`Error::Conflict`].
    Workflow(Box<Workflow>),
    /// For how long the plays of a workflow are kept; an unlimited one takes the setting away.
    Retention(Retention),
    /// That a version has a number in a workflow. Another version under this number, or another number
    /// of this version, is an [`Error::Conflict`].
    NumberedVersion(WorkflowSid, NumberedVersion),
    /// An entry of the history of a workflow; the first one stored for a revision stands.
    WorkflowChange(WorkflowSid, WorkflowChange),
    /// Removes a workflow as it was read, with its numbers and its history; changed since, or with an
    /// active schedule, it is an [`Error::Conflict`]. One that is not there is passed over. Its versions and its plays stay.
    RemoveWorkflow(Box<Workflow>),
    /// A schedule: the first revision of a new one, or the next revision of a stored one. Another one of
    /// the same name is an [`Error::Conflict`].
    Schedule(Box<Schedule>),
    /// A firing of a stored schedule, new or further along. One that nothing is to be done about any more
    /// is never replaced by another ([`Error::Conflict`]).
    Firing(Box<Firing>),
    /// Removes a schedule with all its firings; one that is not there is passed over.
    RemoveSchedule(ScheduleSid),
    /// Removes a play that has ended, with everything stored of it; one that has not is an
    /// [`Error::Conflict`], one that is not there is passed over. What its launches still write is
    /// refused from then on, as by any play that is not there.
    Remove(PlaySid),
}

/// Which plays, and from where.
#[derive(Clone, Debug, Default)]
pub struct PlayQuery {
    /// Only plays in this status.
    pub status: Option<PlayStatus>,
    /// Only plays of this workflow.
    pub workflow: Option<WorkflowSid>,
    /// Only plays spawned by this one.
    pub parent: Option<PlaySid>,
    /// Only plays with all of these tags: name → text, see [`hero_schema::tag::text`].
    pub tags: BTreeMap<String, String>,
    /// Only plays that were started so.
    pub started_by: Option<StartedBy>,
    /// Only plays whose name holds this text, in upper or lower case.
    pub text: Option<String>,
    /// Only plays that were created then or later.
    pub since: Option<Timestamp>,
    /// Only plays that were created before.
    pub until: Option<Timestamp>,
    /// The page.
    pub page: PageQuery,
}

/// How a play was started, and perhaps by whom; see [`hero_schema::Starter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedBy {
    /// The word for the way.
    pub word: String,
    /// A user id, or the sid of a schedule or a play.
    pub who: Option<String>,
}

/// Which page of a list.
#[derive(Clone, Debug)]
pub struct PageQuery {
    /// The `next_cursor` of the page before; None begins at the start. A cursor that no page gave is
    /// [`Error::BadCursor`].
    pub cursor: Option<String>,
    /// At most so many items, at least 1.
    pub limit: usize,
}

impl Default for PageQuery {
    fn default() -> Self {
        Self { cursor: None, limit: 1000 }
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where this page ended: the cursor for what follows, or for what is stored later. None only
    /// where nothing was read so far.
    pub next_cursor: Option<String>,
    /// Whether more items are there already.
    pub has_more: bool,
    /// What belongs to this page and is damaged: which record, and how that shows. It counts towards
    /// the limit.
    pub damaged: Vec<String>,
}

/// A number of bytes for people.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ 0..1024 => write!(f, "{bytes} B"),
            bytes @ 1024..0x10_0000 => write!(f, "{} KiB", bytes >> 10),
            bytes => write!(f, "{}.{} MiB", bytes >> 20, (bytes >> 10) % 1024 * 10 / 1024),
        }
    }
}

/// Why a store cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record was changed by someone else since it was read.
    #[error("{record} was changed meanwhile")]
    Conflict {
        /// Which record.
        record: String,
    },
    /// A newer launch of the play exists.
    #[error("launch {stale} of play `{play}` was superseded by launch {current}")]
    Fenced {
        /// The play.
        play: PlaySid,
        /// The launch that wrote.
        stale: LaunchNumber,
        /// The launch that counts.
        current: LaunchNumber,
    },
    /// Another process has the directory open.
    #[error("`{}` is in use by {holder}", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The process, as it described itself: program, pid, since when.
        holder: String,
    },
    /// A record does not read back as it was written.
    #[error("{record} is damaged: {reason}")]
    Damaged {
        /// Which record.
        record: String,
        /// How that shows.
        reason: String,
    },
    /// A directory that cannot be opened without losing something of what it held.
    #[error(
        "the store in `{}` is damaged: {reason}; `hero_logic doctor --repair` saves what is readable",
        dir.display()
    )]
    DamagedStore {
        /// The directory.
        dir: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// The disk is nearly full.
    #[error(
        "there is no room in `{}`: {} are free, and {} are needed",
        dir.display(), Bytes(*free_bytes), Bytes(*needed_bytes)
    )]
    NoSpace {
        /// The directory.
        dir: PathBuf,
        /// What is free.
        free_bytes: u64,
        /// What must be free.
        needed_bytes: u64,
    },
    /// The directory was written by a newer version of this program.
    #[error("`{}` has format {found}, and this program knows up to {known}", dir.display())]
    Format {
        /// The directory.
        dir: PathBuf,
        /// What is there.
        found: u32,
        /// What is understood.
        known: u32,
    },
    /// A cursor that no page gave.
    #[error("`{0}` is not a cursor of this list")]
    BadCursor(String),
    /// Reading or writing failed.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// An earlier write failed in a way that leaves unknown what is durable; only a reopened store
    /// acknowledges again.
    #[error("the store stopped writing after an error: {0}")]
    Stopped(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}
