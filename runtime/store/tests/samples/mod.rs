//! Records to store, each with its identity given and the rest made up.
#![allow(dead_code, reason = "each test file takes what it needs")]

use std::collections::BTreeMap;

use hero_schema::{
    Answer, Answerer, Bundle, Firing, FiringId, FiringOutcome, FlowSignature, Json, LaunchNumber,
    LogLevel, LogLine, LogStream, NumberedVersion, Outcome, OutcomeRecord, Overlap, PlayRecord,
    PlaySid, PlayStatus, RequestKind, ResumeId, ResumeRequest, Schedule, ScheduleSid,
    ScheduleState, Span, SpanId, SpanKind, SpanStatus, StepKey, Timestamp, VersionSid, When,
    Workflow, WorkflowSid, WorkflowVersion,
};

pub(crate) fn json(text: &str) -> Json {
    Json::parse(text).expect("the sample is JSON")
}

/// A play in its first launch, at revision 0.
pub(crate) fn play(sid: &str) -> PlayRecord {
    let version = VersionSid::new("6ba0210c95a2fc08a5dd7d7d8b23dc8841deb7ad");
    let input = json(r#"{"version": "1.0", "n": 9007199254740993}"#);
    PlayRecord {
        name: format!("play {sid}"),
        status: PlayStatus::Running,
        launch: LaunchNumber(1),
        prefill: BTreeMap::from([("approve*".into(), Json::null())]),
        cost_of_steps_usd: 0.1,
        total_cost_usd: 0.1,
        started_at: Some(Timestamp(1_001)),
        ..PlayRecord::new(PlaySid::new(sid), version, input, Timestamp(1_000))
    }
}

/// The same play one revision later.
pub(crate) fn revised(play: &PlayRecord, change: impl FnOnce(&mut PlayRecord)) -> PlayRecord {
    let mut revised = PlayRecord { revision: play.revision + 1, ..play.clone() };
    change(&mut revised);
    revised
}

/// An outcome that returned this text.
pub(crate) fn outcome(key: &str, text: &str) -> OutcomeRecord {
    OutcomeRecord {
        key: StepKey::new(key),
        parent_path: "main".into(),
        name: "fetch".into(),
        arguments_hash: "bf21a9e8fbc5a3846fb05b4fa0859e0917b2202f".into(),
        source_hash: "97d170e1550eee4afc0af065b78cda302a97674c".into(),
        span_id: SpanId::new("00000000000000ff"),
        launch: LaunchNumber(1),
        seq: 7,
        span_seq: None,
        compensable: false,
        plan: false,
        place: None,
        usage: Default::default(),
        outcome: Outcome::Returned(Json::of(&text).expect("text has a JSON form")),
    }
}

pub(crate) fn span(launch: u32, seq: u64) -> Span {
    Span {
        span_id: SpanId::new(format!("{seq:016x}")),
        parent_id: Some(SpanId::new("0000000000000001")),
        launch: LaunchNumber(launch),
        seq,
        name: "fetch".into(),
        kind: SpanKind::Step,
        status: SpanStatus::Running,
        step_key: Some(StepKey::new("6ba0210c95a2fc08a5dd7d7d8b23dc8841deb7ad")),
        arguments: Some(json(r#"{"id":1}"#)),
        started_at: Timestamp(2_000),
        ended_at: None,
        tags: BTreeMap::new(),
        error: None,
        child_play_sid: None,
        source_file: Some("flow.py".into()),
        source_line: Some(12),
    }
}

pub(crate) fn log(launch: u32, seq: u64) -> LogLine {
    LogLine {
        launch: LaunchNumber(launch),
        seq,
        at: Timestamp(3_000),
        stream: LogStream::Stdout,
        level: LogLevel::Info,
        span_id: None,
        text: format!("line {seq}"),
    }
}

pub(crate) fn request(id: &str, asked_at: i64) -> ResumeRequest {
    ResumeRequest {
        id: ResumeId::new(id),
        name: "approve".into(),
        kind: RequestKind::Pause,
        schema: Some(json(r#"{"type":"boolean"}"#)),
        ui: None,
        asked_at_span_id: SpanId::new("0000000000000002"),
        asked_at: Timestamp(asked_at),
        expires_at: None,
        default: Some(Json::null()),
        url: None,
        is_ahead: false,
        answer: None,
        is_carried: false,
    }
}

/// The same request, answered.
pub(crate) fn answered(request: &ResumeRequest, payload: &str) -> ResumeRequest {
    let answer = Answer {
        outcome: Outcome::Returned(json(payload)),
        resumed_at: Timestamp(9_000),
        resumed_by: Answerer::Rpc { uid: 1000 },
    };
    ResumeRequest { answer: Some(answer), ..request.clone() }
}

pub(crate) fn version(sid: &str, source: &str) -> WorkflowVersion {
    WorkflowVersion {
        sid: VersionSid::new(sid),
        bundle: Bundle {
            entry: "flow.py".into(),
            flow: "main".into(),
            files: BTreeMap::from([("flow.py".into(), source.into())]),
        },
        signature: FlowSignature::default(),
        saved: None,
        created_at: Timestamp(500),
    }
}

/// An active schedule, at revision 0.
pub(crate) fn schedule(sid: &str, name: &str) -> Schedule {
    Schedule {
        sid: ScheduleSid::new(sid),
        revision: 0,
        name: name.into(),
        workflow_sid: WorkflowSid::new("w"),
        workflow_name: "report".into(),
        when: When::Every { micros: 1_000_000 },
        input_data: json(r#"{"n": 1.0}"#),
        overlap: Overlap::Skip,
        catch_up_micros: Some(0),
        jitter_micros: 0,
        allow_replan: false,
        state: ScheduleState::Active,
        due: Some(Timestamp(10)),
        next_at: Some(Timestamp(11)),
        latest: None,
        created_at: Timestamp(5),
    }
}

/// A claimed firing.
pub(crate) fn firing(schedule: &str, due_at: i64) -> Firing {
    Firing {
        id: FiringId::new(format!("{schedule}-{due_at}")),
        schedule_sid: ScheduleSid::new(schedule),
        due_at: Timestamp(due_at),
        is_asked_for: false,
        decided_at: Timestamp(due_at),
        outcome: FiringOutcome::Claimed,
    }
}

pub(crate) fn workflow(sid: &str, name: &str) -> Workflow {
    Workflow {
        sid: WorkflowSid::new(sid),
        name: name.into(),
        description: "Ships a version.".into(),
        current_version_sid: VersionSid::new("v1"),
        version: 1,
        inputs: Vec::new(),
        outputs: Vec::new(),
        created_at: Timestamp(600),
        updated_at: Timestamp(600),
        revision: 1,
        n_versions: 1,
    }
}

/// The version of this number, which is its sid too.
pub(crate) fn numbered(number: u32) -> NumberedVersion {
    let sid = VersionSid::new(format!("{number:04}"));
    NumberedVersion { number, sid, saved_at: Timestamp(700) }
}
