//! Whether a browser was made to send a request by a page that is not the application's.
//!
//! What is trusted because of where it comes from, a session or a loopback address, is sent along
//! by a browser whatever page made it send the request. Keys and tokens are not.

use http::Method;
use http::header::{HeaderName, ORIGIN};
use http::request::Parts;
use http::uri::Authority;

use super::host::{host, is_loopback_name, only};

/// Sent by every current browser to a site that uses TLS, or is on the same machine; no page can
/// set it.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The origins of pages that may change something although they are not of the same origin.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins(Vec<String>);

/// Not the origin of a page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the origin {0:?} is not http or https and a host, such as \"https://app.example\", without a \
     path"
)]
pub struct InvalidOrigin(pub(crate) String);

impl Origins {
    pub(super) fn add(&mut self, origin: &str) -> Result<(), InvalidOrigin> {
        let Origin { scheme, authority } =
            Origin::parse(origin).ok_or_else(|| InvalidOrigin(origin.to_owned()))?;
        self.0.push(format!("{scheme}://{authority}"));
        Ok(())
    }

    fn include(&self, origin: &Origin) -> bool {
        let Origin { scheme, authority } = origin;
        self.0.contains(&format!("{scheme}://{authority}"))
    }
}

/// The origin of a page, spelled as a browser does: in lower case, the port left out where it is
/// that of the scheme.
struct Origin {
    scheme: &'static str,
    authority: String,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (scheme, port) = match &*scheme.to_ascii_lowercase() {
            "https" => ("https", ":443"),
            "http" => ("http", ":80"),
            // Extensions, files, and whatever else there may be.
            _ => return None,
        };
        let authority: Authority = rest.parse().ok()?;
        let plain = !rest.contains('@') && !authority.host().is_empty();
        let authority = authority.as_str().to_ascii_lowercase();
        let authority = authority.strip_suffix(port).unwrap_or(&authority);
        plain.then(|| Self {
            scheme,
            authority: authority.to_owned(),
        })
    }
}

/// Whether this would change something, and a page of another site may have made a browser send it.
pub(super) fn crosses(parts: &Parts, trusted: &Origins) -> bool {
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    let headers = &parts.headers;
    let (Ok(site), Ok(origin)) = (only(headers, &SEC_FETCH_SITE), only(headers, &ORIGIN)) else {
        return true;
    };
    let origin = match origin.map(Origin::parse) {
        None => None,
        // `null`, which is what a page says that hides where it comes from.
        Some(None) => return true,
        Some(Some(origin)) => Some(origin),
    };
    if origin
        .as_ref()
        .is_some_and(|origin| trusted.include(origin))
    {
        return false;
    }
    match (site, origin) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        // An old browser, or a site without TLS.
        (None, Some(origin)) => {
            let host = host(headers, &parts.uri);
            host.is_none_or(|host| !is_own(host, &origin))
        }
        // Not a browser: each sends one of the two along with what changes something.
        (None, None) => false,
    }
}

/// Whether a request for this host, of which nobody here knows by which scheme it has come, is for
/// the site of this page. A page without TLS may be anybody's who is on the network, unless that is
/// this machine alone; and behind a proxy the request may have come by TLS all the same.
fn is_own(host: &str, origin: &Origin) -> bool {
    let port = match origin.scheme {
        "https" => ":443",
        _ if is_loopback_name(host) => ":80",
        _ => return false,
    };
    let host = host.to_ascii_lowercase();
    host.strip_suffix(port).unwrap_or(&host) == origin.authority
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    /// A name, lines, and whether they are of another site.
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], bool);

    fn crosses_with(method: &Method, lines: &[(&str, &str)], trusted: &Origins) -> bool {
        let mut request = Request::builder().method(method).uri("/keys");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        crosses(&parts, trusted)
    }

    /// That each of these lines beside `Host: app.example:8443` has this answer.
    fn check(name: &str, cases: &[(&str, bool)]) {
        for (value, expected) in cases {
            let lines = [("host", "app.example:8443"), (name, value)];
            for method in [Method::POST, Method::PATCH, Method::DELETE, Method::PUT] {
                let crossed = crosses_with(&method, &lines, &Origins::default());
                assert_eq!(crossed, *expected, "{value}");
            }
            for method in [Method::GET, Method::HEAD] {
                assert!(!crosses_with(&method, &lines, &Origins::default()));
            }
        }
    }

    #[test]
    fn only_a_page_of_the_same_site_changes_something() {
        let cases = [
            ("same-origin", false),
            ("none", false),
            ("cross-site", true),
            ("same-site", true),
            ("same-planet", true),
            ("", true),
            ("Same-Origin", true),
            ("same-origin, none", true),
        ];
        check("sec-fetch-site", &cases);
    }

    #[test]
    fn of_an_old_browser_only_a_page_of_the_same_host_does() {
        let cases = [
            ("https://app.example:8443", false),
            ("http://app.example:8443", true),
            ("HTTPS://App.Example:8443", false),
            ("https://app.example:8444", true),
            ("https://app.example", true),
            ("https://evil.example:8443", true),
            ("https://app.example.evil:8443", true),
            ("https://x.app.example:8443", true),
            ("https://app.example:8443@evil.example", true),
            ("chrome-extension://app.example:8443", true),
            ("file://", true),
            ("app.example:8443", true),
            ("null", true),
            ("", true),
            ("https://app.example:8443/", true),
        ];
        check("origin", &cases);
    }

    #[test]
    fn without_tls_only_a_page_of_this_machine_is_of_the_same_site() {
        let cases = [
            ("localhost:8080", "http://localhost:8080", false),
            ("127.0.0.1:8080", "http://127.0.0.1:8080", false),
            ("[::1]:8080", "http://[::1]:8080", false),
            ("localhost:80", "http://localhost", false),
            ("localhost", "http://localhost:80", false),
            ("localhost:8080", "https://localhost:8080", false),
            ("localhost:8080", "http://localhost:8081", true),
            ("localhost:443", "http://localhost", true),
            ("localhost:8080", "http://127.0.0.1:8080", true),
            ("a.localhost", "http://a.localhost", true),
            ("192.168.0.2", "http://192.168.0.2", true),
            ("192.168.0.2", "https://192.168.0.2", false),
            ("app.example", "http://app.example", true),
            ("app.example:80", "http://app.example", true),
            ("app.example:80", "https://app.example", true),
        ];
        for (host, origin, expected) in cases {
            let lines = [("host", host), ("origin", origin)];
            let crossed = crosses_with(&Method::POST, &lines, &Origins::default());
            assert_eq!(crossed, expected, "{origin} to {host}");
        }
        let mut trusted = Origins::default();
        trusted.add("http://app.example:8080").unwrap();
        for (origin, expected) in [
            ("http://app.example:8080", false),
            ("http://app.example", true),
        ] {
            let lines = [("host", "app.example:8080"), ("origin", origin)];
            let crossed = crosses_with(&Method::POST, &lines, &trusted);
            assert_eq!(crossed, expected, "{origin}");
        }
    }

    #[test]
    fn what_says_two_things_is_of_another_site() {
        let own = ("origin", "https://app.example");
        let host = ("host", "app.example");
        let site = |value| ("sec-fetch-site", value);
        let cases: [Case<'_>; 9] = [
            ("no browser", &[host], false),
            ("no browser, no host", &[], false),
            ("the host of the page alone", &[own], true),
            ("two hosts", &[host, host, own], true),
            ("two origins", &[host, own, own], true),
            ("two sites", &[host, site("none"), site("none")], true),
            (
                "the same site, of a page that hides",
                &[host, site("same-origin"), ("origin", "null")],
                true,
            ),
            (
                "another site with the own host",
                &[host, site("cross-site"), own],
                true,
            ),
            (
                "the port of the scheme, left out in one",
                &[("host", "app.example:443"), own],
                false,
            ),
        ];
        for (name, lines, expected) in cases {
            let crossed = crosses_with(&Method::POST, lines, &Origins::default());
            assert_eq!(crossed, expected, "{name}");
        }
    }

    #[test]
    fn an_origin_that_is_trusted_may_be_on_another_site() {
        let mut trusted = Origins::default();
        trusted.add("https://Front.example:443").unwrap();
        trusted.add("http://localhost:3000").unwrap();
        let cases = [
            ("https://front.example", false),
            ("http://localhost:3000", false),
            ("http://front.example", true),
            ("https://front.example:444", true),
            ("https://localhost:3000", true),
            ("null", true),
        ];
        for (origin, expected) in cases {
            let lines = [
                ("host", "api.example"),
                ("sec-fetch-site", "cross-site"),
                ("origin", origin),
            ];
            assert_eq!(
                crosses_with(&Method::POST, &lines, &trusted),
                expected,
                "{origin}"
            );
            assert!(!crosses_with(&Method::POST, &lines[..1], &trusted));
        }
        for origin in [
            "",
            "*",
            "null",
            "app.example",
            "https://",
            "https://a/",
            "ftp://a",
            "https://a@b",
        ] {
            let refused = Origins::default().add(origin).unwrap_err();
            assert!(refused.to_string().contains(&format!("{origin:?}")));
        }
    }
}
