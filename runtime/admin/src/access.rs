//! Who may come in: a browser on this machine that was shown the one-time URL.
//!
//! Every request must name this server as its host (no DNS rebinding), every request that acts must
//! come from one of its own pages (no forged forms), and all but the sign-in need a session.

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::{pages, secret};

/// How long a browser stays signed in.
const SESSION: Duration = Duration::from_secs(12 * 60 * 60);

const COOKIE: &str = "hero_session";

const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// The doors of one server.
pub(crate) struct Access {
    hosts: [String; 2],
    url_file: PathBuf,
    /// The secret of the URL that works next.
    ticket: Mutex<String>,
    sessions: Mutex<HashMap<String, Instant>>,
}

impl Access {
    /// Draws the first one-time URL and leaves it where only this user can read it.
    pub(crate) fn new(port: u16, url_file: PathBuf) -> io::Result<Self> {
        let access = Self {
            hosts: [format!("127.0.0.1:{port}"), format!("localhost:{port}")],
            url_file,
            ticket: Mutex::new(secret::new()?),
            sessions: Mutex::default(),
        };
        access.publish()?;
        Ok(access)
    }

    /// The names of this server, each with its port.
    pub(crate) fn hosts(&self) -> [String; 2] {
        self.hosts.clone()
    }

    /// The URL that signs a browser in, once.
    pub(crate) fn login_url(&self) -> String {
        let ticket = self.ticket.lock().expect("nobody panics while holding this lock");
        format!("http://{}/login?ticket={ticket}", self.hosts[0])
    }

    fn publish(&self) -> io::Result<()> {
        let _ = std::fs::remove_file(&self.url_file);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.url_file)?;
        writeln!(file, "{}", self.login_url())
    }

    /// Takes a ticket in exchange for a session; the next one is published at once.
    fn sign_in(&self, given: &str) -> io::Result<Option<String>> {
        {
            let mut ticket = self.ticket.lock().expect("nobody panics while holding this lock");
            if !secret::equal(given, &ticket) {
                return Ok(None);
            }
            *ticket = secret::new()?;
        }
        self.publish()?;
        let session = secret::new()?;
        let mut sessions = self.sessions.lock().expect("nobody panics while holding this lock");
        sessions.retain(|_, began| began.elapsed() < SESSION);
        sessions.insert(session.clone(), Instant::now());
        Ok(Some(session))
    }

    fn is_signed_in(&self, headers: &HeaderMap) -> bool {
        let sessions = self.sessions.lock().expect("nobody panics while holding this lock");
        cookies(headers).any(|(name, value)| {
            name == COOKIE && sessions.get(value).is_some_and(|began| began.elapsed() < SESSION)
        })
    }

    fn refusal(&self, request: &Request) -> Option<(StatusCode, &'static str)> {
        let headers = request.headers();
        let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("");
        if !self.hosts.iter().any(|known| known == host) {
            return Some((StatusCode::MISDIRECTED_REQUEST, "This server goes by another name."));
        }
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
        if !is_read && origin != Some(&format!("http://{host}")) {
            return Some((StatusCode::FORBIDDEN, "Only pages of this server may act."));
        }
        let is_open = matches!(request.uri().path(), "/login" | "/style.css");
        if !is_open && !self.is_signed_in(headers) {
            return Some((
                StatusCode::UNAUTHORIZED,
                "Sign in with the URL that `hero_logic --status` prints.",
            ));
        }
        None
    }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

/// Stands before every route.
pub(crate) async fn guard(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match access.refusal(&request) {
        Some((status, message)) => (status, pages::notice(message)).into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Not `no-referrer`: browsers then send `Origin: null` with our own forms.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The parameters of the one-time URL.
#[derive(Deserialize)]
pub(crate) struct Login {
    #[serde(default)]
    ticket: String,
}

/// `GET /login?ticket=…`
pub(crate) async fn login(
    State(access): State<Arc<Access>>,
    Query(login): Query<Login>,
) -> Response {
    match access.sign_in(&login.ticket) {
        Ok(Some(session)) => {
            let age = SESSION.as_secs();
            let cookie =
                format!("{COOKIE}={session}; HttpOnly; SameSite=Strict; Path=/; Max-Age={age}");
            ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
        }
        Ok(None) => {
            let message =
                "This URL was used before or is wrong. `hero_logic --status` prints a fresh one.";
            (StatusCode::UNAUTHORIZED, pages::notice(message)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "sign-in failed");
            (StatusCode::INTERNAL_SERVER_ERROR, pages::notice("The sign-in failed; see the log."))
                .into_response()
        }
    }
}
