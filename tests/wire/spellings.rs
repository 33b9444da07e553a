//! Every way to spell a path, with every method: a protected handler never runs without a key, and
//! what is public is what was routed to as public.

use axum::Router;

use crate::client::{BOTH, Client, Protocol};
use crate::ground::{Ground, Marks, Server, unknown_key};
use crate::message::{Outcome, Request};

const METHODS: [&str; 14] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "QUERY",
    "get", "BREW", "HEADX", "M-SEARCH",
];

/// Where a request gets to, with a good key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaches {
    Private,
    Public,
    /// No such path.
    Nobody,
    /// It is no request: the server says so, or hangs up.
    NoRequest,
}

use Reaches::{NoRequest, Nobody, Private, Public};

/// `{p}` is the path of a protected handler, of which `{s}` is the last segment, and `{o}` is an
/// open one. There are handlers one segment further down, too.
const SPELLINGS: [(&str, Reaches); 65] = [
    ("{p}", Private),
    ("{p}?", Private),
    ("{p}?x=1&public=true", Private),
    ("{p}??{o}", Private),
    ("{p}?/..{o}", Private),
    ("{p}#x", Private),
    ("{p}#/..{o}", Private),
    ("{p}/x", Private),
    ("{p}/.", Private),
    ("{p}/..", Private),
    ("{p}/%2e%2e", Private),
    ("{p}/..%2f..{o%}", Private),
    ("{p}/..;", Private),
    ("{p}/favicon.ico", Private),
    ("{p}/health", Private),
    ("{p}/%00", Private),
    ("{o}", Public),
    ("{o}?{p}", Public),
    ("{o}#{p}", Public),
    ("{o}/x", Public),
    ("{o}/{s}", Public),
    ("{o}/..", Public),
    ("{o}/..%2f{s}", Public),
    ("{o}/..%5c{s}", Public),
    ("{o}/..\\{s}", Public),
    ("{p}/", Nobody),
    ("{p}//", Nobody),
    ("/{p}", Nobody),
    ("//{p}", Nobody),
    ("/.{p}", Nobody),
    ("/%2e{p}", Nobody),
    ("/%2f{s}", Nobody),
    ("/x/..{p}", Nobody),
    ("{o}/..{p}", Nobody),
    ("{o}/%2e%2e{p}", Nobody),
    ("{o}/%252e%252e{p}", Nobody),
    ("{o}/%c0%ae%c0%ae{p}", Nobody),
    ("{o}/..;{p}", Nobody),
    ("{p}/..{o}", Nobody),
    ("{o};{p}", Nobody),
    ("/;{p}", Nobody),
    ("{p};", Nobody),
    ("{p};x=1", Nobody),
    ("{p}.", Nobody),
    ("{p}.json", Nobody),
    ("{p}~", Nobody),
    ("{p},", Nobody),
    ("{p}%", Nobody),
    ("{p}%2f", Nobody),
    ("{p}%2fx", Nobody),
    ("{p}%3f", Nobody),
    ("{p}%23", Nobody),
    ("{p}%00", Nobody),
    ("{p}%20", Nobody),
    ("{p}%0d%0a", Nobody),
    ("{p}%c0%af", Nobody),
    ("{p}%ef%bc%8f", Nobody),
    ("{p}\\", Nobody),
    ("{o}\\..\\{s}", Nobody),
    ("{P}", Nobody),
    ("{encoded}", Nobody),
    ("//gate.test{p}", Nobody),
    ("{p}\0", NoRequest),
    ("{p} x", NoRequest),
    ("", NoRequest),
];

/// In HTTP/1.1 a target may be a whole URL, and a server has to take it (RFC 9112 section 3.2.2).
const OF_HTTP1: [(&str, Reaches); 9] = [
    ("http://gate.test{p}", Private),
    ("http://gate.test{p}?x", Private),
    ("http://elsewhere.test{p}", Private),
    ("https://gate.test:1{p}", Private),
    ("http://user:pass@gate.test{p}", Private),
    ("http://gate.test/{p}", Nobody),
    ("http://gate.test{o}/..{p}", Nobody),
    ("http://gate.test{o}", Public),
    ("http://gate.test", Nobody),
];

/// What is no path at all: whether it is no request or leads nowhere is the server's to say.
const NO_PATHS: [&str; 9] = [
    "*",
    "{s}",
    ".{p}",
    "\\{s}",
    "%2f{s}",
    "?{p}",
    "#{p}",
    "gate.test:80",
    "http:{p}",
];

/// A protected and an open path, with handlers there and one segment down.
struct Paths {
    private: &'static str,
    public: &'static str,
}

impl Paths {
    fn spell(&self, spelling: &str) -> String {
        let (folder, segment) = self.private.rsplit_once('/').unwrap();
        let encoded = format!("{folder}/%{:02x}{}", segment.as_bytes()[0], &segment[1..]);
        spelling
            .replace("{p}", self.private)
            .replace("{P}", &self.private.to_uppercase())
            .replace("{s}", segment)
            .replace("{o}", self.public)
            .replace("{o%}", &self.public.replace('/', "%2f"))
            .replace("{encoded}", &encoded)
    }
}

fn handlers(marks: &Marks, name: &'static str, path: &str) -> Router {
    Router::new()
        .route(path, marks.handler(name))
        .route(&format!("{path}/{{id}}"), marks.handler(name))
}

fn flat(ground: &Ground, marks: &Marks) -> (Router, Paths) {
    let private = handlers(marks, "private", "/private").route_layer(ground.layer());
    let paths = Paths {
        private: "/private",
        public: "/public",
    };
    (private.merge(handlers(marks, "public", "/public")), paths)
}

/// One inside the other, the open one around the protected one.
fn nested(ground: &Ground, marks: &Marks) -> (Router, Paths) {
    let private = handlers(marks, "private", "/private").route_layer(ground.layer());
    let open = handlers(marks, "public", "/public").nest("/inner", private);
    let paths = Paths {
        private: "/open/inner/private",
        public: "/open/public",
    };
    (Router::new().nest("/open", open), paths)
}

struct Callers {
    nobody: Option<String>,
    stranger: Option<String>,
    guest: Option<String>,
}

impl Callers {
    async fn of(ground: &Ground) -> Self {
        Self {
            nobody: None,
            stranger: Some(unknown_key()),
            guest: Some(ground.key(&["*"]).await),
        }
    }
}

async fn send(client: &mut Client, method: &str, target: &str, key: Option<&String>) -> Outcome {
    let request = Request::new(method, target);
    let request = match key {
        Some(key) => request.key(key),
        None => request,
    };
    client.try_send(&request).await
}

#[tokio::test]
async fn flat_and_nested() {
    let ground = Ground::new().await;
    let marks = Marks::default();
    let callers = Callers::of(&ground).await;
    for (app, paths) in [flat(&ground, &marks), nested(&ground, &marks)] {
        let server = Server::start(app).await;
        for protocol in BOTH {
            let mut client = server.client(protocol);
            let more: &[_] = match protocol {
                Protocol::Http1 => &OF_HTTP1,
                Protocol::Http2 => &[],
            };
            for (spelling, reaches) in SPELLINGS.iter().chain(more) {
                let target = paths.spell(spelling);
                for method in METHODS {
                    for key in [&callers.nobody, &callers.stranger, &callers.guest] {
                        let outcome = send(&mut client, method, &target, key.as_ref()).await;
                        let ran = marks.take();
                        let what = format!("{method} {target} by {protocol:?}: {outcome:?}");
                        let is_guest = *key == callers.guest;
                        let (status, mark): (_, &[&str]) = match reaches {
                            Private if is_guest => (200, &["private"]),
                            Private => (401, &[]),
                            Public => (200, &["public"]),
                            Nobody => (404, &[]),
                            NoRequest => {
                                assert!(outcome.is_of_the_protocol(), "{what}");
                                (outcome.told().0, &[])
                            }
                        };
                        assert_eq!(
                            (outcome.told().0, &ran[..]),
                            (status, &owned(mark)[..]),
                            "{what}"
                        );
                    }
                }
            }
        }
    }
}

fn owned(marks: &[&str]) -> Vec<String> {
    marks.iter().map(|mark| (*mark).to_owned()).collect()
}

#[tokio::test]
async fn what_is_no_path_gets_nowhere() {
    let ground = Ground::new().await;
    let marks = Marks::default();
    let callers = Callers::of(&ground).await;
    for (app, paths) in [flat(&ground, &marks), nested(&ground, &marks)] {
        let server = Server::start(app).await;
        for protocol in BOTH {
            let mut client = server.client(protocol);
            for spelling in NO_PATHS {
                let target = paths.spell(spelling);
                for method in METHODS.into_iter().chain(["CONNECT"]) {
                    for key in [&callers.nobody, &callers.guest] {
                        let outcome = send(&mut client, method, &target, key.as_ref()).await;
                        let what = format!("{method} {target} by {protocol:?}: {outcome:?}");
                        assert!(outcome.told().0 < 500, "{what}");
                        assert_ne!(outcome.told().0, 200, "{what}");
                        assert_eq!(marks.take(), [""; 0], "{what}");
                    }
                }
            }
        }
    }
}

/// Where the layer is around all there is, no spelling leads past it to anything.
#[tokio::test]
async fn behind_a_layer_around_everything_nothing_is_open() {
    let ground = Ground::new().await;
    let marks = Marks::default();
    let (app, paths) = nested(&ground, &marks);
    let app = app.fallback_service(marks.handler("fallback"));
    let server = Server::start(app.layer(ground.layer())).await;
    let callers = Callers::of(&ground).await;
    for protocol in BOTH {
        let mut client = server.client(protocol);
        let all = SPELLINGS
            .iter()
            .chain(&OF_HTTP1)
            .map(|(spelling, _)| spelling);
        for spelling in all.chain(&NO_PATHS) {
            let target = paths.spell(spelling);
            for method in METHODS.into_iter().chain(["CONNECT"]) {
                for key in [&callers.nobody, &callers.stranger] {
                    let outcome = send(&mut client, method, &target, key.as_ref()).await;
                    let what = format!("{method} {target} by {protocol:?}: {outcome:?}");
                    let is_refused = outcome.told().0 == 401 || outcome.is_of_the_protocol();
                    assert!(is_refused, "{what}");
                    assert_eq!(marks.take(), [""; 0], "{what}");
                }
            }
        }
    }
}
