//! The server that a command talks to: the one on the socket, or one inside the command itself.
//!
//! Either way the command speaks RPC over the socket, so that there is one code path, and so that
//! another command can join the server that this one has become.

use std::time::{Duration, Instant};

use hero_logic_server::{Config, Server};
use hero_rpc::Client;
use hero_schema::{ErrorKind, RpcError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::commands::Context;
use crate::interrupt::Interrupt;
use crate::output::{Output, Stopped};
use crate::place::Place;
use crate::services::is_in_background;

/// How long to look for whoever holds the store: it may be about to listen, or about to leave.
const HOLDER_PATIENCE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(30);

/// How long a server in the background has to come back before a command that it leaves takes its
/// place: it may only be restarted.
const RESTART_PATIENCE: Duration = Duration::from_secs(5);

/// What a command is a server for, where it becomes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// To read, or to write one thing: plays are left as they lie.
    Looks,
    /// To keep plays going: those that have no process are relaunched, and the command stays until
    /// every play has ended or waits.
    Carries,
}

/// A server, for as long as a command takes.
pub(crate) struct Session {
    place: Place,
    output: Output,
    role: Role,
    client: Client,
    /// The server inside this command, where there was none.
    embedded: Option<Server>,
    /// How long to wait for another server where this one goes away.
    patience: Duration,
    /// Listened to by commands that leave something behind; the others just end.
    interrupt: Option<Interrupt>,
}

/// Runs the body of a command with a server, and leaves the server in good order.
pub(crate) async fn with<T>(
    context: Context,
    role: Role,
    body: impl AsyncFnOnce(&mut Session) -> Result<T, Stopped>,
) -> Result<T, Stopped> {
    let mut session = Session::open(context, role).await?;
    let done = body(&mut session).await;
    let stays = role == Role::Carries && !matches!(done, Err(Stopped::Interrupted));
    session.close(stays).await?;
    done
}

impl Session {
    async fn open(context: Context, role: Role) -> Result<Self, RpcError> {
        let Context { place, output } = context;
        let client = Client::new(place.paths.rpc_socket());
        let embedded = find_or_become(&place, &client, role).await?;
        let patience = patience(&client, embedded.is_some()).await;
        let interrupt = (role == Role::Carries).then(Interrupt::listen);
        Ok(Self { place, output, role, client, embedded, patience, interrupt })
    }

    /// Where the data is, for commands that people copy.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Where to print.
    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// Whether this command is the server.
    pub(crate) fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// Calls a method. A server that refuses because it is stopping has done nothing, so its
    /// successor is asked instead, which may be this command.
    pub(crate) async fn call<P: Serialize, R: DeserializeOwned>(
        &mut self,
        method: &str,
        params: &P,
    ) -> Result<R, RpcError> {
        loop {
            match self.client.call(method, params).await {
                Err(error) if !self.is_embedded() && left_undone(&error) => self.reopen().await?,
                answer => return answer,
            }
        }
    }

    /// Calls a method that may be repeated: also one that was under way when the server went away is
    /// asked of its successor.
    pub(crate) async fn call_again<P: Serialize, R: DeserializeOwned>(
        &mut self,
        method: &str,
        params: &P,
    ) -> Result<R, RpcError> {
        loop {
            match self.call(method, params).await {
                Err(error) if !self.is_embedded() && is_gone(&error) => self.reopen().await?,
                answer => return answer,
            }
        }
    }

    async fn reopen(&mut self) -> Result<(), RpcError> {
        let deadline = Instant::now() + self.patience;
        loop {
            // The old socket may still be there for a moment.
            tokio::time::sleep(LOOK_AGAIN).await;
            if Instant::now() >= deadline || is_served(&self.place, &self.client).await? {
                break;
            }
        }
        self.embedded = find_or_become(&self.place, &self.client, self.role).await?;
        self.patience = patience(&self.client, self.is_embedded()).await;
        Ok(())
    }

    /// What ends when there is a Ctrl-C; never, for commands that do not listen.
    pub(crate) fn interrupted(&self) -> impl Future<Output = ()> + use<> {
        let interrupt = self.interrupt.clone();
        async move {
            match interrupt {
                Some(mut interrupt) => interrupt.happened().await,
                None => std::future::pending().await,
            }
        }
    }

    /// Stops the server inside this command; where it `stays`, first lets all plays come to rest.
    async fn close(self, stays: bool) -> Result<(), RpcError> {
        let interrupted = self.interrupted();
        let Some(server) = self.embedded else { return Ok(()) };
        if stays {
            tokio::select! {
                () = server.idle() => {}
                () = interrupted => {}
            }
        }
        server.stop().await
    }
}

/// A server in the background may come back; a command that carries plays ends with them.
async fn patience(client: &Client, is_embedded: bool) -> Duration {
    match client.health().await {
        Ok(health) if !is_embedded && is_in_background(health.pid) => RESTART_PATIENCE,
        _ => Duration::ZERO,
    }
}

/// None where a server answers; else the server that this process has become.
async fn find_or_become(
    place: &Place,
    client: &Client,
    role: Role,
) -> Result<Option<Server>, RpcError> {
    let deadline = Instant::now() + HOLDER_PATIENCE;
    loop {
        if is_served(place, client).await? {
            return Ok(None);
        }
        let recover = role == Role::Carries;
        // A command is there for its own plays, and soon gone: schedules are for the server.
        let (paths, fires) = (place.paths.clone(), false);
        let config = Config { paths, python: None, recover, fires, keep: None };
        match Server::start(config).await {
            Ok(server) => return Ok(Some(server)),
            Err(error) if is_taken(&error) && Instant::now() < deadline => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether a server of this data directory answers on the socket.
async fn is_served(place: &Place, client: &Client) -> Result<bool, RpcError> {
    let health = match client.health().await {
        Ok(health) => health,
        Err(error) if error.kind == ErrorKind::ServerUnreachable => return Ok(false),
        Err(error) => return Err(error),
    };
    let ours = &place.paths.data_dir;
    if is_same_directory(ours, health.data_dir.as_ref()) {
        return Ok(true);
    }
    let message = format!(
        "the server on `{}` (pid {}) serves `{}` and not `{}`",
        client.socket().display(),
        health.pid,
        health.data_dir,
        ours.display()
    );
    Err(RpcError::new(ErrorKind::DataDirMismatch, message).hint(
        "choose its directory with --data-dir, or another socket directory with HERO_SOCKET_DIR",
    ))
}

fn is_same_directory(one: &std::path::Path, other: &std::path::Path) -> bool {
    one == other
        || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Whether another process holds the store or the socket, perhaps only for a moment.
fn is_taken(error: &RpcError) -> bool {
    matches!(error.kind, ErrorKind::StoreInUse | ErrorKind::SocketUnusable)
}

/// Whether the call certainly was not carried out: refused, or nobody was there to take it. A server
/// that hung up on it may have carried it out.
fn left_undone(error: &RpcError) -> bool {
    error.kind == ErrorKind::ShuttingDown || (is_gone(error) && !error.message.contains("hung up"))
}

fn is_gone(error: &RpcError) -> bool {
    error.kind == ErrorKind::ServerUnreachable
}
