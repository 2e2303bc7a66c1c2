//! One POST: resolved, checked, connected and answered within a time.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::target::{Allowed, Refused, Target, check_address};

/// How long a post may take in all.
const TIMEOUT: Duration = Duration::from_secs(10);

const AGENT: &str = concat!("hero_logic/", env!("CARGO_PKG_VERSION"));

/// Why something that was posted has not arrived, as far as can be told.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// It was not sent: the address must not be reached.
    #[error("it must not be reached: {0}")]
    Refused(#[from] Refused),
    /// The name leads nowhere.
    #[error("`{host}` cannot be resolved: {source}")]
    Unresolved {
        /// The name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody answers there, or not with the right certificate.
    #[error("failed to connect: {0}")]
    Unconnected(#[source] io::Error),
    /// What answers speaks no HTTP, or hung up.
    #[error("failed to exchange: {0}")]
    Unanswered(#[from] hyper::Error),
    /// It was answered otherwise than by 2xx.
    #[error("{}", status_words(*.0))]
    Status(StatusCode),
    /// It took too long.
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    TimedOut,
}

fn status_words(status: StatusCode) -> String {
    let hint = if status.is_redirection() { "; redirects are not followed" } else { "" };
    format!("HTTP status {status}{hint}")
}

/// Posts to what may be reached.
#[derive(Default)]
pub struct Outbound {
    allowed: Allowed,
    /// Read from the system once it is needed.
    tls: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Outbound {
    /// With these exceptions to what may be reached.
    pub fn new(allowed: Allowed) -> Self {
        Self { allowed, tls: Arc::default() }
    }

    /// Whether a URL may be posted to, as far as it can be told without resolving its name.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, url: &str) -> Result<(), Refused> {
        Target::read(url, &self.allowed).map(drop)
    }

    /// Posts JSON. What comes back is not read beyond its status: 2xx means that it has arrived.
    ///
    /// # Errors
    /// See [`Failed`]. It may have arrived all the same, except where it was refused.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<(), Failed> {
        let target = Target::read(url, &self.allowed)?;
        let mut request = Request::post(&target.path)
            .header(HOST, &target.authority)
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(body)));
        let request = request.map_err(|error| Refused(error.to_string()))?;
        let posted = tokio::time::timeout(TIMEOUT, self.send(&target, request)).await;
        match posted.map_err(|_| Failed::TimedOut)?? {
            status if status.is_success() => Ok(()),
            status => Err(Failed::Status(status)),
        }
    }

    async fn send(
        &self,
        target: &Target,
        request: Request<Full<Bytes>>,
    ) -> Result<StatusCode, Failed> {
        let stream = connect(&addresses(target).await?).await.map_err(Failed::Unconnected)?;
        if !target.is_tls {
            return exchange(stream, request).await;
        }
        let name = match target.address {
            Some(address) => ServerName::from(address),
            None => ServerName::try_from(target.host.clone())
                .map_err(|error| Refused(error.to_string()))?,
        };
        let config = self.tls_config().await.map_err(Failed::Unconnected)?;
        let stream = TlsConnector::from(config).connect(name, stream).await;
        exchange(stream.map_err(Failed::Unconnected)?, request).await
    }

    async fn tls_config(&self) -> io::Result<Arc<ClientConfig>> {
        let tls = Arc::clone(&self.tls);
        // The certificates of a system are many files.
        let made = tokio::task::spawn_blocking(move || match tls.get() {
            Some(config) => Ok(Arc::clone(config)),
            None => trusting_the_system().map(|config| Arc::clone(tls.get_or_init(|| config))),
        });
        made.await.map_err(io::Error::other)?
    }
}

fn trusting_the_system() -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let reason = "this system has no certificates to trust; SSL_CERT_FILE may name some";
        return Err(io::Error::new(io::ErrorKind::NotFound, reason));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Where a target lies. What is returned is what is connected to, and a name that leads to one place that
/// must not be reached is not trusted with another.
async fn addresses(target: &Target) -> Result<Vec<SocketAddr>, Failed> {
    if let Some(address) = target.address {
        return Ok(vec![SocketAddr::new(address, target.port)]);
    }
    let unresolved = |source| Failed::Unresolved { host: target.host.clone(), source };
    let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
    let found: Vec<SocketAddr> = found.map_err(unresolved)?.collect();
    if found.is_empty() {
        return Err(unresolved(io::Error::other("it has no address")));
    }
    if !target.is_allowed {
        found.iter().map(SocketAddr::ip).try_for_each(resolved_to(&target.host))?;
    }
    Ok(found)
}

fn resolved_to(host: &str) -> impl Fn(IpAddr) -> Result<(), Refused> {
    move |address| {
        check_address(address).map_err(|Refused(why)| Refused(format!("`{host}` leads to {why}")))
    }
}

async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut failed = io::Error::other("there is no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<StatusCode, Failed> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driven = async {
        // Why a connection ended, the request that it carried tells better.
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        answer = sender.send_request(request) => Ok(answer?.status()),
        () = driven => unreachable!("`driven` never ends"),
    }
}
