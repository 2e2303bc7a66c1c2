//! The store: what it says about itself, and what became of a damaged one.

use hero_rpc::paths::Paths;
use hero_schema::{ErrorKind, RpcError};
use hero_store::doctor::{self, Finding, Repaired, Report};

use super::Check;
use crate::errors;

const NAME: &str = "store";

pub(super) async fn check(paths: &Paths, repair: bool) -> Vec<Check> {
    let dir = paths.store_dir();
    if !dir.exists() {
        return vec![Check::ok(NAME, "there is none yet")];
    }
    // It may read much; it has a thread of its own for that.
    let looked = tokio::task::spawn_blocking(move || match repair {
        true => doctor::repair(&dir),
        false => doctor::examine(&dir),
    });
    let report = match looked.await {
        Ok(report) => report.map_err(errors::of_store),
        Err(panic) => {
            let message = format!("failed to examine the store: {panic}");
            Err(RpcError::new(ErrorKind::Internal, message))
        }
    };
    match report {
        Ok(report) => checks_of(&report),
        Err(error) if error.kind == ErrorKind::StoreInUse => {
            vec![Check::failed(NAME, error).hint("stop it first: nothing was repaired")]
        }
        Err(error) => vec![Check::failed(NAME, error)],
    }
}

fn checks_of(report: &Report) -> Vec<Check> {
    let n_plays = plays(report.n_plays.values().sum());
    let format = report.format.map_or("none".to_owned(), |format| format.to_string());
    let in_use = report.holder.as_ref().map_or(String::new(), |by| format!(", in use by {by}"));
    let overview = format!("`{}`: {n_plays}, format {format}{in_use}", report.dir.display());
    let mut checks = vec![Check::ok(NAME, overview)];
    checks.extend(report.findings.iter().map(|finding| check_of(finding, report)));
    checks.extend(report.repaired.iter().map(of_repair));
    checks.extend(quarantine(report));
    checks
}

fn plays(n_plays: usize) -> String {
    if n_plays == 1 { "1 play".into() } else { format!("{n_plays} plays") }
}

fn check_of(finding: &Finding, report: &Report) -> Check {
    let message = match &finding.play {
        Some(play) => format!("play `{play}`: {}", finding.text),
        None => finding.text.clone(),
    };
    match (finding.is_loss, &report.holder, &report.repaired) {
        (false, _, _) => Check::warn(NAME, message).hint("nothing to do: opening it mends that"),
        (true, _, Some(_)) => Check::warn(NAME, format!("was damaged: {message}")),
        (true, Some(_), None) => Check::warn(NAME, message).hint(
            "stop the server and look again: what it writes just now may be all that is missing",
        ),
        (true, None, None) => Check::fail(NAME, message)
            .hint("`hero_logic doctor --repair` saves what is readable, and keeps the old store"),
    }
}

fn of_repair(repaired: &Repaired) -> Check {
    let Repaired { n_kept, quarantined, old, .. } = repaired;
    let message =
        format!("repaired: {} kept, {} put into quarantine", plays(*n_kept), quarantined.len());
    Check::ok(NAME, message)
        .hint(format!("the old store is `{}`; remove it once you are content", old.display()))
}

/// Plays that a repair, now or earlier, did not dare to carry on with.
fn quarantine(report: &Report) -> Option<Check> {
    let dir = report.dir.join("quarantine");
    let n_files = std::fs::read_dir(&dir).ok()?.count();
    (n_files > 0).then(|| {
        Check::warn(NAME, format!("{} in quarantine in `{}`", plays(n_files), dir.display())).hint(
            "read there what each had done, start it anew if that is right, and remove its file",
        )
    })
}
