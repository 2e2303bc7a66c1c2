//! What a process wrote to standard error before it died.

use std::collections::VecDeque;

/// How many of its lines are kept, and how much of them, in bytes.
const LINES: usize = 20;
const BYTES: usize = 4096;

/// How many lines of a Python stack are kept beside them, from its innermost call on.
const STACK_LINES: usize = 40;

/// How Python tells that it is dying, and where the stack of the thread begins that is to blame.
const FATAL: &str = "Fatal Python error";
const CURRENT_THREAD: &str = "Current thread 0x";

/// The last lines, and the stack that Python printed if it has gone past them.
#[derive(Default)]
pub(crate) struct LastWords {
    lines: VecDeque<String>,
    n_bytes: usize,
    n_lines: usize,
    stack: Vec<String>,
    /// The number of the line with which the stack begins.
    stack_begins: usize,
    is_in_stack: bool,
}

impl LastWords {
    /// Takes the next line. Empty ones are not kept.
    pub(crate) fn hear(&mut self, line: String) {
        self.hear_stack(&line);
        if line.trim().is_empty() {
            return;
        }
        self.n_lines += 1;
        self.n_bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > LINES || (self.n_bytes > BYTES && self.lines.len() > 1) {
            self.n_bytes -= self.lines.pop_front().map_or(0, |line| line.len());
        }
    }

    fn hear_stack(&mut self, line: &str) {
        if line.starts_with(FATAL) {
            self.stack = vec![line.to_owned()];
            self.stack_begins = self.n_lines;
        } else if line.starts_with(CURRENT_THREAD) && !self.stack.is_empty() {
            self.is_in_stack = true;
        } else if line.is_empty() {
            self.is_in_stack = false;
        }
        if self.is_in_stack && self.stack.len() < STACK_LINES {
            self.stack.push(line.to_owned());
        }
    }

    /// The lines as one text.
    pub(crate) fn into_text(self) -> String {
        let has_seen_all = self.stack_begins >= self.n_lines - self.lines.len();
        let mut lines = Vec::new();
        if !self.stack.is_empty() && !has_seen_all {
            lines.extend(self.stack);
            lines.push("…".into());
        }
        lines.extend(self.lines);
        let text = lines.join("\n");
        let excess = text.len().saturating_sub(2 * BYTES);
        let from = (excess..).find(|&at| text.is_char_boundary(at)).unwrap_or_default();
        text[from..].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: impl IntoIterator<Item = String>) -> String {
        let mut last_words = LastWords::default();
        lines.into_iter().for_each(|line| last_words.hear(line));
        last_words.into_text()
    }

    #[test]
    fn the_last_lines_are_kept_and_no_empty_ones() {
        assert_eq!(said([]), "");
        let lines = (0..50).flat_map(|number| [format!("line {number}"), String::new()]);
        let expected: Vec<_> = (30..50).map(|number| format!("line {number}")).collect();
        assert_eq!(said(lines), expected.join("\n"));
    }

    #[test]
    fn long_lines_fill_no_memory() {
        let text = said((0..1000).map(|_| "é".repeat(16 * 1024)));
        assert!((BYTES..=2 * BYTES).contains(&text.len()), "{}", text.len());
    }

    #[test]
    fn the_innermost_calls_of_a_deep_stack_are_kept() {
        let begin = ["before", "Fatal Python error: Aborted", "", "Thread 0x1:", "  other", ""];
        let stack = (0..100).map(|depth| format!("  File \"flow.py\", line {depth}"));
        let lines = begin.map(str::to_owned).into_iter();
        let lines = lines.chain(["Current thread 0x2 (most recent call first):".into()]);
        let text = said(lines.chain(stack).chain([String::new(), "Extension modules: x".into()]));
        assert!(text.starts_with("Fatal Python error: Aborted\nCurrent thread 0x2"), "{text}");
        assert!(text.contains("line 0\n") && text.ends_with("Extension modules: x"), "{text}");
        assert!(!text.contains("other"), "{text}");
    }

    #[test]
    fn a_short_stack_is_not_told_twice() {
        let lines = ["before", "Fatal Python error: Aborted", "", "Current thread 0x2", "  File"];
        let text = said(lines.map(str::to_owned));
        assert_eq!(text, "before\nFatal Python error: Aborted\nCurrent thread 0x2\n  File");
    }
}
