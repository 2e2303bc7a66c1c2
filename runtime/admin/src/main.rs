//! `hero_logic_admin`: the web UI.
//!
//! A client of the RPC socket like any other: it opens no store, starts no process, and can do nothing
//! that the command line cannot. It listens on the loopback interface alone.

mod access;
mod callbacks;
mod form;
mod pages;
mod secret;

use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use hero_rpc::Client;
use hero_rpc::paths::Paths;
use hero_rpc::version;
use hero_schema::service::ServiceManifest;
use hero_schema::{env, exit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::access::Access;

const SERVICE_TOML: &str = include_str!("../service.toml");

/// Shows plays in a browser and takes the answers of people.
#[derive(Parser)]
#[command(version = version::text())]
struct Args {
    /// The port on 127.0.0.1; 0 takes any that is free.
    #[arg(long, default_value_t = 8899)]
    port: u16,
    /// The data directory of the server it shows.
    #[arg(long, value_name = "DIR", env = env::HOME)]
    data_dir: Option<PathBuf>,
    /// The directory that holds hero_logic/*.sock.
    #[arg(long, value_name = "DIR", env = env::SOCKET_DIR)]
    socket_dir: Option<PathBuf>,
    /// Print the manifest of this program and do nothing else.
    #[arg(long)]
    info: bool,
}

fn main() -> ExitCode {
    let manifest: ServiceManifest =
        toml::from_str(SERVICE_TOML).expect("a test holds service.toml to its type");
    // Before the other arguments are looked at, so that it works whatever they are.
    if std::env::args().any(|argument| argument == "--info") {
        use std::io::Write;
        let _ = std::io::stdout().write_all(SERVICE_TOML.as_bytes());
        return ExitCode::SUCCESS;
    }
    let args = Args::parse();
    start_logging();
    let runtime = tokio::runtime::Runtime::new().expect("the system has room for a few threads");
    match runtime.block_on(serve(&manifest, args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err((message, hint)) => {
            eprintln!("error: {message}\nhint: {hint}");
            ExitCode::from(u8::try_from(exit::USAGE).expect("exit codes are small"))
        }
    }
}

async fn serve(manifest: &ServiceManifest, args: Args) -> Result<(), (String, &'static str)> {
    let paths = Paths::new(args.data_dir, args.socket_dir);
    let asked_to_stop = stop_signal();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let listener = TcpListener::bind(address).await.map_err(|error| {
        (format!("failed to listen on {address}: {error}"), "choose another port with --port")
    })?;
    let port = listener.local_addr().expect("a bound listener has an address").port();
    let access = Access::new(port, paths.admin_url_file()).map_err(|error| {
        let file = paths.admin_url_file();
        (
            format!("failed to write `{}`: {error}", file.display()),
            "start the server first: hero_logic --start",
        )
    })?;
    banner(manifest, &access);
    let client = Client::new(paths.rpc_socket());
    let public_url = std::env::var(env::PUBLIC_URL).unwrap_or_default();
    let hosts = access.hosts().into_iter().chain(callbacks::host_of(&public_url)).collect();
    let app =
        pages::router(client.clone(), Arc::new(access)).merge(callbacks::router(client, hosts));
    let stopped = axum::serve(listener, app).with_graceful_shutdown(asked_to_stop).await;
    let _ = std::fs::remove_file(paths.admin_url_file());
    stopped.map_err(|error| (format!("failed to serve: {error}"), "see the log"))
}

fn banner(manifest: &ServiceManifest, access: &Access) {
    eprintln!("{} {}", manifest.service.name, version::text());
    // The manifest names the port that it takes where it is given none.
    let [address, _] = access.hosts();
    for socket in &manifest.sockets {
        eprintln!("  listens  {address} ({})", socket.protocol);
    }
    eprintln!("  sign in  {}", access.login_url());
}

/// Listens from now on, and not only once it is awaited: a signal in between would kill.
fn stop_signal() -> impl Future<Output = ()> {
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened to");
    let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be listened to");
    async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_reads_and_names_this_program() {
        let manifest: ServiceManifest = toml::from_str(SERVICE_TOML).expect("reads");
        assert_eq!(manifest.service.name, "hero_logic_admin");
    }
}
