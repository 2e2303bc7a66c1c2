//! What can be said on the command line, and the help that explains it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind as ClapError};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use hero_schema::rpc::{InputDeclaration, Until};
use hero_schema::{
    Budget, ErrorKind, Json, LogLevel, Overlap, PlaySid, PlayStatus, RpcError, Timestamp, exit,
};

use crate::output::Output;
use crate::{inputs, text};

const EXAMPLES: &str = "\
Examples:
  hero_logic run release.py -i version=1.4     run a flow until it ends or asks
  hero_logic inbox                             what waits for an answer
  hero_logic resume 01jq… approve true         answer it; the play goes on where it stood
  hero_logic plays --status failed             look for trouble
  hero_logic show 01jq…                        see what a play did
  hero_logic retry 01jq…                       try again from where it failed
  hero_logic --start                           keep a server running in the background

No server is needed: a command that finds none becomes one for as long as it takes.

Exit codes: 0 success · 1 failed · 2 not carried out as given · 75 waits for an answer ·
124 timed out · 130 cancelled or interrupted";

/// Runs durable Python flows: they stop at a question, hold no process while it is open, and go on
/// where they stood.
#[derive(Debug, Parser)]
#[command(name = "hero_logic", version = hero_rpc::version::text(), after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(flatten)]
    pub(crate) services: ServiceFlags,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The data directory [default: $HERO_HOME, else ~/hero]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print one JSON object instead of words; errors too, on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Also into files and pipes
    Always,
    /// Not at all
    Never,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct ServiceFlags {
    /// Start the server and the admin UI in the background
    #[arg(long)]
    pub(crate) start: bool,
    /// Stop both; plays that are interrupted go on later
    #[arg(long)]
    pub(crate) stop: bool,
    /// Tell whether both are running, and where
    #[arg(long)]
    pub(crate) status: bool,
    /// Print the manifest of this program and do nothing else
    #[arg(long)]
    pub(crate) info: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a flow until it has ended or asks something
    Run(Run),
    /// List plays, newest first
    Plays(Plays),
    /// Show what a play did, what it asks and how to answer
    Show(Show),
    /// Answer what a play asks, and follow it on
    Resume(Resume),
    /// List everything that waits for an answer
    Inbox,
    /// Wait until a play has ended
    Wait(Wait),
    /// Print the log of a play
    Logs(Logs),
    /// End a play
    Cancel(Cancel),
    /// Try again what did not succeed: the steps that did are not run again
    Retry(Retry),
    /// Start a play that has ended again, from its inputs
    Restart(Again),
    /// Decide what becomes of a play whose workflow has another version
    Move(Move),
    /// Start a play again from one of its steps, perhaps with other answers and outputs
    Fork(Fork),
    /// Remove plays that have ended, with all that is stored of them
    Delete(Delete),
    /// Save flows under a name, and look at them
    #[command(subcommand)]
    Workflow(Workflow),
    /// Look in a file for what will not be the same, or will happen again, in every launch
    Check(Check),
    /// Start plays of saved workflows by the clock
    #[command(subcommand)]
    Schedule(Schedule),
    /// Look for what keeps plays from being carried, and for what was lost
    Doctor(Doctor),
    /// Check that the three programs are what their manifests say
    #[command(after_help = "\
It asks each program for its manifest, version and help, and starts the server and the web UI on an empty
directory of their own, to compare what they bind, speak and tell. What runs is left alone. Exits 0 where
there are no issues, else 1.")]
    Infocheck,
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Write the man pages of this program and its commands
    Man {
        /// The directory to write to, such as ~/.local/share/man/man1
        dir: PathBuf,
    },
    /// Write systemd units that run the server and the web UI on this data directory, as this user
    #[command(after_help = "\
Example:
  hero_logic units units
  sudo cp units/*.service /etc/systemd/system/
  sudo systemctl daemon-reload
  sudo systemctl enable --now hero_logic_server hero_logic_admin")]
    Units {
        /// The directory to write to
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
On a terminal the call tree is drawn while the play runs, and questions are asked right there.
Elsewhere the command ends at an open question with exit code 75 and says how to answer it.
Ctrl-C leaves the play for later; twice ends the command at once.

An input is JSON where it parses, else text; where the flow wants text, it is text.

Examples:
  hero_logic run release.py -i version=1.4 -i dry_run=true
  hero_logic run flows.py:nightly --input-file inputs.json
  hero_logic run release --prefill approve=true --prefill 'review*=\"fine\"' --prefill-only
  hero_logic run release.py --json | jq .output_data")]
pub(crate) struct Run {
    /// A file with a flow, as FILE.py or FILE.py:FLOW, or the name or sid of a saved workflow
    #[arg(value_name = "FILE.py[:FLOW] | WORKFLOW")]
    pub(crate) target: String,
    /// An argument of the flow; may be repeated
    #[arg(short, long = "input", value_name = "KEY=VALUE", value_parser = inputs::pair)]
    pub(crate) input: Vec<inputs::Pair>,
    /// A file with all arguments as a JSON object; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) input_file: Option<PathBuf>,
    /// An answer given ahead to pauses of this name or glob; may be repeated
    #[arg(long, value_name = "NAME=JSON", value_parser = inputs::named_json)]
    pub(crate) prefill: Vec<(String, Json)>,
    /// A file with answers given ahead, as a JSON object
    #[arg(long, value_name = "FILE")]
    pub(crate) prefill_file: Option<PathBuf>,
    /// Fail at a pause that no prefill covers, instead of waiting
    #[arg(long)]
    pub(crate) prefill_only: bool,
    /// What to call the play [default: the name of the flow]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// End the play as timed_out after so long, waiting included, as 90s, 5m, 2h or 1d12h
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// Follow the play that was started with this key before, instead of starting a second one
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    #[command(flatten)]
    pub(crate) budget: BudgetArgs,
    /// Post the outcome of the play there once it has ended
    #[arg(long, value_name = "URL")]
    pub(crate) final_callback_url: Option<String>,
    /// Return once the play is stored; a server carries it
    #[arg(long)]
    pub(crate) detach: bool,
}

/// How much a play may spend.
#[derive(Debug, Args)]
pub(crate) struct BudgetArgs {
    /// Stop the play at its next step once it has spent more than so many US dollars
    #[arg(long, value_name = "USD", value_parser = finite)]
    pub(crate) budget_usd: Option<f64>,
    /// Stop the play at its next step once it has used more than so many tokens
    #[arg(long, value_name = "N")]
    pub(crate) budget_tokens: Option<u64>,
}

impl BudgetArgs {
    /// None where no bound is given.
    pub(crate) fn budget(&self) -> Option<Budget> {
        let budget = Budget { cost_usd: self.budget_usd, tokens: self.budget_tokens };
        (budget != Budget::default()).then_some(budget)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Plays {
    /// Only plays in this status
    #[arg(long, value_parser = status_parser())]
    pub(crate) status: Option<PlayStatus>,
    /// Only plays of this workflow, by name or sid
    #[arg(long)]
    pub(crate) workflow: Option<String>,
    /// Only plays whose root flow was annotated so; may be repeated, and all must fit
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = inputs::tag)]
    pub(crate) tags: Vec<(String, Json)>,
    /// Only plays with this text in their name
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// Only plays that are no older: so long ago, as 2h or 7d, or a day or moment in UTC, as 2026-01-31
    /// or 2026-01-31T18:30
    #[arg(long, value_name = "WHEN", value_parser = text::when)]
    pub(crate) since: Option<Timestamp>,
    /// Only plays that are older, given in the same way
    #[arg(long, value_name = "WHEN", value_parser = text::when)]
    pub(crate) until: Option<Timestamp>,
    /// Only plays that this one spawned
    #[arg(long, value_name = "PLAY", value_parser = play_sid)]
    pub(crate) parent: Option<PlaySid>,
    /// Only plays started by rpc, schedule, parent, retry, restart or fork, perhaps with :WHO
    #[arg(long, value_name = "HOW[:WHO]")]
    pub(crate) started_by: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
}

impl Plays {
    /// Whether not all plays are wanted.
    pub(crate) fn is_search(&self) -> bool {
        self.status.is_some()
            || self.workflow.is_some()
            || !self.tags.is_empty()
            || self.text.is_some()
            || self.since.is_some()
            || self.until.is_some()
            || self.parent.is_some()
            || self.started_by.is_some()
    }
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The sid of the play
    #[arg(value_parser = play_sid)]
    pub(crate) play: PlaySid,
    /// Show the span of every call, for `fork`
    #[arg(long)]
    pub(crate) spans: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The answer is JSON: true, 42, '\"some text\"', '{\"amount\": 3}'. Without one the question is asked on the
terminal. Giving the same answer again changes nothing; a different one is refused.

Examples:
  hero_logic resume 01jq… approve true
  hero_logic resume 01jq… comment '\"looks good\"' --detach")]
pub(crate) struct Resume {
    /// The sid of the play
    #[arg(value_parser = play_sid)]
    pub(crate) play: PlaySid,
    /// The name of the question, or its id where several share the name
    #[arg(value_name = "NAME_OR_ID")]
    pub(crate) request: String,
    /// The answer
    #[arg(value_name = "JSON", allow_hyphen_values = true)]
    pub(crate) answer: Option<String>,
    /// Return once the answer is stored
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Where no server carries the play, this command does. Exits 124 when the timeout passes first.")]
pub(crate) struct Wait {
    /// The sid of the play
    #[arg(value_parser = play_sid)]
    pub(crate) play: PlaySid,
    /// What to wait for
    #[arg(long, value_name = "WHAT", default_value = "settled")]
    pub(crate) until: WaitUntil,
    /// Give up after so long, as 90s, 5m or 2h; a bare number is seconds [default: never]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

/// What `wait` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WaitUntil {
    /// Success, failed, cancelled or timed out
    Ended,
    /// Ended, or waiting for an answer; a play that only sleeps goes on
    Settled,
}

impl From<WaitUntil> for Until {
    fn from(until: WaitUntil) -> Self {
        match until {
            WaitUntil::Ended => Self::Ended,
            WaitUntil::Settled => Self::Settled,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The sid of the play
    #[arg(value_parser = play_sid)]
    pub(crate) play: PlaySid,
    /// Go on printing what comes until the play has ended
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) follow: bool,
    /// Only lines at least this loud
    #[arg(long)]
    pub(crate) level: Option<Level>,
}

/// How loud a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// Everything
    Debug,
    /// Without what is for the author only
    Info,
    /// What was unexpected
    Warning,
    /// What failed
    Error,
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warning => Self::Warning,
            Level::Error => Self::Error,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The sid of the play
    #[arg(value_parser = play_sid)]
    pub(crate) play: PlaySid,
}

#[derive(Debug, Args)]
#[command(after_help = "\
It is a new play, which is followed to its end as with `run`; the old one stays as it ended.")]
pub(crate) struct Again {
    /// The sid of the play
    #[arg(value_parser = play_sid)]
    pub(crate) play: PlaySid,
    /// Return once the new play is stored, and print its sid; a server carries it
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    pub(crate) again: Again,
    #[command(flatten)]
    pub(crate) budget: BudgetArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
It is a new play, which is followed to its end as with `run`; the old one stays as it is, and need not
have ended. What completed before the step is remembered; it and all after it run anew. Without --from
it begins at the first answer or output that is changed.

Examples:
  hero_logic show 01jq… --spans                        find the step
  hero_logic fork 01jq… --from 5c1f…                   run from there again
  hero_logic fork 01jq… --answer approve=false         what if the answer had been another one
  hero_logic fork 01jq… --output look_up_budget=900    or the output of a step")]
pub(crate) struct Fork {
    /// The sid of the play
    #[arg(value_parser = play_sid)]
    pub(crate) play: PlaySid,
    /// The span to begin at, or the name of the step where only one is called so
    #[arg(long, value_name = "SPAN")]
    pub(crate) from: Option<String>,
    /// Another answer to a question, by its name or id; may be repeated
    #[arg(long, value_name = "NAME=JSON", value_parser = inputs::named_json)]
    pub(crate) answer: Vec<(String, Json)>,
    /// Another output of a step that has completed, by its span or name; may be repeated
    #[arg(long, value_name = "SPAN=JSON", value_parser = inputs::named_json)]
    pub(crate) output: Vec<(String, Json)>,
    /// Return once the new play is stored, and print its sid; a server carries it
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The sids of the plays
    #[arg(value_name = "PLAY", value_parser = play_sid, required = true)]
    pub(crate) plays: Vec<PlaySid>,
    /// Do not ask first
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
It looks at the server, the interpreter, the data directory, the free space, the sockets, at what is left
over of a server that was killed, and at the store. Exits 1 where something has failed, else 0.

A repair writes what is readable of a damaged store to a new one, which takes its place; the old one is
kept beside it. A play of which something is missing that its next process would build on is not carried
on: it is put into quarantine, as a file to read. No server may run meanwhile.")]
pub(crate) struct Doctor {
    /// Save what is readable of a damaged store
    #[arg(long)]
    pub(crate) repair: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Workflow {
    /// Save a flow and the files it imports as the current version of a workflow
    Save {
        /// A file with a flow, as FILE.py or FILE.py:FLOW
        #[arg(value_name = "FILE.py[:FLOW]", required_unless_present = "from_play")]
        file: Option<String>,
        /// What to call the workflow
        #[arg(long)]
        name: String,
        /// Save what this play has run, with the outputs of its plans frozen; it must have succeeded
        #[arg(long, value_name = "PLAY", value_parser = play_sid, conflicts_with = "file")]
        from_play: Option<PlaySid>,
        /// With --from-play: an input that plays of it are given; may be repeated. The other arguments
        /// stay as they were
        #[arg(long = "input", value_name = "NAME[:TYPE][=DEFAULT]", value_parser = inputs::declaration, requires = "from_play")]
        inputs: Vec<InputDeclaration>,
        /// With --from-play: another argument in place of that of the play; in its text
        /// `{{inputs.NAME}}` stands for an input
        #[arg(long = "set", value_name = "PARAMETER=VALUE", value_parser = inputs::tag, requires = "from_play")]
        set: Vec<(String, Json)>,
    },
    /// List the workflows by name
    List,
    /// Set for how long the plays of a workflow are kept once they have ended, or tell it
    Retention {
        /// The name or sid of the workflow
        name: String,
        /// Remove plays so many days after their end, such as 30 or 0.5
        #[arg(long, value_name = "DAYS", value_parser = finite)]
        keep_days: Option<f64>,
        /// Keep only the newest so many
        #[arg(long, value_name = "N")]
        keep_last: Option<u32>,
        /// Keep all
        #[arg(long, conflicts_with_all = ["keep_days", "keep_last"])]
        keep_all: bool,
    },
    /// Show what a workflow takes and gives, its source, or what has changed
    Show {
        /// The name or sid of the workflow, as NAME or NAME@VERSION
        #[arg(value_name = "NAME[@VERSION]")]
        name: String,
        /// Print the files of the version
        #[arg(long)]
        source: bool,
        /// Print how the version differs from this one: a number or a sid
        #[arg(long, value_name = "VERSION")]
        diff: Option<String>,
    },
    /// List the versions of a workflow
    Versions {
        /// The name or sid of the workflow
        name: String,
        /// List which version became current when, and how
        #[arg(long)]
        history: bool,
    },
    /// Make an older version of a workflow the current one
    #[command(after_help = "\
New plays take the older version from then on; plays that run or wait stay on their own. The history keeps
both changes, and the newer version keeps its number.")]
    Rollback {
        /// The name or sid of the workflow
        name: String,
        /// The number or sid of the version; the one that was current before, where none is given
        version: Option<String>,
    },
    /// Remove a workflow with its history
    #[command(after_help = "\
Its plays stay, and those that have not ended go on: the code that they are pinned to is kept.")]
    Delete {
        /// The name or sid of the workflow
        name: String,
        /// Do not ask first
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Code outside of steps runs in every launch of a play. This reads the file and the modules that it imports,
and runs nothing of them. Exits 1 where it has found something, 0 where not, 2 where it cannot read the file.")]
pub(crate) struct Check {
    /// A file with a flow, as FILE.py or FILE.py:FLOW
    #[arg(value_name = "FILE.py[:FLOW]")]
    pub(crate) file: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A play stays on the version that it was started on, whatever is saved later. With --dry-run nothing is
done, and the steps are listed that would be kept, run again, or have no code any more.

A restart and a carry-over make a new play, which is followed as with `run`. Where the old one still waits
for an answer it is cancelled in the same moment; while a process of it runs, it cannot be moved.

Examples:
  hero_logic move 01jq… carry-over --dry-run           what would run again on the current version
  hero_logic move 01jq… carry-over                     keep what is unchanged, run the rest
  hero_logic move 01jq… restart --to 3                 begin anew on version 3
  hero_logic move 01jq… roll-back                      make its version the current one again")]
pub(crate) struct Move {
    /// The sid of the play
    #[arg(value_parser = play_sid)]
    pub(crate) play: PlaySid,
    /// What is to become of it
    pub(crate) how: How,
    /// The version to go to, by its number or sid; the current one, where none is given
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<String>,
    /// Run this step again although it is unchanged; may be repeated
    #[arg(long, value_name = "STEP")]
    pub(crate) rerun: Vec<String>,
    /// Only say what would be
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Return once the new play is stored, and print its sid; a server carries it
    #[arg(long)]
    pub(crate) detach: bool,
}

/// What may become of a play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum How {
    /// It goes on on its version, as it does by itself
    Continue,
    /// A play of the other version starts with its inputs, and nothing else
    Restart,
    /// Its version becomes the current one of the workflow again
    RollBack,
    /// A play of the other version starts with what is unchanged
    CarryOver,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Schedule {
    /// Make a schedule; it fires while a server runs
    Add(ScheduleAdd),
    /// List the schedules by name
    List,
    /// Show a schedule, when it is due, and what became of its due times
    Show {
        /// Its name or sid
        schedule: String,
        /// At most so many due times
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Let it fire no more
    Pause {
        /// Its name or sid
        schedule: String,
    },
    /// Let it fire again; what was due meanwhile is skipped
    Unpause {
        /// Its name or sid
        schedule: String,
    },
    /// Fire it now, beside its due times, and print the play
    Run {
        /// Its name or sid
        schedule: String,
    },
    /// Remove it with its history; its plays stay
    Delete {
        /// Its name or sid
        schedule: String,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
A cron expression names minute, hour, day of the month, month and day of the week, and is about the clock
of a time zone. A daily time happens once a day: where the clock leaves it out in spring, as soon as the
clock goes on; where it shows it twice in autumn, the first time.

Examples:
  hero_logic schedule add report --cron '30 2 * * *' --time-zone Europe/Berlin -i team=design
  hero_logic schedule add poll --every 5m --overlap skip --jitter 30s
  hero_logic schedule add launch --at 2027-01-31T18:30")]
#[command(group(clap::ArgGroup::new("when").required(true)))]
pub(crate) struct ScheduleAdd {
    /// The name or sid of the workflow
    pub(crate) workflow: String,
    /// When, as five fields or as @daily
    #[arg(long, value_name = "EXPRESSION", group = "when")]
    pub(crate) cron: Option<String>,
    /// Again and again after so long, as 90s, 5m or 2h
    #[arg(long, value_name = "DURATION", value_parser = duration, group = "when")]
    pub(crate) every: Option<Duration>,
    /// Once, at a moment in UTC, as 2027-01-31T18:30
    #[arg(long, value_name = "MOMENT", value_parser = text::moment_to_come, group = "when")]
    pub(crate) at: Option<Timestamp>,
    /// The zone whose clock --cron is about, as Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE", requires = "cron")]
    pub(crate) time_zone: Option<String>,
    /// What to call it [default: the name of the workflow]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// An argument of the flow; may be repeated
    #[arg(short, long = "input", value_name = "KEY=VALUE", value_parser = inputs::pair)]
    pub(crate) input: Vec<inputs::Pair>,
    /// A file with all arguments as a JSON object; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) input_file: Option<PathBuf>,
    /// What happens while an earlier play has not ended
    #[arg(long, default_value = "skip", value_parser = overlap_parser())]
    pub(crate) overlap: Overlap,
    /// How late a due time still fires [default: 1h, and however late with --at]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) catch_up: Option<Duration>,
    /// Put each due time off by up to so long, always the same for the same one
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) jitter: Option<Duration>,
    /// Let plays plan anew where the workflow has not frozen all plans
    #[arg(long)]
    pub(crate) allow_replan: bool,
    /// Fire nothing before it is unpaused
    #[arg(long)]
    pub(crate) paused: bool,
}

/// A command line that was not understood, or one that only asks for help.
pub(crate) struct Unread {
    error: clap::Error,
    wants_json: bool,
}

/// Reads the arguments.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Cli, Unread> {
    Cli::try_parse_from(arguments).map_err(|error| {
        let wants_json = arguments.iter().any(|word| word == "--json");
        Unread { error, wants_json }
    })
}

impl Unread {
    /// Prints the help that was asked for, or what was wrong; returns the exit code.
    pub(crate) fn print(self) -> i32 {
        if !self.error.use_stderr() || self.is_bare() {
            // Standard output that has been closed is no reason to fail.
            let _ = self.error.print();
            return if self.is_bare() { exit::USAGE } else { exit::SUCCESS };
        }
        Output::new(self.wants_json, Color::Never).refuse(&refusal(&self.error));
        exit::USAGE
    }

    fn is_bare(&self) -> bool {
        self.error.kind() == ClapError::DisplayHelpOnMissingArgumentOrSubcommand
    }
}

/// What was wrong, in one line and a hint, as everywhere else.
fn refusal(error: &clap::Error) -> RpcError {
    let rendered = error.render().to_string();
    let told = rendered.strip_prefix("error: ").unwrap_or(&rendered);
    // Behind the first empty line come tips and the usage.
    let what = told.lines().take_while(|line| !line.trim().is_empty());
    let message = what.map(str::trim).collect::<Vec<_>>().join(" ");
    let similar =
        [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue]
            .into_iter()
            .find_map(|kind| error.get(kind));
    let hint = match similar {
        Some(ContextValue::String(word)) => format!("did you mean `{word}`?"),
        Some(ContextValue::Strings(words)) if !words.is_empty() => {
            format!("did you mean `{}`?", words.join("` or `"))
        }
        _ => "add `--help` for what can be said here".to_owned(),
    };
    RpcError::new(ErrorKind::InvalidParams, message).hint(hint)
}

fn play_sid(text: &str) -> Result<PlaySid, std::convert::Infallible> {
    // Sids are lower-case; people copy them from places that are not.
    Ok(PlaySid::new(text.trim().to_lowercase()))
}

/// Reads `90`, `1.5s`, `5m`, `1h30m`: numbers with units, the largest first by custom only.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time above 0 such as 90s, 5m, 2h or 1d12h".to_owned();
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c| !is_number(c)).unwrap_or(rest.len()));
        let (unit, behind) = behind.split_at(behind.find(is_number).unwrap_or(behind.len()));
        let unit_seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "" if number == text => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(expected()),
        };
        seconds += number.parse::<f64>().map_err(|_| expected())? * unit_seconds;
        rest = behind;
    }
    match Duration::try_from_secs_f64(seconds) {
        // A thousand years are enough, and fit into every clock.
        Ok(duration) if (0.001..4e10).contains(&seconds) => Ok(duration),
        _ => Err(expected()),
    }
}

fn finite(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| "expected a number".to_owned())
}

fn overlap_parser() -> impl TypedValueParser<Value = Overlap> {
    PossibleValuesParser::new(Overlap::ALL.map(Overlap::word)).map(|word| {
        let known = Overlap::ALL.into_iter().find(|overlap| overlap.word() == word);
        known.expect("the parser lets only these words through")
    })
}

fn status_parser() -> impl TypedValueParser<Value = PlayStatus> {
    PossibleValuesParser::new(PlayStatus::ALL.map(PlayStatus::word)).map(|word| {
        let known = PlayStatus::ALL.into_iter().find(|status| status.word() == word);
        known.expect("the parser lets only these words through")
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn read(line: &str) -> Result<Cli, RpcError> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        parse(&words).map_err(|unread| refusal(&unread.error))
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_before_or_behind_the_command() {
        for line in ["hero_logic --json plays", "hero_logic plays --json"] {
            assert!(read(line).expect("reads").global.json, "{line}");
        }
    }

    #[test]
    fn an_answer_may_be_a_negative_number() {
        let cli = read("hero_logic resume 01JQ amount -3 --detach").expect("reads");
        let Some(Command::Resume(resume)) = cli.command else { panic!("another command") };
        assert_eq!((resume.answer.as_deref(), resume.detach), (Some("-3"), true));
        assert_eq!(resume.play.as_str(), "01jq");
    }

    #[test]
    fn a_time_has_units_that_add_up() {
        let cases = [
            ("90", Some(90_000)),
            ("1.5s", Some(1500)),
            ("250ms", Some(250)),
            ("5m", Some(300_000)),
            ("5min", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("2d", Some(172_800_000)),
            ("", None),
            ("0", None),
            ("-1s", None),
            ("s", None),
            ("1x", None),
            ("1h30", None),
            ("1 h", None),
            ("1..2s", None),
            ("NaN", None),
            ("99999999999999999999d", None),
        ];
        for (text, expected) in cases {
            assert_eq!(duration(text).ok().map(|time| time.as_millis()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_one_line_with_a_hint() {
        let cases = [
            ("hero_logic xyz", "unrecognized subcommand 'xyz'", "--help"),
            ("hero_logic play", "unrecognized subcommand 'play'", "`plays`"),
            ("hero_logic plays --stat x", "unexpected argument '--stat' found", "--status"),
            ("hero_logic plays --status sleeping", "invalid value 'sleeping'", "--help"),
            ("hero_logic plays --limit 0", "invalid value '0'", "--help"),
            ("hero_logic run", "required arguments were not provided", "--help"),
            ("hero_logic run a.py -i name", "no `=`", "--help"),
            ("hero_logic --start --stop", "cannot be used with", "--help"),
            ("hero_logic logs 01jq -f --json", "cannot be used with", "--help"),
            ("hero_logic run a.py --timeout 5x", "such as 90s, 5m, 2h", "--help"),
            ("hero_logic fork 01jq --answer a=b", "is not JSON", "--help"),
            ("hero_logic delete", "required arguments were not provided", "--help"),
        ];
        for (line, message, hint) in cases {
            let error = read(line).expect_err(line);
            assert!(error.message.contains(message), "{line}: {}", error.message);
            assert!(!error.message.contains('\n'), "{line}: {}", error.message);
            let told = error.hint.expect("a hint");
            assert!(told.contains(hint), "{line}: {told}");
        }
    }
}
