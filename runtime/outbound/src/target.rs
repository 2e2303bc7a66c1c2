//! What may be posted to, as far as its URL tells.

use std::net::IpAddr;

use url::{Host, Url};

use crate::address::special;

const URL_BYTES_MAX: usize = 2048;

/// The port of HTTPS, and the first that no service of a system has of old.
const HTTPS_PORT: u16 = 443;
const FREE_PORT_MIN: u16 = 1024;

/// Names that never lead to the public internet.
const LOCAL_NAMES: [&str; 4] = ["localhost", "local", "internal", "home.arpa"];

/// An address that must not be posted to, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub(crate) String);

/// The hosts that may be posted to wherever they lie, and by plain HTTP.
#[derive(Clone, Debug, Default)]
pub struct Allowed(Vec<(String, Option<u16>)>);

impl Allowed {
    /// Reads a list such as `ci.internal, 127.0.0.1:8080`; an entry without a port means all ports.
    ///
    /// # Errors
    /// The entry that is neither `host` nor `host:port`.
    pub fn read(list: &str) -> Result<Self, String> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let read = |entry: &str| {
            let url = Url::parse(&format!("tcp://{entry}")).ok()?;
            let is_plain = url.username().is_empty()
                && url.password().is_none()
                && url.path().is_empty()
                && url.query().is_none()
                && url.fragment().is_none();
            // Read again as HTTP reads it, so that each host has one spelling.
            let host = Url::parse(&format!("http://{}", url.host_str()?)).ok()?;
            is_plain.then(|| Some((host.host_str()?.to_owned(), url.port())))?
        };
        let entries = entries.map(|entry| read(entry).ok_or_else(|| entry.to_owned()));
        entries.collect::<Result<_, _>>().map(Self)
    }

    fn has(&self, host: &str, port: u16) -> bool {
        self.0.iter().any(|(name, only)| name == host && only.is_none_or(|only| only == port))
    }
}

/// An address that may be posted to, unless it resolves to one that may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// As a `Host` header and a certificate name it, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The address, where the URL gives it.
    pub(crate) address: Option<IpAddr>,
    pub(crate) is_tls: bool,
    /// Whether it may lie anywhere.
    pub(crate) is_allowed: bool,
    /// What the `Host` header says.
    pub(crate) authority: String,
    /// The path and the query.
    pub(crate) path: String,
}

impl Target {
    pub(crate) fn read(text: &str, allowed: &Allowed) -> Result<Self, Refused> {
        let refuse = |why: &str| Err(Refused(why.to_owned()));
        if text.len() > URL_BYTES_MAX {
            return refuse("it is too long");
        }
        // Readers of URLs forgive these, each in its own way.
        if text.bytes().any(|byte| !byte.is_ascii_graphic() || b"\\\"<>^`{|}".contains(&byte)) {
            return refuse("it holds characters that URLs have not");
        }
        let Ok(url) = Url::parse(text) else { return refuse("it is no URL") };
        let Some((scheme, rest)) = text.split_once("://") else { return refuse("it is no URL") };
        if !matches!(url.scheme(), "https" | "http") || !scheme.eq_ignore_ascii_case(url.scheme()) {
            return refuse("it is neither https nor http");
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return refuse("it holds a user name");
        }
        if url.fragment().is_some() {
            return refuse("it holds a fragment, which no server is sent");
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return refuse("it names no host");
        };
        let name = host.to_string();
        let is_allowed = allowed.has(&name, port);
        let is_tls = url.scheme() == "https";
        let address = address_of(&host, authority)?;
        if !is_allowed {
            check_public(&host, address, port, is_tls)?;
        }
        let query = url.query().map_or(String::new(), |query| format!("?{query}"));
        Ok(Self {
            host: name.trim_matches(['[', ']']).to_owned(),
            port,
            address,
            is_tls,
            is_allowed,
            authority: url.port().map_or(name.clone(), |port| format!("{name}:{port}")),
            path: format!("{}{query}", url.path()),
        })
    }
}

/// The address that a URL gives. A host must be spelled as it is meant: other spellings, such as
/// `2130706433` for `127.0.0.1`, serve to hide one.
fn address_of(host: &Host<&str>, authority: &str) -> Result<Option<IpAddr>, Refused> {
    let address = match host {
        Host::Ipv6(address) => return Ok(Some((*address).into())),
        Host::Ipv4(address) => Some((*address).into()),
        Host::Domain(_) => None,
    };
    let spelled = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    if spelled.to_ascii_lowercase() != host.to_string() {
        return Err(Refused(format!("`{spelled}` is an odd way to write `{host}`")));
    }
    Ok(address)
}

fn check_public(
    host: &Host<&str>,
    address: Option<IpAddr>,
    port: u16,
    is_tls: bool,
) -> Result<(), Refused> {
    if !is_tls {
        return Err(Refused("it is not https".into()));
    }
    if port != HTTPS_PORT && port < FREE_PORT_MIN {
        return Err(Refused(format!("port {port} is none of HTTPS")));
    }
    if let Host::Domain(name) = host {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let is_local = |local: &&str| {
            name == **local || name.strip_suffix(*local).is_some_and(|rest| rest.ends_with('.'))
        };
        if LOCAL_NAMES.iter().any(is_local) {
            return Err(Refused(format!("`{name}` is a local name")));
        }
    }
    address.map_or(Ok(()), check_address)
}

/// Refuses an address that not everybody can reach.
pub(crate) fn check_address(address: IpAddr) -> Result<(), Refused> {
    special(address).map_or(Ok(()), |what| Err(Refused(format!("{address} is {what}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_reached_is_public_and_spelled_as_it_is_meant() {
        let none = Allowed::default();
        let fine = [
            "https://example.com",
            "https://example.com/a/b?c=d",
            "HTTPS://Example.COM:443/",
            "https://example.com:8443/",
            "https://8.8.8.8/",
            "https://[2600::1]:4430/x",
            "https://xn--bcher-kva.example/",
            "https://example.com./",
            "https://internal.example/",
        ];
        for url in fine {
            assert!(Target::read(url, &none).is_ok(), "{url}: {:?}", Target::read(url, &none));
        }
        for url in REFUSED {
            let refused = Target::read(url, &none).expect_err(url);
            assert!(!refused.0.is_empty() && !refused.0.contains('\n'), "{url}");
        }
        assert!(REFUSED.len() >= 60);
    }

    const REFUSED: [&str; 92] = [
        // Other schemes, and none.
        "",
        "example.com",
        "//example.com",
        "/hook",
        "https:",
        "https://",
        "https:///x",
        "https:example.com",
        "https:/example.com",
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "data:text/plain,x",
        "javascript:alert(1)",
        "unix:/run/docker.sock",
        "ws://example.com/",
        "blob:https://example.com/x",
        "view-source:https://example.com",
        // Loopback, in every spelling.
        "https://127.0.0.1/",
        "https://127.0.0.1:8443/",
        "https://127.1/",
        "https://127.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://127.0.0.1./",
        "https://0/",
        "https://0.0.0.0/",
        "https://127.255.255.254/",
        "https://localhost/",
        "https://LOCALHOST/",
        "https://localhost./",
        "https://a.localhost/",
        "https://[::1]/",
        "https://[::]/",
        "https://[0:0:0:0:0:0:0:1]/",
        "https://%31%32%37.0.0.1/",
        "https://127。0。0。1/",
        // IPv4 inside of IPv6.
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[64:ff9b:1::a00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[2001:0:7f00:1::]/",
        "https://[::ffff:8.8.8.8]/",
        "https://[::ffff:0:127.0.0.1]/",
        // Private networks.
        "https://10.0.0.1/",
        "https://10.255.255.255/",
        "https://172.16.0.1/",
        "https://172.31.9.9/",
        "https://192.168.1.1/",
        "https://100.64.0.1/",
        "https://[fc00::1]/",
        "https://[fd12:3456::1]/",
        "https://198.18.0.1/",
        "https://0x0a000001/",
        "https://012.0.0.1/",
        "https://167772161/",
        // Link-local, metadata, multicast, reserved, documents.
        "https://169.254.169.254/latest/meta-data/",
        "https://2852039166/",
        "https://0xa9fea9fe/",
        "https://[fe80::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[fd00:ec2::254]/",
        "https://metadata.google.internal/",
        "https://printer.local/",
        "https://router.home.arpa/",
        "https://168.63.129.16/",
        "https://224.0.0.1/",
        "https://[ff02::1]/",
        "https://240.0.0.1/",
        "https://255.255.255.255/",
        "https://192.0.2.1/",
        "https://[2001:db8::1]/",
        // Public addresses that are spelled oddly.
        "https://134744072/",
        "https://0x08080808/",
        "https://010.8.8.8/",
        "https://8.8.2056/",
        // Users, ports, fragments, and what readers of URLs disagree on.
        "https://user@example.com/",
        "https://user:pw@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com:22/",
        "https://example.com:25/",
        "https://example.com:99999/",
        "https://example.com/#x",
        "https://example.com\\@127.0.0.1/",
        "https://exa mple.com/",
        "https://example.com/\r\nX: y",
    ];

    #[test]
    fn what_the_operator_allows_may_lie_anywhere_and_nothing_else_may() {
        let allowed = Allowed::read("127.0.0.1:8080, [::1],CI.internal").expect("a list");
        for url in [
            "http://127.0.0.1:8080/x",
            "https://127.0.0.1:8080",
            "http://[::1]/",
            "http://ci.internal:25/",
        ] {
            assert!(Target::read(url, &allowed).is_ok(), "{url}");
        }
        for url in [
            "http://127.0.0.1/",
            "http://127.0.0.1:8081/",
            "http://127.1:8080/",
            "http://ci.internal.evil/",
            "http://127.0.0.2:8080/",
            "http://u@127.0.0.1:8080/",
            "http://x.ci.internal/",
            "https://localhost/",
        ] {
            assert!(Target::read(url, &allowed).is_err(), "{url}");
        }
        for list in ["http://x", "a b", "u@host", "host/path", "host:0x50", "host:99999", "?"] {
            assert!(Allowed::read(list).is_err(), "{list}");
        }
        assert!(Allowed::read(" , ").expect("an empty list").0.is_empty());
    }

    #[test]
    fn what_is_sent_is_what_was_written() {
        let read = |url| Target::read(url, &Allowed::default()).expect("fine");
        let target = read("https://Example.com:8443/a?b=c%20d");
        assert_eq!(
            (target.authority.as_str(), target.path.as_str()),
            ("example.com:8443", "/a?b=c%20d")
        );
        let target = read("https://[2600::1]");
        assert_eq!((target.authority.as_str(), target.path.as_str()), ("[2600::1]", "/"));
        assert_eq!((target.host.as_str(), target.port), ("2600::1", 443));
    }
}
