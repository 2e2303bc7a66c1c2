//! Ctrl-C: the first one asks the command to leave in good order, the second one ends it.

use hero_schema::exit;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Tells of the first Ctrl-C (or SIGTERM).
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    seen: watch::Receiver<bool>,
}

impl Interrupt {
    /// Listens from now on; until then Ctrl-C ends the process as usual.
    pub(crate) fn listen() -> Self {
        let (tell, seen) = watch::channel(false);
        tokio::spawn(async move {
            one_signal().await;
            let _ = tell.send(true);
            one_signal().await;
            std::process::exit(exit::CANCELLED);
        });
        Self { seen }
    }

    /// Returns once there was one; at once if there was one before.
    pub(crate) async fn happened(&mut self) {
        if self.seen.wait_for(|seen| *seen).await.is_err() {
            // The listener never ends before the process does.
            std::future::pending::<()>().await;
        }
    }
}

async fn one_signal() {
    let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be listened to");
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened to");
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
