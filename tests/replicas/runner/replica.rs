//! One replica: the example server as a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::canary;
use crate::runner::client::ADMIN_TOKEN;

/// How long a process may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a replica is started with, as often as one likes.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) database: String,
    pub(crate) max_staleness: Duration,
}

pub(crate) struct Replica {
    process: Child,
    pub(crate) address: SocketAddr,
    pub(crate) log: Log,
}

/// What the process has written to its log.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    grown: watch::Receiver<()>,
}

/// The example server, built as this very program was.
pub(crate) fn program() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    // target/debug/deps/replicas-0123456789abcdef or target/release/examples/faults
    let profile = this.parent().and_then(Path::parent).unwrap();
    profile.join("examples").join("server")
}

impl Setup {
    pub(crate) async fn start(&self) -> Replica {
        let program = program();
        assert!(
            program.exists(),
            "there is no {}: run cargo build --examples",
            program.display()
        );
        canary::know(ADMIN_TOKEN);
        let mut process = Command::new(program)
            .env_clear()
            .env("PORTCULLIS_ADDR", "127.0.0.1:0")
            .env("PORTCULLIS_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("DATABASE_URL", &self.database)
            .env(
                "PORTCULLIS_MAX_STALENESS_MS",
                self.max_staleness.as_millis().to_string(),
            )
            // Not each change of a key, nor each 503.
            .env(
                "RUST_LOG",
                "warn,server=info,portcullis::lease=info,tower_http=off",
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Log::of(process.stderr.take().unwrap());
        let mut told = log.clone();
        let address = told.wait_for(|line| {
            let (_, address) = line.split_once("listening addr=")?;
            address.trim().parse().ok()
        });
        let Ok(Some(address)) = timeout(PATIENCE, address).await else {
            panic!("the replica does not listen:\n{log}");
        };
        Replica {
            process,
            address,
            log,
        }
    }
}

impl Replica {
    /// SIGKILL, and waits for the end.
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    /// SIGSTOP; nothing of it runs any more when this returns.
    pub(crate) async fn stop(&self) {
        self.signal("STOP").await;
        let stat = format!("/proc/{}/stat", self.id());
        let stopped = async {
            // The state is behind the name of the program, in brackets.
            while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, stopped).await.expect("it stops");
    }

    pub(crate) async fn go_on(&self) {
        self.signal("CONT").await;
    }

    async fn signal(&self, name: &str) {
        let kill = Command::new("sh")
            .args(["-c", "kill -\"$0\" \"$1\"", name, &self.id().to_string()])
            .status();
        assert!(kill.await.unwrap().success());
    }

    fn id(&self) -> u32 {
        self.process.id().expect("it runs")
    }
}

impl Log {
    fn of(pipe: tokio::process::ChildStderr) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (more, grown) = watch::channel(());
        tokio::spawn({
            let lines = Arc::clone(&lines);
            async move {
                let mut read = BufReader::new(pipe).lines();
                while let Ok(Some(line)) = read.next_line().await {
                    canary::nothing_in_a_log(&line);
                    lines.lock().unwrap().push(line);
                    let _ = more.send(());
                }
            }
        });
        Self { lines, grown }
    }

    /// `None` if the process ended before.
    pub(crate) async fn wait_for<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        loop {
            let found = self.lines.lock().unwrap().iter().find_map(|l| find(l));
            if found.is_some() {
                return found;
            }
            self.grown.changed().await.ok()?;
        }
    }
}

impl std::fmt::Display for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = self.lines.lock().unwrap();
        for line in &lines[lines.len().saturating_sub(40)..] {
            writeln!(f, "    {line}")?;
        }
        Ok(())
    }
}
