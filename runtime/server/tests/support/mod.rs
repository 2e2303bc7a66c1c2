//! A server on a store that holds a few records: no Python is needed for what it is asked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hero_logic_server::{Config, Server};
use hero_rpc::Client;
use hero_rpc::paths::Paths;
use hero_schema::step::version_sid;
use hero_schema::{
    Answer, Answerer, Bundle, FieldType, FlowField, FlowSignature, Json, LaunchNumber, Outcome,
    PlayRecord, PlaySid, PlayStatus, RequestKind, ResumeId, ResumeRequest, RpcError, SpanId,
    Timestamp, VersionSid, Workflow, WorkflowSid, WorkflowVersion,
};
use hero_store::{Batch, SledStore, Store, Write};
use serde_json::Value;
use tempfile::TempDir;

/// A play that asks [`OPEN`] and has [`ANSWERED`].
pub(crate) const ASKING: &str = "01aaaaaaaaaaaaaaaaaaaaaaaa";
/// A play of [`WORKFLOW`] that has ended well, started after the other.
pub(crate) const DONE: &str = "01bbbbbbbbbbbbbbbbbbbbbbbb";
/// Takes `{"n": integer}`.
pub(crate) const OPEN: &str = "00000000000000000000000000000000000000aa";
/// Was answered `[1,2]` by user 4711.
pub(crate) const ANSWERED: &str = "00000000000000000000000000000000000000bb";
/// Takes `version: string, dry_run: boolean = false`.
pub(crate) const WORKFLOW: &str = "release";

/// A running server in a directory of its own.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) paths: Paths,
    _dir: TempDir,
}

impl Running {
    pub(crate) fn client(&self) -> Client {
        Client::new(self.paths.rpc_socket())
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.paths.data_dir
    }

    /// The result of a method.
    pub(crate) async fn call(&self, method: &str, params: Value) -> Value {
        self.client().call(method, &params).await.unwrap_or_else(|e| panic!("{method}: {e}"))
    }

    /// The error of a method.
    pub(crate) async fn refusal(&self, method: &str, params: Value) -> RpcError {
        let answered = self.client().call::<_, Value>(method, &params).await;
        answered.expect_err(&format!("{method} {params} is refused"))
    }
}

/// Starts a server on the records above.
pub(crate) async fn start() -> Running {
    start_with(Vec::new()).await
}

/// Starts a server on the records above and more.
pub(crate) async fn start_with(more: Vec<Write>) -> Running {
    let dir = tempfile::tempdir().expect("the temporary directory can be written");
    let paths = Paths::new(Some(dir.path().join("data")), Some(dir.path().join("s")));
    fill(&paths.store_dir(), more).await;
    let server = Server::start(config(paths.clone())).await.expect("starts");
    Running { server, paths, _dir: dir }
}

/// A server that relaunches nothing and finds no interpreter.
pub(crate) fn config(paths: Paths) -> Config {
    Config {
        paths,
        python: Some(PathBuf::from("/no/such/python")),
        recover: false,
        fires: false,
        keep: None,
    }
}

/// A play of this sid that waits, and what it waits for; the parent is the one that spawned it.
pub(crate) fn waiting(sid: &str, parent: Option<&str>, request: ResumeRequest) -> Vec<Write> {
    let record = PlayRecord {
        n_open_requests: 1,
        asked_in_launch: LaunchNumber(1),
        parent: parent.map(PlaySid::new),
        parent_request: parent.map(|_| ResumeId::new(OPEN)),
        ..play(sid, sid, PlayStatus::AwaitingResume, &version().sid)
    };
    let request = Write::Request(record.sid.clone(), Box::new(request));
    vec![Write::Play(Box::new(record)), request]
}

/// An open request with the id [`OPEN`].
pub(crate) fn open(kind: RequestKind, asked_at: i64) -> ResumeRequest {
    let asked_at = Timestamp(asked_at);
    ResumeRequest { name: "waits".into(), kind, schema: None, asked_at, ..open_request() }
}

async fn fill(dir: &Path, more: Vec<Write>) {
    let store = SledStore::open(dir).expect("opens");
    let version = version();
    let workflow = workflow(&version);
    let asking = PlayRecord {
        n_open_requests: 1,
        asked_in_launch: LaunchNumber(1),
        ..play(ASKING, "asks", PlayStatus::AwaitingResume, &version.sid)
    };
    let done = PlayRecord {
        workflow_sid: Some(workflow.sid.clone()),
        output: Some(Json::null()),
        created_at: Timestamp(2),
        ended_at: Some(Timestamp(3)),
        ..play(DONE, "done", PlayStatus::Success, &version.sid)
    };
    let sid = asking.sid.clone();
    let mut writes = vec![
        Write::Version(Box::new(version)),
        Write::Workflow(Box::new(workflow)),
        Write::Play(Box::new(asking)),
        Write::Request(sid.clone(), Box::new(open_request())),
        Write::Request(sid, Box::new(answered_request())),
        Write::Play(Box::new(done)),
    ];
    writes.extend(more);
    store.commit(Batch { fence: None, writes }).await.expect("stores");
    store.close().await.expect("closes");
}

fn version() -> WorkflowVersion {
    let files = BTreeMap::from([("flow.py".to_owned(), "# never run here\n".to_owned())]);
    let bundle = Bundle { entry: "flow.py".into(), flow: "release".into(), files };
    let schema = r#"{"type":"object","properties":{"version":{"type":"string"},
        "dry_run":{"type":"boolean"}},"required":["version"],"additionalProperties":false}"#;
    let field = |name: &str, field_type, default: Option<&str>| FlowField {
        name: name.into(),
        field_type: Some(field_type),
        description: String::new(),
        required: default.is_none(),
        default: default.map(json),
    };
    let signature = FlowSignature {
        inputs: vec![
            field("version", FieldType::String, None),
            field("dry_run", FieldType::Boolean, Some("false")),
        ],
        input_schema: Some(json(schema)),
        ..FlowSignature::default()
    };
    WorkflowVersion {
        sid: version_sid(&bundle),
        bundle,
        signature,
        saved: None,
        created_at: Timestamp(1),
    }
}

fn workflow(version: &WorkflowVersion) -> Workflow {
    Workflow {
        sid: WorkflowSid::new("01cccccccccccccccccccccccc"),
        name: WORKFLOW.into(),
        description: String::new(),
        current_version_sid: version.sid.clone(),
        version: 1,
        inputs: version.signature.inputs.clone(),
        outputs: Vec::new(),
        created_at: Timestamp(1),
        updated_at: Timestamp(1),
        revision: 1,
        n_versions: 1,
    }
}

fn play(sid: &str, name: &str, status: PlayStatus, version: &VersionSid) -> PlayRecord {
    PlayRecord {
        revision: 1,
        name: name.into(),
        status,
        launch: LaunchNumber(1),
        started_at: Some(Timestamp(1)),
        ..PlayRecord::new(PlaySid::new(sid), version.clone(), Json::empty_object(), Timestamp(1))
    }
}

fn open_request() -> ResumeRequest {
    let schema = r#"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}"#;
    ResumeRequest {
        id: ResumeId::new(OPEN),
        name: "amount".into(),
        kind: RequestKind::Pause,
        schema: Some(json(schema)),
        ui: None,
        asked_at_span_id: SpanId::new("0000000000000001"),
        asked_at: Timestamp(2),
        expires_at: None,
        default: None,
        url: None,
        is_ahead: false,
        answer: None,
        is_carried: false,
    }
}

fn answered_request() -> ResumeRequest {
    let answer = Answer {
        outcome: Outcome::Returned(json("[1,2]")),
        resumed_at: Timestamp(3),
        resumed_by: Answerer::Rpc { uid: 4711 },
    };
    ResumeRequest {
        id: ResumeId::new(ANSWERED),
        name: "first".into(),
        schema: None,
        asked_at: Timestamp(1),
        answer: Some(answer),
        ..open_request()
    }
}

fn json(text: &str) -> Json {
    Json::parse(text).expect("valid")
}
