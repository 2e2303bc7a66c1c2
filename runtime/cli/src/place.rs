//! The installation that the command works on, and how to name it in commands that people copy.

use std::path::PathBuf;

use hero_rpc::paths::Paths;
use hero_schema::{Play, PlaySid, ResumeRequest, RpcError};

use crate::ask;
use crate::text::{shell_word, visible};

/// Data directory and sockets.
pub(crate) struct Place {
    pub(crate) paths: Paths,
    /// `hero_logic`, with `--data-dir` where this command was given one.
    command: String,
}

impl Place {
    /// The place that the flag names, else the environment, else the default.
    pub(crate) fn new(data_dir: Option<PathBuf>) -> Result<Self, RpcError> {
        let given = data_dir.is_some();
        let paths = Paths::new(data_dir, None);
        let dir = paths.data_dir.display().to_string();
        let flag = if given { format!(" --data-dir {}", shell_word(&dir)) } else { String::new() };
        Ok(Self { paths, command: format!("hero_logic{flag}") })
    }

    /// The exact command with these words.
    pub(crate) fn command(&self, words: &str) -> String {
        format!("{} {words}", self.command)
    }

    /// The exact command that answers a request, with an answer of the right shape.
    pub(crate) fn answering(&self, play: &Play, request: &ResumeRequest) -> String {
        if let Some(url) = &request.url {
            return format!("a POST to {}", visible(url));
        }
        let n_namesakes = play.pending_resumes.iter().filter(|r| r.name == request.name).count();
        let name = if n_namesakes > 1 { request.id.as_str() } else { &request.name };
        self.answer_command(&play.sid, name, request)
    }

    /// The command that answers the request by this name or id.
    pub(crate) fn answer_command(
        &self,
        play: &PlaySid,
        name: &str,
        request: &ResumeRequest,
    ) -> String {
        let example = ask::example(request);
        self.command(&format!("resume {play} {} {}", shell_word(name), shell_word(&example)))
    }
}
