//! What a check costs a real server: over loopback, `wrk` on one core, the server on the other.
//!
//! The figure is the server's own time for each request, user and kernel, as `/proc/PID/stat` has
//! it: it is steadier than requests a second, which also depend on how fast `wrk` is.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use axum::{Router, ServiceExt};
use http::StatusCode;
use portcullis::ApiKeyLayer;
use portcullis_bench::by_rule::ByRule;
use portcullis_bench::keys;
use portcullis_bench::machine::Machine;
use portcullis_bench::peers::{by_hand, constant, jwt, layered};
use portcullis_bench::record::{Recorder, table};
use portcullis_bench::world::open;
use tokio::net::TcpListener;
use tower::ServiceBuilder;

const GROUP: &str = "loopback";
const OPEN: &str = "open route";

const VARIANTS: [&str; 7] = [
    OPEN,
    "tower-http, one constant token",
    "portcullis, Router::layer",
    "portcullis, around the Router",
    "from_fn by hand, lean",
    "from_fn by hand, typical",
    "jsonwebtoken HS256",
];

/// What nginx asks for each request; it takes no body.
const NO_CONTENT: &str = "portcullis, answering 204";

/// Ticks a second in `/proc/PID/stat`, the same on every Linux.
const TICKS: f64 = 100.0;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["serve", variant] => serve(variant),
        ["nginx", ..] => nginx(&arguments),
        _ => measure(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Serves one of the variants on a port of its own, on one thread. Says the port and the credential
/// on its first two lines.
fn serve(variant: &str) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        let key = keys::nth(0);
        let one = || std::iter::once(keys::nth(0));
        let (router, credential) = match variant {
            OPEN => (open(), key),
            "tower-http, one constant token" => (open().layer(constant(&key)), key),
            "portcullis, Router::layer" => (layered(&keyring().await), key),
            "portcullis, around the Router" => {
                println!("{key}");
                let service = ServiceBuilder::new()
                    // What `axum::serve` takes.
                    .map_response(|response: http::Response<_>| response.map(Body::new))
                    .layer(ApiKeyLayer::new(keyring().await))
                    .service(open());
                let service = ServiceExt::<Request>::into_make_service(service);
                return axum::serve(listener, service)
                    .await
                    .map_err(|error| error.to_string());
            }
            "from_fn by hand, lean" => (by_hand::lean(one()), key),
            "from_fn by hand, typical" => (by_hand::typical(one()), key),
            "jsonwebtoken HS256" => jwt::hs256(),
            NO_CONTENT => {
                let answer = get(|| async { StatusCode::NO_CONTENT });
                let layer = ApiKeyLayer::new(keyring().await);
                (Router::new().route("/", answer).layer(layer), key)
            }
            _ => return Err(format!("no such variant; there are {VARIANTS:?}")),
        };
        println!("{credential}");
        let router: Router = router;
        axum::serve(listener, router)
            .await
            .map_err(|error| error.to_string())
    })
}

async fn keyring() -> portcullis::Keyring {
    let builder = portcullis::Keyring::builder(ByRule::every_key()).prefix(keys::PREFIX);
    let keyring = builder.build().unwrap();
    keyring.ready().await.unwrap();
    keyring
}

/// A server under way. It ends when this is dropped.
struct Server {
    child: Child,
    port: String,
    credential: String,
}

impl Server {
    fn start(variant: &str) -> Self {
        let own = std::env::current_exe().unwrap();
        let mut child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(own)
            .args(["serve", variant])
            .stdout(Stdio::piped())
            .spawn()
            .expect("taskset is needed (util-linux)");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = || lines.next().expect("the server said nothing").unwrap();
        let (port, credential) = (line(), line());
        Self {
            child,
            port,
            credential,
        }
    }

    fn time(&self) -> f64 {
        time(&self.child)
    }
}

/// User and kernel time so far, in seconds.
fn time(child: &Child) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    // The second field is a name in parentheses; the times are the 14th and the 15th.
    let (_, after) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = after.split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / TICKS
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `wrk` said.
struct Load {
    requests: f64,
    seconds: f64,
    half: f64,
    most: f64,
}

fn measure(arguments: &[String]) -> Result<(), String> {
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let out = arguments.iter().position(|argument| argument == "--out");
    let out = out.and_then(|at| arguments.get(at + 1)).map(PathBuf::from);
    let machine = Machine::here(quick);
    if machine.cores < 2 {
        return Err("this takes two cores: one for the server, one for wrk".to_owned());
    }
    let wrk_version = version("wrk", "wrk ", "apt-get install wrk")?;
    let mut recorder = Recorder::new(out.as_deref(), machine).map_err(|error| error.to_string())?;
    recorder.tool("wrk", &wrk_version);
    let (rounds, seconds) = if quick { (1, 1) } else { (9, 3) };
    let servers = VARIANTS.map(Server::start);
    let mut values: HashMap<(&str, &str), Vec<f64>> = HashMap::new();
    for round in 0..=rounds {
        for (variant, server) in VARIANTS.into_iter().zip(&servers) {
            let before = server.time();
            let seconds = if round == 0 { 1 } else { seconds };
            let load = wrk(&server.port, &server.credential, seconds)?;
            let time = server.time() - before;
            // The first round only warms up.
            if round == 0 {
                continue;
            }
            let mut push = |figure, value| values.entry((variant, figure)).or_default().push(value);
            push("server us a request", time * 1e6 / load.requests);
            push("requests a second", load.requests / load.seconds);
            push("us, half of the answers", load.half);
            push("us, 99 % of the answers", load.most);
        }
    }
    for variant in VARIANTS {
        let own = &values[&(variant, "server us a request")];
        let open = &values[&(OPEN, "server us a request")];
        let ratios = own.iter().zip(open).map(|(own, open)| own / open).collect();
        for figure in [
            "server us a request",
            "requests a second",
            "us, half of the answers",
            "us, 99 % of the answers",
        ] {
            recorder.rounds(GROUP, variant, figure, values[&(variant, figure)].clone());
        }
        recorder.rounds(GROUP, variant, "x open route", ratios);
    }
    println!("# over loopback, 64 connections, wrk on one core and the server on the other");
    println!("{}", table(recorder.figures(), GROUP));
    Ok(())
}

/// What `program` says with `-v` after `mark`; both programs here write that where errors go.
fn version(program: &str, mark: &str, install: &str) -> Result<String, String> {
    let output = Command::new(program).arg("-v").output();
    let output = output.map_err(|error| format!("{program} cannot be run: {error}; {install}"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let version = said.split_once(mark).map_or("", |(_, after)| after);
    let version = version.split_ascii_whitespace().next();
    version
        .map(str::to_owned)
        .ok_or_else(|| format!("{program} -v said something else than expected: {said}"))
}

fn wrk(port: &str, credential: &str, seconds: u64) -> Result<Load, String> {
    let output = Command::new("taskset")
        .args(["-c", "1", "wrk", "-t1", "-c64", "--latency"])
        .arg(format!("-d{seconds}s"))
        .args(["-H", &format!("Authorization: Bearer {credential}")])
        .arg(format!("http://127.0.0.1:{port}/"))
        .output()
        .map_err(|error| error.to_string())?;
    thread::sleep(Duration::from_millis(50));
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("not every answer was good:\n{text}"));
    }
    read(&text).ok_or_else(|| format!("wrk said something else than expected:\n{text}"))
}

fn read(text: &str) -> Option<Load> {
    let after = |mark: &str| {
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(mark))?;
        line.trim_start()
            .strip_prefix(mark)?
            .split_ascii_whitespace()
            .next()
    };
    let total = text.lines().find(|line| line.contains(" requests in "))?;
    let (requests, rest) = total.trim().split_once(" requests in ")?;
    let seconds = rest.split_once("s,")?.0;
    Some(Load {
        requests: requests.parse().ok()?,
        seconds: seconds.parse().ok()?,
        half: micros(after("50%")?)?,
        most: micros(after("99%")?)?,
    })
}

/// nginx in front of an open route, alone and asking a gate for each request, all on one core.
fn nginx(arguments: &[String]) -> Result<(), String> {
    const ALONE: &str = "nginx in front of an open route";
    const ASKING: &str = "nginx with auth_request to portcullis in front of it";
    const GROUP: &str = "nginx";
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let out = arguments.iter().position(|argument| argument == "--out");
    let out = out.and_then(|at| arguments.get(at + 1)).map(PathBuf::from);
    let wrk_version = version("wrk", "wrk ", "apt-get install wrk")?;
    let nginx_version = version("nginx", "nginx/", "apt-get install nginx-light")?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (open, gate) = (Server::start(OPEN), Server::start(NO_CONTENT));
    let ports = [free_port(), free_port()];
    let configuration = include_str!("../nginx.conf")
        .replace("OPEN_PORT", &open.port)
        .replace("GATE_PORT", &gate.port)
        .replace("ALONE_PORT", &ports[0])
        .replace("ASKING_PORT", &ports[1]);
    let file = folder.path().join("nginx.conf");
    fs::write(&file, configuration).map_err(|error| error.to_string())?;
    let child = Command::new("taskset")
        .args(["-c", "0", "nginx", "-p"])
        .arg(folder.path())
        .arg("-c")
        .arg(&file)
        .args(["-e", "error.log"])
        .spawn()
        .map_err(|error| format!("nginx cannot be started: {error}"))?;
    let [alone, asking] = ports;
    let proxy = Server {
        child,
        port: alone.clone(),
        credential: gate.credential.clone(),
    };
    for _ in 0..100 {
        if TcpStream::connect(format!("127.0.0.1:{asking}")).is_ok() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let variants = [
        (OPEN, open.port.as_str()),
        (NO_CONTENT, gate.port.as_str()),
        (ALONE, alone.as_str()),
        (ASKING, asking.as_str()),
    ];
    let machine = Machine::here(quick);
    let mut recorder = Recorder::new(out.as_deref(), machine).map_err(|error| error.to_string())?;
    recorder.tool("wrk", &wrk_version);
    recorder.tool("nginx", &nginx_version);
    let (rounds, seconds) = if quick { (1, 1) } else { (5, 3) };
    let mut values: HashMap<&str, Vec<[f64; 2]>> = HashMap::new();
    for round in 0..=rounds {
        for (variant, port) in variants {
            let all = || time(&open.child) + time(&gate.child) + time(&proxy.child);
            let before = all();
            let load = wrk(port, &gate.credential, if round == 0 { 1 } else { seconds })?;
            let each = (all() - before) * 1e6 / load.requests;
            if round > 0 {
                let rate = load.requests / load.seconds;
                values.entry(variant).or_default().push([each, rate]);
            }
        }
    }
    for (variant, _) in variants {
        let column = |at: usize| values[variant].iter().map(|own| own[at]).collect();
        recorder.rounds(GROUP, variant, "us of all servers a request", column(0));
        recorder.rounds(GROUP, variant, "requests a second", column(1));
    }
    println!("# nginx, a gate and an application together on one core, wrk on the other");
    println!("{}", table(recorder.figures(), GROUP));
    Ok(())
}

fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

/// `367.00us`, `1.68ms` or `1.02s`.
fn micros(text: &str) -> Option<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    let (number, unit) = units
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    Some(number.parse::<f64>().ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_read() {
        let load = read(
            "Running 3s test @ http://127.0.0.1:4000/\n  1 threads and 64 connections\n  \
             Latency Distribution\n     50%  367.00us\n     75%  407.00us\n     99%    1.68ms\n  \
             478371 requests in 3.10s, 58.85MB read\nRequests/sec: 154313.25\n",
        );
        let load = load.unwrap();
        assert_eq!((load.requests, load.seconds), (478_371.0, 3.1));
        assert_eq!((load.half, load.most), (367.0, 1_680.0));
        assert!(read("unable to connect").is_none());
    }
}
