//! nginx in front, which asks the gate for each request.

use std::collections::HashMap;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::{fs, thread};

use portcullis_bench::figures::table;
use portcullis_bench::machine::Machine;
use portcullis_bench::record::Recorder;

use crate::server::{NO_CONTENT, OPEN, Server, time};
use crate::wrk::{version, wrk};

/// nginx in front of an open route, alone and asking a gate for each request, all on one core.
pub(crate) fn nginx(arguments: &[String]) -> Result<(), String> {
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
    let configuration = include_str!("../../nginx.conf")
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
