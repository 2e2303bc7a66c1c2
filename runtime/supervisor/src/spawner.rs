//! The one thread that starts processes.
//!
//! A child asks to die with its parent (`PR_SET_PDEATHSIG`), and Linux takes the *thread* that
//! spawned it for the parent. Threads of an async runtime come and go, so one thread that lives as
//! long as the program does all the spawning.

use std::io;
use std::sync::mpsc;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::orphans::{LaunchId, Started};

/// A handle to the spawning thread.
#[derive(Clone)]
pub(crate) struct Spawner {
    orders: mpsc::Sender<Order>,
}

struct Order {
    command: Command,
    launch: Option<LaunchId>,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<(Child, Started)>>,
}

impl Spawner {
    /// Starts the thread. It never ends before the process does, even if the handle is dropped:
    /// children that still run must not be killed by that.
    pub(crate) fn start() -> Self {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::Builder::new()
            .name("spawner".into())
            .spawn(move || {
                while let Ok(mut order) = inbox.recv() {
                    let _inside = order.runtime.enter();
                    // A caller that has gone away drops the child, which `kill_on_drop` ends.
                    let _ = order.reply.send(Started::by(order.launch, || order.command.spawn()));
                }
                loop {
                    std::thread::park();
                }
            })
            .expect("the system has room for one more thread");
        Self { orders }
    }

    /// Starts a process, of a launch or of none.
    ///
    /// # Errors
    /// As [`Command::spawn`].
    pub(crate) async fn spawn(
        &self,
        command: Command,
        launch: Option<LaunchId>,
    ) -> io::Result<(Child, Started)> {
        let (reply, answer) = oneshot::channel();
        let order = Order { command, launch, runtime: Handle::current(), reply };
        self.orders.send(order).expect("the spawning thread lives as long as the program");
        answer.await.expect("the spawning thread answers every order")
    }
}
