//! The program as a browser meets it: a real process on a real port, before a real server.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hero_logic_server::{Config, Server};
use hero_rpc::paths::Paths;
use hero_schema::{
    ErrorKind, Json, LaunchNumber, PlayRecord, PlaySid, PlayStatus, RequestKind, ResumeId,
    ResumeRequest, SpanId, Timestamp, VersionSid,
};
use hero_store::{Batch, SledStore, Store, Write as Stored};

const PLAY: &str = "01jqaaaaaaaaaaaaaaaaaaaaaa";
const REQUEST: &str = "00000000000000000000000000000000000000aa";
const HOSTILE: &str = "<script>alert(1)</script>\"'&";

/// A server with one play that waits, and the web UI before it.
struct Site {
    server: Server,
    admin: Child,
    paths: Paths,
    port: u16,
    _dir: tempfile::TempDir,
}

/// What came back.
struct Page {
    status: u16,
    head: String,
    body: String,
}

/// A process that a test beside this one is just starting holds a copy of the store's lock until it
/// has become its own program.
async fn started(config: Config) -> Server {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match Server::start(config.clone()).await {
            Err(error) if error.kind == ErrorKind::StoreInUse && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            server => return server.unwrap(),
        }
    }
}

impl Site {
    async fn start() -> Self {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let paths = Paths::new(Some(dir.path().join("data")), Some(dir.path().join("s")));
        fill(&SledStore::open(&paths.store_dir()).unwrap()).await;
        let config =
            Config { paths: paths.clone(), python: None, recover: false, fires: false, keep: None };
        let server = started(config).await;
        let admin = Command::new(env!("CARGO_BIN_EXE_hero_logic_admin"))
            .args(["--port", "0", "--data-dir"])
            .arg(&paths.data_dir)
            .arg("--socket-dir")
            .arg(&paths.socket_dir)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut site = Self { server, admin, paths, port: 0, _dir: dir };
        site.port = site.await_port().await;
        site
    }

    async fn await_port(&self) -> u16 {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(url) = self.login_url().filter(|url| url.ends_with('\n')) {
                let authority = url.strip_prefix("http://127.0.0.1:").unwrap();
                return authority.split('/').next().unwrap().parse().unwrap();
            }
            assert!(Instant::now() < deadline, "the web UI never came up");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn login_url(&self) -> Option<String> {
        std::fs::read_to_string(self.paths.admin_url_file()).ok()
    }

    fn login_path(&self) -> String {
        let url = self.login_url().unwrap();
        url.trim().split_once(&format!(":{}", self.port)).unwrap().1.to_owned()
    }

    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// One request, each header line and the body given; `Host` too, because it is what is tested.
    async fn ask(&self, request: &str, headers: &[String], body: &str) -> Page {
        let mut text = format!("{request} HTTP/1.1\r\nConnection: close\r\n");
        for header in headers {
            text += &format!("{header}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let port = self.port;
        tokio::task::spawn_blocking(move || exchange(port, &text)).await.unwrap()
    }

    async fn get(&self, path: &str, headers: &[String]) -> Page {
        let headers = [&[format!("Host: {}", self.host())], headers].concat();
        self.ask(&format!("GET {path}"), &headers, "").await
    }

    async fn sign_in(&self) -> String {
        let page = self.get(&self.login_path(), &[]).await;
        assert_eq!(page.status, 303, "{}", page.body);
        let cookie = page.header("set-cookie").unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        format!("Cookie: {}", cookie.split(';').next().unwrap())
    }

    async fn answer(&self, cookie: &str, origin: &str, json: &str) -> Page {
        let headers = [
            format!("Host: {}", self.host()),
            format!("Origin: {origin}"),
            cookie.to_owned(),
            "Content-Type: application/x-www-form-urlencoded".to_owned(),
        ];
        self.ask(&format!("POST /plays/{PLAY}"), &headers, &format!("id={REQUEST}&json={json}"))
            .await
    }

    /// Ends both, the web UI first, as `kill` does.
    async fn stop(mut self) {
        let pid = self.admin.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        let ended = tokio::task::spawn_blocking(move || self.admin.wait().unwrap()).await.unwrap();
        assert!(ended.success(), "SIGTERM is a regular end: {ended}");
        assert!(!self.paths.admin_url_file().exists());
        self.server.stop().await.unwrap();
    }
}

impl Page {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

fn exchange(port: u16, request: &str) -> Page {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Page { status, head: head.to_owned(), body: body.to_owned() }
}

async fn fill(store: &SledStore) {
    let writes = vec![
        Stored::Play(Box::new(play())),
        Stored::Request(PlaySid::new(PLAY), Box::new(request())),
    ];
    store.commit(Batch { fence: None, writes }).await.unwrap();
    store.close().await.unwrap();
}

fn play() -> PlayRecord {
    let input = Json::of(&BTreeMap::from([("text", HOSTILE)])).unwrap();
    PlayRecord {
        revision: 1,
        name: HOSTILE.into(),
        status: PlayStatus::AwaitingResume,
        launch: LaunchNumber(1),
        asked_in_launch: LaunchNumber(1),
        n_open_requests: 1,
        started_at: Some(Timestamp(1)),
        ..PlayRecord::new(PlaySid::new(PLAY), VersionSid::new("00"), input, Timestamp(1))
    }
}

fn request() -> ResumeRequest {
    let ui = BTreeMap::from([("kind", "confirm"), ("prompt", HOSTILE)]);
    ResumeRequest {
        id: ResumeId::new(REQUEST),
        name: "approve".into(),
        kind: RequestKind::Pause,
        schema: Some(Json::parse(r#"{"type":"boolean"}"#).unwrap()),
        ui: Some(Json::of(&ui).unwrap()),
        asked_at_span_id: SpanId::new("00000000000000aa"),
        asked_at: Timestamp(1),
        expires_at: None,
        default: None,
        url: None,
        is_ahead: false,
        answer: None,
        is_carried: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_without_the_one_time_url() {
    let site = Site::start().await;
    let file = std::fs::metadata(site.paths.admin_url_file()).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);

    for path in ["/", "/inbox", &format!("/plays/{PLAY}"), "/nowhere"] {
        let page = site.get(path, &[]).await;
        assert_eq!(page.status, 401, "{path}");
        assert!(page.body.contains("hero_logic --status"), "it says how to sign in");
    }
    assert_eq!(site.get("/login?ticket=guessed", &[]).await.status, 401);

    let used = site.login_path();
    let cookie = site.sign_in().await;
    assert_eq!(site.get("/", &[cookie]).await.status, 200);
    assert_eq!(site.get(&used, &[]).await.status, 401, "once means once");
    assert_ne!(site.login_path(), used, "the next one is there already");
    assert_eq!(site.get("/", &["Cookie: hero_session=guessed".into()]).await.status, 401);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_own_names_and_its_own_pages_are_served() {
    let site = Site::start().await;
    let cookie = site.sign_in().await;
    let port = site.port;
    for path in ["/", "/style.css", "/login?ticket=x"] {
        for host in ["evil.example", "127.0.0.1", &format!("evil.example:{port}")] {
            let headers = [format!("Host: {host}"), cookie.clone()];
            let page = site.ask(&format!("GET {path}"), &headers, "").await;
            assert_eq!(page.status, 421, "{path} as {host}");
        }
    }
    let headers = [format!("Host: localhost:{port}"), cookie.clone()];
    assert_eq!(site.ask("GET /", &headers, "").await.status, 200);

    for origin in ["null", "http://evil.example", &format!("https://127.0.0.1:{port}")] {
        assert_eq!(site.answer(&cookie, origin, "true").await.status, 403, "{origin}");
    }
    let without = [format!("Host: {}", site.host()), cookie.clone()];
    assert_eq!(site.ask(&format!("POST /plays/{PLAY}/cancel"), &without, "").await.status, 403);
    let own = format!("http://{}", site.host());
    assert_eq!(site.answer("X: y", &own, "true").await.status, 401, "and a session it needs");
    let play = site.get(&format!("/plays/{PLAY}"), &[cookie]).await;
    assert!(play.body.contains("awaiting_resume"), "nothing of that acted");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_forbids_scripts_frames_and_copies() {
    let site = Site::start().await;
    let cookie = site.sign_in().await;
    for (path, status) in [("/", 200), ("/style.css", 200), ("/nowhere", 404)] {
        let page = site.get(path, std::slice::from_ref(&cookie)).await;
        assert_eq!(page.status, status, "{path}");
        assert_eq!(
            page.header("content-security-policy"),
            Some(
                "default-src 'none'; style-src 'self'; form-action 'self'; \
                 frame-ancestors 'none'; base-uri 'none'"
            )
        );
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        // With `no-referrer` a browser sends `Origin: null`, and no form would work.
        assert_eq!(page.header("referrer-policy"), Some("same-origin"));
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_words_are_shown_as_words() {
    let site = Site::start().await;
    let cookie = site.sign_in().await;
    for path in ["/", "/inbox", &format!("/plays/{PLAY}")] {
        let page = site.get(path, std::slice::from_ref(&cookie)).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.body.contains("&lt;script&gt;alert(1)"), "{path} shows it");
        assert!(!page.body.contains("<script"), "{path}: {}", page.body);
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_fit_is_told_and_an_unknown_play_is_not_found() {
    let site = Site::start().await;
    let cookie = site.sign_in().await;
    let own = format!("http://{}", site.host());
    let page = site.answer(&cookie, &own, "%22much%22").await;
    assert_eq!(page.status, 422);
    assert!(page.body.contains("payload_mismatch"), "{}", page.body);
    assert_eq!(site.get("/plays/01jqzzzzzzzzzzzzzzzzzzzzzz", &[cookie]).await.status, 404);
    site.stop().await;
}
