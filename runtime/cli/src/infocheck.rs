//! Whether the three programs are what their manifests say, seen from outside as a user meets them.
//!
//! Manifest, version, help, start-up banner and the sockets that are really bound tell of the same
//! program, and here they are held against each other. What runs already is not looked at: the doctor
//! does that.

use std::collections::BTreeSet;
use std::path::Path;

use hero_rpc::version;
use hero_schema::service::{ServiceKind, ServiceManifest};
use serde::Serialize;

use crate::services::{ADMIN, SERVER, find_program};
use crate::trial::{self, Trial};

const CLI: &str = "hero_logic";

/// Something that does not agree.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) program: &'static str,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// What is found of one program.
struct Findings {
    program: &'static str,
    list: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, message: String, hint: &str) {
        self.list.push(Finding { program: self.program, message, hint: hint.to_owned() });
    }
}

const REINSTALL: &str = "install the package again: its three programs belong together";
const MEND_MANIFEST: &str = "bring its service.toml and its code together, and build it again";

/// Looks at all three; empty where all agree.
pub(crate) async fn findings() -> Vec<Finding> {
    let mut all = findings_of(CLI, ServiceKind::Cli).await;
    all.extend(findings_of(SERVER, ServiceKind::Server).await);
    all.extend(findings_of(ADMIN, ServiceKind::Admin).await);
    all
}

async fn findings_of(program: &'static str, kind: ServiceKind) -> Vec<Finding> {
    let mut found = Findings { program, list: Vec::new() };
    let path = match find_program(program) {
        Ok(path) => path,
        Err(error) => {
            found.add(error.message, REINSTALL);
            return found.list;
        }
    };
    check_version(&path, &mut found).await;
    if let Some(manifest) = check_manifest(&path, kind, &mut found).await {
        check_help(&path, &manifest, &mut found).await;
        if kind != ServiceKind::Cli {
            match trial::start(program, &path).await {
                Ok(trial) => check_trial(trial, &manifest, &mut found).await,
                Err(why) => {
                    found
                        .add(format!("it does not start: {why}"), "run it by hand and see its log");
                }
            }
        }
    }
    found.list
}

async fn check_version(path: &Path, found: &mut Findings) {
    let expected = format!("{} {}", found.program, version::text());
    match trial::output(path, &["--version"]).await {
        Ok(text) if text.trim() == expected => {}
        Ok(text) => {
            let told = text.lines().next().unwrap_or_default();
            found.add(format!("--version tells `{told}` instead of `{expected}`"), REINSTALL);
        }
        Err(why) => found.add(format!("--version {why}"), REINSTALL),
    }
}

/// The manifest that it prints, whatever the other arguments are.
async fn check_manifest(
    path: &Path,
    kind: ServiceKind,
    found: &mut Findings,
) -> Option<ServiceManifest> {
    let text = match trial::output(path, &["--no-such-flag", "--info"]).await {
        Ok(text) => text,
        Err(why) => {
            found.add(format!("--info beside an unknown flag {why}"), REINSTALL);
            return None;
        }
    };
    let manifest: ServiceManifest = match toml::from_str(&text) {
        Ok(manifest) => manifest,
        Err(error) => {
            found.add(format!("--info prints no manifest: {}", error.message()), MEND_MANIFEST);
            return None;
        }
    };
    let name = &manifest.service.name;
    if name != found.program {
        found.add(format!("its manifest is that of `{name}`"), MEND_MANIFEST);
    }
    if manifest.service.kind != kind {
        let told = manifest.service.kind;
        found
            .add(format!("its manifest is of kind {told:?}, and it is of {kind:?}"), MEND_MANIFEST);
    }
    let mut names = BTreeSet::new();
    for variable in &manifest.env {
        if !names.insert(&variable.name) {
            found.add(format!("its manifest names {} twice", variable.name), MEND_MANIFEST);
        }
    }
    Some(manifest)
}

/// The variables that its help says it reads are those of the manifest.
async fn check_help(path: &Path, manifest: &ServiceManifest, found: &mut Findings) {
    let help = match trial::output(path, &["--help"]).await {
        Ok(help) => help,
        Err(why) => return found.add(format!("--help {why}"), REINSTALL),
    };
    for name in variables_in(&help) {
        if !manifest.env.iter().any(|variable| variable.name == name) {
            found.add(
                format!("it reads {name}, and its manifest has no such variable"),
                MEND_MANIFEST,
            );
        }
    }
}

/// The names of `[env: NAME=value]`.
fn variables_in(help: &str) -> Vec<&str> {
    let names = help.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next());
    names.collect()
}

async fn check_trial(mut trial: Trial, manifest: &ServiceManifest, found: &mut Findings) {
    let banner = trial.banner();
    let first = format!("{} {}", manifest.service.name, version::text());
    let told = banner.lines().next().unwrap_or_default();
    if told != first {
        found.add(format!("its banner begins with `{told}` instead of `{first}`"), MEND_MANIFEST);
    }
    let declared: BTreeSet<Listening> = manifest
        .sockets
        .iter()
        .map(|socket| Listening::new(&socket.path, &socket.protocol))
        .collect();
    let told = trial.told(&banner);
    for one in declared.symmetric_difference(&told) {
        let (has, has_not) =
            if told.contains(one) { ("banner", "manifest") } else { ("manifest", "banner") };
        found.add(format!("its {has} names {one}, and its {has_not} does not"), MEND_MANIFEST);
    }
    for path in trial.files().iter().filter(|path| !declared.iter().any(|one| one.path == **path)) {
        found.add(format!("it binds `{path}`, which its manifest does not name"), MEND_MANIFEST);
    }
    for one in &declared {
        if let Err(why) = trial.speaks(one).await {
            found.add(format!("it does not speak as declared at {one}: {why}"), MEND_MANIFEST);
        }
    }
    if let Err(why) = trial.stop().await {
        found.add(why, "run it by hand, stop it with SIGTERM, and see its log");
    }
}

/// A place to listen at, and what is spoken there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listening {
    /// A file below the socket directory, or a host: the port is the choice of whoever starts it.
    pub(crate) path: String,
    pub(crate) protocol: String,
}

impl Listening {
    pub(crate) fn new(path: &str, protocol: &str) -> Self {
        let host = path.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
        let path = host.map_or(path, |(host, _)| host);
        Self { path: path.to_owned(), protocol: protocol.to_owned() }
    }
}

impl std::fmt::Display for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` ({})", self.path, self.protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_a_help_are_found() {
        let help = "--data-dir <DIR>  The data [env: HERO_HOME=/x]\n--python  [env: HERO_PYTHON=]";
        assert_eq!(variables_in(help), ["HERO_HOME", "HERO_PYTHON"]);
        assert!(variables_in("nothing").is_empty());
    }

    #[test]
    fn the_port_is_no_part_of_what_is_compared() {
        assert_eq!(Listening::new("127.0.0.1:8899", "p"), Listening::new("127.0.0.1:1", "p"));
        assert_eq!(Listening::new("a/rpc.sock", "p").path, "a/rpc.sock");
    }
}
