//! Everything that is printed: results on standard output, words about them on standard error.

use std::io::{self, IsTerminal, Write};

use console::Style;
use hero_schema::{ErrorKind, RpcError};
use serde::Serialize;

use crate::args::Color;

/// Why a command came to no result of its own.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// It could not be carried out as given.
    Refused(RpcError),
    /// Nobody reads standard output any more.
    ReaderGone,
    /// Ctrl-C.
    Interrupted,
}

impl From<RpcError> for Stopped {
    fn from(error: RpcError) -> Self {
        Self::Refused(error)
    }
}

/// Where and how to print.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// Print one JSON object, and no words.
    pub(crate) is_json: bool,
    /// How to colour what goes to standard output.
    pub(crate) paint: Paint,
    /// How to colour what goes to standard error.
    pub(crate) paint_stderr: Paint,
    /// Whether a person watches standard error.
    pub(crate) is_live: bool,
    /// Whether that person can also type.
    pub(crate) can_ask: bool,
}

impl Output {
    pub(crate) fn new(is_json: bool, color: Color) -> Self {
        let is_live = !is_json && io::stderr().is_terminal() && !is_dumb_terminal();
        Self {
            is_json,
            paint: Paint { is_on: wants_color(color, io::stdout().is_terminal()) },
            paint_stderr: Paint { is_on: wants_color(color, io::stderr().is_terminal()) },
            is_live,
            can_ask: is_live && io::stdin().is_terminal(),
        }
    }

    /// Prints to standard output, and a line end.
    pub(crate) fn print(&self, text: &str) -> Result<(), Stopped> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n"));
        written.and_then(|()| stdout.flush()).map_err(|error| {
            if error.kind() == io::ErrorKind::BrokenPipe {
                return Stopped::ReaderGone;
            }
            let message = format!("failed to write to standard output: {error}");
            Stopped::Refused(RpcError::new(ErrorKind::Internal, message))
        })
    }

    /// Prints the one JSON object of `--json`.
    pub(crate) fn print_json(&self, value: &impl Serialize) -> Result<(), Stopped> {
        let text = serde_json::to_string(value).expect("the types of the wire have a JSON form");
        self.print(&text)
    }

    /// Says something on the way, on standard error. Programs that want JSON are told nothing.
    pub(crate) fn tell(&self, line: &str) {
        if !self.is_json {
            // A standard error that has been closed is no reason to fail.
            let _ = writeln!(io::stderr(), "{line}");
        }
    }

    /// Prints an error on standard error: two lines, or one JSON object.
    pub(crate) fn refuse(&self, error: &RpcError) {
        let text =
            if self.is_json { error_json(error) } else { error_lines(error, self.paint_stderr) };
        let _ = writeln!(io::stderr(), "{text}");
    }
}

fn wants_color(color: Color, is_terminal: bool) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => is_terminal && !is_set("NO_COLOR") && !is_dumb_terminal(),
    }
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

fn is_dumb_terminal() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

fn error_lines(error: &RpcError, paint: Paint) -> String {
    let message = crate::text::visible(&error.message);
    let told = format!("{} {message}", paint.red("error:"));
    match error.hint.as_deref().or_else(|| usual_hint(error.kind)) {
        Some(hint) => format!("{told}\n{} {}", paint.cyan("hint:"), crate::text::visible(hint)),
        None => told,
    }
}

fn error_json(error: &RpcError) -> String {
    let told = ErrorObject {
        kind: error.kind,
        code: error.kind.code(),
        message: &error.message,
        hint: error.hint.as_deref().or_else(|| usual_hint(error.kind)),
    };
    serde_json::to_string(&ErrorDocument { error: told })
        .expect("text and numbers have a JSON form")
}

#[derive(Serialize)]
struct ErrorDocument<'a> {
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    kind: ErrorKind,
    code: i64,
    message: &'a str,
    hint: Option<&'a str>,
}

/// What to do about an error that says nothing about that itself.
fn usual_hint(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::PlayNotFound => "`hero_logic plays` lists the plays",
        ErrorKind::WorkflowNotFound => "`hero_logic workflow list` lists the workflows",
        ErrorKind::RequestNotFound => "`hero_logic show PLAY` lists what a play asks",
        ErrorKind::PayloadNotJson => "text is written in both quotes: '\"some text\"'",
        ErrorKind::FileUnreadable => "give the path of a UTF-8 text file that you may read",
        ErrorKind::FlowDefinition => "a flow is a `@flow` function in a Python file of UTF-8 text",
        ErrorKind::PlayEnded => "an ended play never changes; start a new one",
        ErrorKind::ServerUnreachable => "try again, or start a server with `hero_logic --start`",
        ErrorKind::Internal => "the log of the server says more",
        _ => return None,
    })
}

/// Colours, or the same text without.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    pub(crate) is_on: bool,
}

impl Paint {
    fn with(self, style: Style, text: &str) -> String {
        style.force_styling(self.is_on).apply_to(text).to_string()
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.with(Style::new().dim(), text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.with(Style::new().red(), text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.with(Style::new().green(), text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.with(Style::new().yellow(), text)
    }

    pub(crate) fn cyan(self, text: &str) -> String {
        self.with(Style::new().cyan(), text)
    }

    /// A status in its colour; the word is there too, so that the colour only helps.
    pub(crate) fn status(self, status: hero_schema::PlayStatus) -> String {
        use hero_schema::PlayStatus as S;
        match status {
            S::Success => self.green(status.word()),
            S::Failed | S::TimedOut => self.red(status.word()),
            S::AwaitingResume => self.yellow(status.word()),
            S::Pending | S::Running => self.cyan(status.word()),
            S::Cancelled => self.dim(status.word()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Paint = Paint { is_on: false };

    #[test]
    fn an_error_is_one_line_and_a_hint() {
        let cases = [
            (
                RpcError::new(ErrorKind::InvalidName, "no name").hint("use letters"),
                "error: no name\nhint: use letters",
            ),
            (
                RpcError::new(ErrorKind::PlayNotFound, "there is no play `x\x1b[2J`"),
                "error: there is no play `x\\u{1b}[2J`\nhint: `hero_logic plays` lists the plays",
            ),
            (RpcError::new(ErrorKind::Forbidden, "two\nlines"), "error: two\\u{a}lines"),
        ];
        for (error, expected) in cases {
            assert_eq!(error_lines(&error, PLAIN), expected);
        }
    }

    #[test]
    fn programs_get_the_error_as_one_object() {
        let error = RpcError::new(ErrorKind::PayloadMismatch, "no \"fit\"").hint("again");
        let expected = r#"{"error":{"kind":"payload_mismatch","code":-32007,"message":"no \"fit\"","hint":"again"}}"#;
        assert_eq!(error_json(&error), expected);
    }

    #[test]
    fn colours_are_there_when_they_are_wanted_and_only_then() {
        assert_eq!(PLAIN.red("x"), "x");
        assert_eq!(Paint { is_on: true }.red("x"), "\x1b[31mx\x1b[0m");
        assert!(wants_color(Color::Always, false) && !wants_color(Color::Never, true));
    }
}
