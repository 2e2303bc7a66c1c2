//! Environment variables: each is read in one place and documented here.

/// The play that this process is a launch of. Its presence makes the process a launch.
pub const PLAY_SID: &str = "HERO_PLAY_SID";
/// The number of the launch, counted from 1.
pub const LAUNCH: &str = "HERO_LAUNCH";
/// The version that the play is pinned to: the first part of every step key.
pub const WORKFLOW_VERSION_SID: &str = "HERO_WORKFLOW_VERSION_SID";
/// The Unix socket to which the launch reports its frames.
pub const SPAN_SOCKET: &str = "HERO_SPAN_SOCKET";
/// The Unix socket of the JSON-RPC server.
pub const RPC_SOCKET: &str = "HERO_RPC_SOCKET";
/// A file with the [`crate::child::LaunchOrder`]: entry, inputs, token.
pub const INPUT_FILE: &str = "HERO_INPUT_FILE";
/// A file `{step_key: outcome}`: the outermost completed steps.
pub const REPLAY_STEP_OUTPUTS_FILE: &str = "HERO_REPLAY_STEP_OUTPUTS_FILE";
/// A file `{resume_id: outcome}`: the answered pauses.
pub const REPLAY_RESUMES_FILE: &str = "HERO_REPLAY_RESUMES_FILE";
/// The data directory; `~/hero` where it is not set.
pub const HOME: &str = "HERO_HOME";
/// The directory that holds `hero_logic/*.sock`; `<data dir>/var/sockets` where it is not set.
pub const SOCKET_DIR: &str = "HERO_SOCKET_DIR";
/// The interpreter of plays that name none; see the README for what is tried without it.
pub const PYTHON: &str = "HERO_PYTHON";
/// The variables of the server's environment that flows may declare, by name, with commas between
/// them; none where it is not set.
pub const PERMIT_ENV: &str = "HERO_PERMIT_ENV";
/// How the processes of launches come into being: `fork`, where it is not set, or `spawn`.
pub const LAUNCHES: &str = "HERO_LAUNCHES";
/// For how many days a server keeps plays after their end, parts of days included; for ever where it is
/// not set.
pub const KEEP_DAYS: &str = "HERO_KEEP_DAYS";
/// What the URLs of callbacks begin with, such as `https://flows.example.com`; the address of the web UI on
/// this machine where it is not set.
pub const PUBLIC_URL: &str = "HERO_PUBLIC_URL";
/// The hosts, as `host` or `host:port` with commas between them, that final callbacks may reach although
/// they lie in a private network or take plain HTTP; none where it is not set.
pub const ALLOW_CALLBACKS: &str = "HERO_ALLOW_CALLBACKS";
/// What the programs log, in the syntax of `tracing-subscriber`; `warn` where it is not set.
pub const LOG: &str = "HERO_LOG";
/// Read when the programs are built: the number of the build.
pub const BUILD_NR: &str = "HERO_BUILD_NR";

/// The variables that make up the child contract, in the order of `PROTOCOL.md`.
pub const CHILD: [&str; 8] = [
    PLAY_SID,
    LAUNCH,
    WORKFLOW_VERSION_SID,
    SPAN_SOCKET,
    RPC_SOCKET,
    INPUT_FILE,
    REPLAY_STEP_OUTPUTS_FILE,
    REPLAY_RESUMES_FILE,
];

/// The variables that operators set.
pub const OPERATOR: [&str; 10] = [
    HOME,
    SOCKET_DIR,
    PYTHON,
    PERMIT_ENV,
    LAUNCHES,
    KEEP_DAYS,
    PUBLIC_URL,
    ALLOW_CALLBACKS,
    LOG,
    BUILD_NR,
];

/// What a launch inherits from the supervisor's environment, beside [`CHILD`] and what its flow
/// declares and [`PERMIT_ENV`] names. All else is left out, so that a secret of the supervisor reaches no flow.
pub const INHERITED: [&str; 12] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "VIRTUAL_ENV",
    "TERM",
];
