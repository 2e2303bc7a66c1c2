//! The keys: which bytes name which record, so that every list is one range.
//!
//! The first byte is the kind of record. Texts follow escaped and ended, so that no text is the
//! beginning of another and none can reach into its neighbour's range; numbers follow big-endian.
//!
//! | key | record |
//! |---|---|
//! | `f` | the format number |
//! | `#` | how many writes there were and what they come to, see `sled_store::sums` |
//! | `p` play | a play |
//! | `t` play | how many outcomes and requests the play has |
//! | `r` play, request | a request |
//! | `o` play, step key | an outcome |
//! | `s` play, launch, seq | a span |
//! | `s` play, launch, seq of the last, `r` | spans of replayed steps, see `spans` |
//! | `l` play, launch, seq | a log line |
//! | `v` version | a version |
//! | `w` workflow | a workflow |
//! | `n` name | the sid of the workflow of this name |
//! | `g` workflow | for how long its plays are kept |
//! | `k` start key | the sid of the play that was started with it |
//! | `m` workflow, number (newest first) | which version of the workflow has this number |
//! | `i` workflow, version | the number of the version in the workflow |
//! | `h` workflow, revision (newest first) | that a version became the current one of the workflow |
//! | `c` schedule | a schedule |
//! | `d` name | the sid of the schedule of this name |
//! | `e` schedule, due at (latest first), firing | a firing |
//! | `xa`, `xs` status, `xw` workflow, `xc` workflow, status, `xp` parent; created at (newest first), play | nothing: lists of plays |
//! | `xt` name, text; `xb` way; `xy` way, who; created at (newest first), play | nothing: lists of plays, by tag and by who started them |
//! | `xe` ended at, play | nothing: the list of plays that have ended |
//! | `xq` at, play | nothing: the plays whose outcome is to be posted, by when |
//! | `xo` asked at, play, request | nothing: the list of open questions |
//! | `xf` next at, schedule | nothing: schedules by when they fire next |
//! | `xg` schedule, due at, firing | nothing: firings that something is still to be done about |
//! | `xh` workflow, schedule | nothing: the active schedules of a workflow |
//! | `xd` at, play; or at, play, request | nothing: deadlines and expiries, by their moment |

use std::ops::Range;

use hero_schema::{
    FiringId, LaunchNumber, PlaySid, PlayStatus, ResumeId, ScheduleSid, StepKey, Timestamp,
    VersionSid, WorkflowSid,
};

use crate::Due;

/// What ends a text. A zero inside a text is written as `0x00 0xFF`.
const TEXT_END: [u8; 2] = [0, 1];
const ESCAPED_ZERO: [u8; 2] = [0, 0xFF];

/// How long launch and `seq` are in a key.
const SPAN_BYTES: usize = 12;

/// What marks the key of spans of replayed steps.
const REPLAYED: &[u8] = b"r";

/// The key of the format number.
pub(crate) const FORMAT: &[u8] = b"f";

/// The key of what all writes come to.
pub(crate) const SUMS: &[u8] = b"#";

/// The kinds of records that the sums are taken over: what is not counted anywhere else, and that
/// something would go wrong without.
const SUMMED_KINDS: [u8; 13] = *b"cdehikmnptvwx";

/// Whether the sums are taken over this key.
pub(crate) fn is_summed(key: &[u8]) -> bool {
    key.first().is_some_and(|kind| SUMMED_KINDS.contains(kind))
}

/// Whether this key is an entry of a list.
pub(crate) fn is_listed(key: &[u8]) -> bool {
    key.starts_with(b"x")
}

/// What follows the kind in the key of a play or a tally: the same bytes in both.
pub(crate) fn play_part(key: &[u8]) -> Option<&[u8]> {
    match key {
        [b'p' | b't', play @ ..] => Some(play),
        _ => None,
    }
}

/// Whether this key is of a play or a tally, or begins all of those.
pub(crate) fn is_of_plays(key: &[u8]) -> bool {
    play_part(key).is_some()
}

/// All keys that the sums are taken over.
pub(crate) fn summed() -> [Range<Vec<u8>>; 13] {
    SUMMED_KINDS.map(|kind| range(&[kind]))
}

/// Puts a key together, part by part.
struct Key(Vec<u8>);

impl Key {
    fn of(kind: &[u8]) -> Self {
        Self(kind.to_vec())
    }

    fn text(mut self, text: &str) -> Self {
        for byte in text.bytes() {
            match byte {
                0 => self.0.extend(ESCAPED_ZERO),
                other => self.0.push(other),
            }
        }
        self.0.extend(TEXT_END);
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn launch(self, launch: LaunchNumber) -> Self {
        self.bytes(&launch.0.to_be_bytes())
    }

    fn oldest_first(self, at: Timestamp) -> Self {
        self.bytes(&ascending(at).to_be_bytes())
    }

    fn newest_first(self, at: Timestamp) -> Self {
        self.bytes(&(!ascending(at)).to_be_bytes())
    }
}

/// The moment as a number whose bytes sort like it, before and after the epoch.
fn ascending(at: Timestamp) -> u64 {
    at.0.cast_unsigned() ^ (1 << 63)
}

/// The moment that [`ascending`] made a number of.
fn moment(ascending: u64) -> Timestamp {
    Timestamp((ascending ^ (1 << 63)).cast_signed())
}

pub(crate) fn play(play: &PlaySid) -> Vec<u8> {
    Key::of(b"p").text(play.as_str()).0
}

pub(crate) fn tally(play: &PlaySid) -> Vec<u8> {
    Key::of(b"t").text(play.as_str()).0
}

pub(crate) fn request(play: &PlaySid, request: &ResumeId) -> Vec<u8> {
    Key(requests(play)).text(request.as_str()).0
}

/// What the keys of all requests of a play begin with.
pub(crate) fn requests(play: &PlaySid) -> Vec<u8> {
    Key::of(b"r").text(play.as_str()).0
}

pub(crate) fn outcome(play: &PlaySid, step: &StepKey) -> Vec<u8> {
    Key(outcomes(play)).text(step.as_str()).0
}

/// What the keys of all outcomes of a play begin with.
pub(crate) fn outcomes(play: &PlaySid) -> Vec<u8> {
    Key::of(b"o").text(play.as_str()).0
}

pub(crate) fn span(play: &PlaySid, launch: LaunchNumber, seq: u64) -> Vec<u8> {
    Key(spans(play)).launch(launch).bytes(&seq.to_be_bytes()).0
}

/// The key of spans of replayed steps, the last of which has this `seq`: so they stand where the last of
/// them does, and who goes on from one of them in the middle comes upon the others.
pub(crate) fn replayed(play: &PlaySid, launch: LaunchNumber, last_seq: u64) -> Vec<u8> {
    Key(span(play, launch, last_seq)).bytes(REPLAYED).0
}

/// Whether a key of this suffix holds spans of replayed steps.
pub(crate) fn is_of_replayed(suffix: &[u8]) -> bool {
    suffix.get(SPAN_BYTES..) == Some(REPLAYED)
}

/// The rest of the key of a span, after the prefix of its play.
pub(crate) fn span_suffix(launch: LaunchNumber, seq: u64) -> Vec<u8> {
    Key(Vec::new()).launch(launch).bytes(&seq.to_be_bytes()).0
}

/// Launch and `seq` of a span, by what follows the prefix of its play.
pub(crate) fn listed_span(suffix: &[u8]) -> Option<(LaunchNumber, u64)> {
    let (launch, rest) = suffix.split_first_chunk()?;
    let (seq, _) = rest.split_first_chunk()?;
    Some((LaunchNumber(u32::from_be_bytes(*launch)), u64::from_be_bytes(*seq)))
}

/// What the keys of all spans of a play begin with.
pub(crate) fn spans(play: &PlaySid) -> Vec<u8> {
    Key::of(b"s").text(play.as_str()).0
}

pub(crate) fn log(play: &PlaySid, launch: LaunchNumber, seq: u64) -> Vec<u8> {
    Key(logs(play)).launch(launch).bytes(&seq.to_be_bytes()).0
}

/// What the keys of all log lines of a play begin with.
pub(crate) fn logs(play: &PlaySid) -> Vec<u8> {
    Key::of(b"l").text(play.as_str()).0
}

pub(crate) fn version(version: &VersionSid) -> Vec<u8> {
    Key::of(b"v").text(version.as_str()).0
}

pub(crate) fn workflow(workflow: &WorkflowSid) -> Vec<u8> {
    Key::of(b"w").text(workflow.as_str()).0
}

pub(crate) fn retention(workflow: &WorkflowSid) -> Vec<u8> {
    Key(retentions()).text(workflow.as_str()).0
}

/// What the keys of all retentions begin with.
pub(crate) fn retentions() -> Vec<u8> {
    Key::of(b"g").0
}

pub(crate) fn start_key(key: &str) -> Vec<u8> {
    Key::of(b"k").text(key).0
}

pub(crate) fn schedule(schedule: &ScheduleSid) -> Vec<u8> {
    Key::of(b"c").text(schedule.as_str()).0
}

pub(crate) fn schedule_name(name: &str) -> Vec<u8> {
    Key(schedule_names()).text(name).0
}

/// What the keys of all names of schedules begin with.
pub(crate) fn schedule_names() -> Vec<u8> {
    b"d".to_vec()
}

pub(crate) fn firing(schedule: &ScheduleSid, due_at: Timestamp, firing: &FiringId) -> Vec<u8> {
    Key(firings(schedule)).newest_first(due_at).text(firing.as_str()).0
}

/// What the keys of all firings of a schedule begin with.
pub(crate) fn firings(schedule: &ScheduleSid) -> Vec<u8> {
    Key::of(b"e").text(schedule.as_str()).0
}

/// What the keys of the list of schedules by when they fire next begin with.
pub(crate) fn due_schedules() -> Vec<u8> {
    b"xf".to_vec()
}

pub(crate) fn due_schedule(at: Timestamp, schedule: &ScheduleSid) -> Vec<u8> {
    Key(due_schedules()).oldest_first(at).text(schedule.as_str()).0
}

/// What an entry of that list says.
pub(crate) fn listed_schedule(suffix: &[u8]) -> Option<(Timestamp, ScheduleSid)> {
    let (at, rest) = suffix.split_first_chunk()?;
    let sid = ScheduleSid::new(Parts(rest).text()?);
    Some((moment(u64::from_be_bytes(*at)), sid))
}

/// What the keys of the list of open firings begin with.
pub(crate) fn open_firings() -> Vec<u8> {
    b"xg".to_vec()
}

/// What those of one schedule begin with.
pub(crate) fn open_firings_of(schedule: &ScheduleSid) -> Vec<u8> {
    Key(open_firings()).text(schedule.as_str()).0
}

pub(crate) fn open_firing(schedule: &ScheduleSid, due_at: Timestamp, id: &FiringId) -> Vec<u8> {
    Key(open_firings_of(schedule)).oldest_first(due_at).text(id.as_str()).0
}

/// The firing that an entry of the list of open firings stands for.
pub(crate) fn listed_firing(suffix: &[u8]) -> Option<(ScheduleSid, Timestamp, FiringId)> {
    let mut parts = Parts(suffix);
    let schedule = ScheduleSid::new(parts.text()?);
    let (at, rest) = parts.0.split_first_chunk()?;
    let id = FiringId::new(Parts(rest).text()?);
    Some((schedule, moment(u64::from_be_bytes(*at)), id))
}

/// What the keys of the list of the active schedules of a workflow begin with.
pub(crate) fn schedules_of(workflow: &WorkflowSid) -> Vec<u8> {
    Key::of(b"xh").text(workflow.as_str()).0
}

pub(crate) fn schedule_of(workflow: &WorkflowSid, schedule: &ScheduleSid) -> Vec<u8> {
    Key(schedules_of(workflow)).text(schedule.as_str()).0
}

/// The schedule that an entry of that list stands for.
pub(crate) fn listed_schedule_of(suffix: &[u8]) -> Option<ScheduleSid> {
    Parts(suffix).text().map(ScheduleSid::new)
}

pub(crate) fn workflow_name(name: &str) -> Vec<u8> {
    Key(workflow_names()).text(name).0
}

/// What the keys of all workflow names begin with.
pub(crate) fn workflow_names() -> Vec<u8> {
    Key::of(b"n").0
}

/// What the keys of the numbered versions of a workflow begin with.
pub(crate) fn numbered_versions(workflow: &WorkflowSid) -> Vec<u8> {
    Key::of(b"m").text(workflow.as_str()).0
}

pub(crate) fn numbered_version(workflow: &WorkflowSid, number: u32) -> Vec<u8> {
    Key(numbered_versions(workflow)).bytes(&(!number).to_be_bytes()).0
}

/// What the keys of the numbers of the versions of a workflow begin with.
pub(crate) fn version_numbers(workflow: &WorkflowSid) -> Vec<u8> {
    Key::of(b"i").text(workflow.as_str()).0
}

pub(crate) fn version_number(workflow: &WorkflowSid, version: &VersionSid) -> Vec<u8> {
    Key(version_numbers(workflow)).text(version.as_str()).0
}

/// What the keys of the versions of a workflow begin with whose sids begin so.
pub(crate) fn version_numbers_from(workflow: &WorkflowSid, beginning: &str) -> Vec<u8> {
    let mut key = Key(version_numbers(workflow)).text(beginning).0;
    key.truncate(key.len() - TEXT_END.len());
    key
}

/// What the keys of the history of a workflow begin with.
pub(crate) fn workflow_changes(workflow: &WorkflowSid) -> Vec<u8> {
    Key::of(b"h").text(workflow.as_str()).0
}

pub(crate) fn workflow_change(workflow: &WorkflowSid, revision: u64) -> Vec<u8> {
    Key(workflow_changes(workflow)).bytes(&(!revision).to_be_bytes()).0
}

/// What the keys of a list of plays begin with.
pub(crate) enum PlayList<'a> {
    All,
    OfStatus(PlayStatus),
    OfWorkflow(&'a WorkflowSid),
    OfWorkflowInStatus(&'a WorkflowSid, PlayStatus),
    OfParent(&'a PlaySid),
    /// Name, and text; see [`hero_schema::tag::text`].
    WithTag(&'a str, &'a str),
    /// By the word for the way.
    StartedBy(&'a str),
    /// By that word, and who.
    StartedByWhom(&'a str, &'a str),
}

impl PlayList<'_> {
    pub(crate) fn prefix(&self) -> Vec<u8> {
        match self {
            Self::All => Key::of(b"xa"),
            Self::OfStatus(status) => Key::of(b"xs").text(status.word()),
            Self::OfWorkflow(workflow) => Key::of(b"xw").text(workflow.as_str()),
            Self::OfWorkflowInStatus(workflow, status) => {
                Key::of(b"xc").text(workflow.as_str()).text(status.word())
            }
            Self::OfParent(parent) => Key::of(b"xp").text(parent.as_str()),
            Self::WithTag(name, text) => Key::of(b"xt").text(name).text(text),
            Self::StartedBy(word) => Key::of(b"xb").text(word),
            Self::StartedByWhom(word, who) => Key::of(b"xy").text(word).text(who),
        }
        .0
    }

    /// The keys of the plays in this list that were created at `since` or later and before `until`.
    pub(crate) fn created(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Range<Vec<u8>> {
        let mut keys = range(&self.prefix());
        if let Some(until) = until {
            // The newest come first: what was created at `until` is not wanted, and all before it is.
            keys.start = match until.0.checked_sub(1) {
                Some(last) => Key(self.prefix()).newest_first(Timestamp(last)).0,
                None => keys.end.clone(),
            };
        }
        if let Some(since) = since.and_then(|since| since.0.checked_sub(1)) {
            keys.end = Key(self.prefix()).newest_first(Timestamp(since)).0;
        }
        keys
    }

    /// The key of a play in this list.
    pub(crate) fn entry(&self, created_at: Timestamp, play: &PlaySid) -> Vec<u8> {
        Key(self.prefix()).newest_first(created_at).text(play.as_str()).0
    }
}

/// The play that an entry of a list stands for, by what follows the list's prefix.
pub(crate) fn listed_play(suffix: &[u8]) -> Option<PlaySid> {
    Parts(suffix.get(8..)?).text().map(PlaySid::new)
}

/// What the keys of the list of plays that have ended begin with.
pub(crate) fn ended_plays() -> Vec<u8> {
    b"xe".to_vec()
}

pub(crate) fn ended_play(ended_at: Timestamp, play: &PlaySid) -> Vec<u8> {
    Key(ended_plays()).oldest_first(ended_at).text(play.as_str()).0
}

/// What the keys of the list of what is to be posted begin with.
pub(crate) fn outbox() -> Vec<u8> {
    b"xq".to_vec()
}

pub(crate) fn to_be_posted(at: Timestamp, play: &PlaySid) -> Vec<u8> {
    Key(outbox()).oldest_first(at).text(play.as_str()).0
}

/// What the keys of the list of open questions begin with.
pub(crate) fn open_questions() -> Vec<u8> {
    b"xo".to_vec()
}

pub(crate) fn open_question(asked_at: Timestamp, play: &PlaySid, request: &ResumeId) -> Vec<u8> {
    Key(open_questions()).oldest_first(asked_at).text(play.as_str()).text(request.as_str()).0
}

/// The request that an entry of the list of open questions stands for.
pub(crate) fn listed_request(suffix: &[u8]) -> Option<(PlaySid, ResumeId)> {
    let mut parts = Parts(suffix.get(8..)?);
    Some((PlaySid::new(parts.text()?), ResumeId::new(parts.text()?)))
}

/// What the keys of the list of what falls due begin with.
pub(crate) fn dues() -> Vec<u8> {
    b"xd".to_vec()
}

pub(crate) fn deadline(at: Timestamp, play: &PlaySid) -> Vec<u8> {
    Key(dues()).oldest_first(at).text(play.as_str()).0
}

pub(crate) fn expiry(at: Timestamp, play: &PlaySid, request: &ResumeId) -> Vec<u8> {
    Key(deadline(at, play)).text(request.as_str()).0
}

/// What an entry of the list of what falls due says.
pub(crate) fn listed_due(suffix: &[u8]) -> Option<Due> {
    let (at, rest) = suffix.split_first_chunk()?;
    let mut parts = Parts(rest);
    let play = PlaySid::new(parts.text()?);
    let request = match parts.0 {
        [] => None,
        _ => Some(ResumeId::new(parts.text()?)),
    };
    Some(Due { at: moment(u64::from_be_bytes(*at)), play, request })
}

/// The kinds of records that a play is whole without: spans, log lines, versions, workflows, schedules
/// and their firings.
pub(crate) const DISPENSABLE: [&[u8]; 9] = [b"s", b"l", b"v", b"w", b"m", b"i", b"h", b"c", b"e"];

/// The play that a key names: whose record it is, or which play is listed.
pub(crate) fn play_of(key: &[u8]) -> Option<PlaySid> {
    match key {
        [b'p' | b't' | b'r' | b'o' | b's' | b'l', rest @ ..] => {
            Parts(rest).text().map(PlaySid::new)
        }
        [b'x', b'a' | b'e' | b'q', rest @ ..] => listed_play(rest),
        [b'x', b's' | b'w' | b'p' | b'b', rest @ ..] => {
            let mut parts = Parts(rest);
            parts.text()?;
            listed_play(parts.0)
        }
        [b'x', b'c' | b't' | b'y', rest @ ..] => {
            let mut parts = Parts(rest);
            parts.text()?;
            parts.text()?;
            listed_play(parts.0)
        }
        [b'x', b'o', rest @ ..] => Some(listed_request(rest)?.0),
        [b'x', b'd', rest @ ..] => Some(listed_due(rest)?.play),
        _ => None,
    }
}

/// What the keys of everything begin with that is a play's alone and no entry of a list.
pub(crate) fn parts(sid: &PlaySid) -> [Vec<u8>; 6] {
    [play(sid), tally(sid), requests(sid), outcomes(sid), spans(sid), logs(sid)]
}

/// The keys that begin with a prefix.
pub(crate) fn range(prefix: &[u8]) -> Range<Vec<u8>> {
    let mut end = prefix.to_vec();
    // Prefixes begin with a letter, so there is always a byte to raise.
    while end.pop_if(|last| *last == u8::MAX).is_some() {}
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    prefix.to_vec()..end
}

/// The first key after this one.
pub(crate) fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// What a key, or a prefix of keys, stands for, in words.
pub(crate) fn describe(key: &[u8]) -> String {
    let Some((kind, rest)) = key.split_first() else { return "the store".into() };
    let mut parts = Parts(rest);
    let mut text = || parts.text().unwrap_or_else(|| "…".into());
    match kind {
        b'f' => "the format number".into(),
        b'#' => "the sums".into(),
        b'p' => format!("play `{}`", text()),
        b't' => format!("the tally of play `{}`", text()),
        b'r' => format!("request `{1}` of play `{0}`", text(), text()),
        b'o' => format!("outcome `{1}` of play `{0}`", text(), text()),
        b's' => format!("span {1} of play `{0}`", text(), parts.place()),
        b'l' => format!("log line {1} of play `{0}`", text(), parts.place()),
        b'v' => format!("version `{}`", text()),
        b'w' => format!("workflow `{}`", text()),
        b'n' => format!("the name `{}` of a workflow", text()),
        b'g' => format!("the retention of workflow `{}`", text()),
        b'k' => format!("start key `{}`", text()),
        b'm' => format!("a version of workflow `{}`", text()),
        b'i' => format!("the number of version `{1}` of workflow `{0}`", text(), text()),
        b'h' => format!("the history of workflow `{}`", text()),
        b'c' => format!("schedule `{}`", text()),
        b'd' => format!("the name `{}` of a schedule", text()),
        b'e' => format!("a firing of schedule `{}`", text()),
        _ => "a list".into(),
    }
}

/// Takes a key apart again.
struct Parts<'a>(&'a [u8]);

impl Parts<'_> {
    fn text(&mut self) -> Option<String> {
        let mut text = Vec::new();
        loop {
            match self.0 {
                [0, 1, rest @ ..] => {
                    self.0 = rest;
                    return String::from_utf8(text).ok();
                }
                [0, 0xFF, rest @ ..] => {
                    text.push(0);
                    self.0 = rest;
                }
                [byte, rest @ ..] => {
                    text.push(*byte);
                    self.0 = rest;
                }
                [] => return None,
            }
        }
    }

    /// Launch and number, as `launch/seq`.
    fn place(&mut self) -> String {
        let Some((launch, rest)) = self.0.split_first_chunk() else { return "…".into() };
        let Some((seq, _)) = rest.split_first_chunk() else { return "…".into() };
        format!("{}/{}", u32::from_be_bytes(*launch), u64::from_be_bytes(*seq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sid(text: &str) -> PlaySid {
        PlaySid::new(text)
    }

    #[test]
    fn no_text_reaches_into_the_range_of_another() {
        let texts = ["", "a", "ab", "a\0", "a\0\u{1}", "a\u{1}", "a/b", "é"];
        for mine in texts {
            let keys = range(&outcomes(&sid(mine)));
            for other in texts {
                let key = outcome(&sid(other), &StepKey::new("k"));
                assert_eq!(keys.contains(&key), mine == other, "{mine:?} {other:?}");
            }
        }
    }

    #[test]
    fn plays_sort_newest_first_and_open_questions_oldest_first() {
        let times = [i64::MIN, -1, 0, 1, 255, 256, i64::MAX].map(Timestamp);
        let play = sid("p");
        let plays = times.map(|at| PlayList::All.entry(at, &play));
        assert!(plays.is_sorted_by(|a, b| a > b));
        let requests = times.map(|at| open_question(at, &play, &ResumeId::new("r")));
        assert!(requests.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn entries_of_lists_read_back() {
        let (play, id) = (sid("a\0b"), ResumeId::new("r\u{1}"));
        let list = PlayList::OfStatus(PlayStatus::Running);
        let entry = list.entry(Timestamp(7), &play);
        assert_eq!(listed_play(&entry[list.prefix().len()..]), Some(play.clone()));
        let workflow = WorkflowSid::new("w\0");
        let list = PlayList::OfWorkflowInStatus(&workflow, PlayStatus::Running);
        assert_eq!(play_of(&list.entry(Timestamp(7), &play)), Some(play.clone()));
        assert_eq!(play_of(&ended_play(Timestamp(7), &play)), Some(play.clone()));
        assert_eq!(play_of(&to_be_posted(Timestamp(7), &play)), Some(play.clone()));
        let entry = open_question(Timestamp(7), &play, &id);
        assert_eq!(
            listed_request(&entry[open_questions().len()..]),
            Some((play.clone(), id.clone()))
        );
        for at in [i64::MIN, -1, 0, 7, i64::MAX].map(Timestamp) {
            let due = Due { at, play: play.clone(), request: None };
            assert_eq!(listed_due(&deadline(at, &play)[dues().len()..]), Some(due.clone()));
            let due = Due { request: Some(id.clone()), ..due };
            assert_eq!(listed_due(&expiry(at, &play, &id)[dues().len()..]), Some(due));
        }
    }

    #[test]
    fn every_key_says_what_it_names() {
        let play_sid = sid("01jq");
        for (key, words) in [
            (play(&play_sid), "play `01jq`"),
            (outcome(&play_sid, &StepKey::new("6ba0")), "outcome `6ba0` of play `01jq`"),
            (request(&play_sid, &ResumeId::new("77")), "request `77` of play `01jq`"),
            (span(&play_sid, LaunchNumber(2), 5), "span 2/5 of play `01jq`"),
            (logs(&play_sid), "log line … of play `01jq`"),
            (FORMAT.to_vec(), "the format number"),
        ] {
            assert_eq!(describe(&key), words);
        }
    }
}
