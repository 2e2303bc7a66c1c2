//! `hero_logic_server`: keeps plays going until it is told to stop.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use hero_logic_server::{Config, Server};
use hero_rpc::paths::Paths;
use hero_rpc::version;
use hero_schema::service::ServiceManifest;
use hero_schema::{RpcError, env, exit};
use tokio::signal::unix::{SignalKind, signal};

const SERVICE_TOML: &str = include_str!("../service.toml");

/// Keeps plays going and answers JSON-RPC on a Unix socket.
#[derive(Parser)]
#[command(version = version::text())]
struct Args {
    /// The data directory.
    #[arg(long, value_name = "DIR", env = env::HOME)]
    data_dir: Option<PathBuf>,
    /// The directory that holds hero_logic/*.sock.
    #[arg(long, value_name = "DIR", env = env::SOCKET_DIR)]
    socket_dir: Option<PathBuf>,
    /// The interpreter of plays that name none.
    #[arg(long, value_name = "PATH", env = env::PYTHON)]
    python: Option<PathBuf>,
    /// For how many days plays are kept after their end; they are kept for ever where it is not set.
    #[arg(long, value_name = "DAYS", env = env::KEEP_DAYS, value_parser = days)]
    keep_days: Option<Duration>,
    /// Print the manifest of this program and do nothing else.
    #[arg(long)]
    info: bool,
}

fn main() -> ExitCode {
    let manifest: ServiceManifest =
        toml::from_str(SERVICE_TOML).expect("a test holds service.toml to its type");
    // Before the other arguments are looked at, so that it works whatever they are.
    if std::env::args().any(|argument| argument == "--info") {
        print_manifest(SERVICE_TOML);
        return ExitCode::SUCCESS;
    }
    let args = Args::parse();
    start_logging();
    let runtime = tokio::runtime::Runtime::new().expect("the system has room for a few threads");
    match runtime.block_on(serve(&manifest, args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            if let Some(hint) = error.hint {
                eprintln!("hint: {hint}");
            }
            ExitCode::from(u8::try_from(exit::USAGE).expect("exit codes are small"))
        }
    }
}

async fn serve(manifest: &ServiceManifest, args: Args) -> Result<(), RpcError> {
    let paths = Paths::new(args.data_dir, args.socket_dir);
    banner(manifest, &paths);
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened to");
    let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be listened to");
    let server = Server::start(Config {
        paths,
        python: args.python,
        recover: true,
        fires: true,
        keep: args.keep_days,
    })
    .await?;
    tracing::info!("serving");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    server.stop().await
}

/// Parts of a day are fine: `0.5`.
fn days(text: &str) -> Result<Duration, String> {
    let days = text.parse().ok().filter(|days: &f64| *days > 0.0);
    let kept = days.and_then(|days| Duration::try_from_secs_f64(days * 86_400.0).ok());
    kept.ok_or_else(|| "expected a number of days above 0, such as 30 or 0.5".to_owned())
}

fn banner(manifest: &ServiceManifest, paths: &Paths) {
    eprintln!("{} {}", manifest.service.name, version::text());
    eprintln!("  data     {}", paths.data_dir.display());
    for socket in &manifest.sockets {
        let path = paths.socket_dir.join(&socket.path);
        eprintln!("  listens  {} ({})", path.display(), socket.protocol);
    }
}

fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env(env::LOG)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let has_colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(has_colours)
        .init();
}

/// Standard output that has been closed is no reason to fail.
fn print_manifest(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plays_are_kept_for_days_and_parts_of_days() {
        assert_eq!(days("30"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(days("0.5"), Ok(Duration::from_secs(43_200)));
        for text in ["0", "-1", "", "NaN", "inf", "1e300", "5d"] {
            assert!(days(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_manifest_reads_and_names_this_program() {
        let manifest: ServiceManifest = toml::from_str(SERVICE_TOML).expect("reads");
        assert_eq!(manifest.service.name, "hero_logic_server");
    }
}
