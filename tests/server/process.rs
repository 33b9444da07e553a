//! The server as a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::canary;

pub(crate) const ADMIN_TOKEN: &str = "the-only-admin-token.of~these+tests/0123456789==";

/// How long anything may take that is expected to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what is to happen, and fails where it does not.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    within(PATIENCE, what, future).await
}

pub(crate) async fn within<T>(time: Duration, what: &str, future: impl Future<Output = T>) -> T {
    timeout(time, future)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within {time:?}"))
}

/// Asks again and again until the answer is yes.
pub(crate) async fn until<F: Future<Output = bool>>(
    time: Duration,
    what: &str,
    mut holds: impl FnMut() -> F,
) {
    let asking = async {
        while !holds().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    within(time, what, asking).await;
}

fn program() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    // target/debug/deps/server-0123456789abcdef
    let profile = this.parent().and_then(Path::parent).unwrap();
    let name = format!("server{}", std::env::consts::EXE_SUFFIX);
    let program = profile.join("examples").join(name);
    assert!(
        program.exists(),
        "there is no {}: run cargo build --examples",
        program.display()
    );
    program
}

/// What a server is started with, as often as one likes.
pub(crate) struct Setup {
    pub(crate) folder: canary::Folder,
    variables: Vec<(String, String)>,
}

impl Setup {
    /// An SQLite file of its own, and the admin token. It logs all that it can, and that is searched.
    pub(crate) fn sqlite() -> Self {
        canary::know(ADMIN_TOKEN);
        let folder = canary::Folder::new();
        let url = format!("sqlite://{}", folder.path().join("keys.db").display());
        Self {
            folder,
            variables: Vec::new(),
        }
        .with("PORTCULLIS_ADDR", "127.0.0.1:0")
        .with("PORTCULLIS_ADMIN_TOKEN", ADMIN_TOKEN)
        .with("DATABASE_URL", &url)
        .with("RUST_LOG", "trace")
    }

    pub(crate) fn memory() -> Self {
        Self::sqlite().with("DATABASE_URL", "memory:")
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(n, _)| n != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(n, _)| n != name);
        self
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("keys.db")
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(program());
        let known = [
            "PORTCULLIS_ADDR",
            "DATABASE_URL",
            "PORTCULLIS_ADMIN_TOKEN",
            "PORTCULLIS_MAX_STALENESS_MS",
            "PORTCULLIS_POLL_MS",
            "PORTCULLIS_LOOKUP_DEADLINE_MS",
            "PORTCULLIS_OUTAGE_GRACE_MS",
            "RUST_LOG",
        ];
        for name in known {
            command.env_remove(name);
        }
        command
            .envs(self.variables.iter().cloned())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs until it ends of itself, as it does where the configuration is wrong.
    pub(crate) async fn ends(&self) -> Ended {
        let output = self.command().output();
        let output = soon("the server ends", output).await.unwrap();
        canary::absent("the log", &output.stderr);
        Ended {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts it, and waits until it listens.
    pub(crate) async fn start(&self) -> Server {
        let mut process = self.command().spawn().unwrap();
        let stdout = Output::of(process.stdout.take().unwrap(), |_| Ok(()));
        let mut stderr = Output::of(process.stderr.take().unwrap(), canary::in_a_log);
        let listening = stderr.wait_for(|log| {
            let (_, rest) = log.split_once("listening addr=")?;
            let (addr, _) = rest.split_once('\n')?;
            Some(addr.trim().parse().expect("an address in the log"))
        });
        let Some(address) = soon("the server listens", listening).await else {
            panic!(
                "the server ended before it listened: {}",
                stderr.whole().await
            );
        };
        Server {
            process: Mutex::new(process),
            stdout,
            stderr,
            address,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A running server. It is killed when it is dropped.
pub(crate) struct Server {
    process: Mutex<Child>,
    stdout: Output,
    stderr: Output,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// SIGKILL on Unix.
    pub(crate) async fn kill(self) -> Ended {
        self.kill_now();
        self.end().await
    }

    pub(crate) fn kill_now(&self) {
        self.process.lock().unwrap().start_kill().unwrap();
    }

    /// What an operator's `kill`, systemd or Kubernetes send.
    #[cfg(unix)]
    pub(crate) async fn terminate(&self) {
        let pid = self.process.lock().unwrap().id().expect("it runs");
        let kill = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &pid.to_string()])
            .status();
        assert!(soon("kill", kill).await.unwrap().success());
    }

    /// Waits until this is in the log.
    #[cfg(unix)]
    pub(crate) async fn logs(&mut self, text: &str) {
        let found = self.stderr.wait_for(|log| log.contains(text).then_some(()));
        soon(text, found).await.expect("the server ended");
    }

    /// Waits for its end and all that it has written.
    pub(crate) async fn end(self) -> Ended {
        let mut process = self.process.into_inner().unwrap();
        let status = soon("the server ends", process.wait()).await.unwrap();
        Ended {
            status,
            stdout: self.stdout.whole().await,
            stderr: self.stderr.whole().await,
        }
    }
}

/// What a process has written so far.
struct Output {
    bytes: Arc<Mutex<Vec<u8>>>,
    leaked: Arc<Mutex<Option<String>>>,
    grown: watch::Receiver<()>,
    reader: JoinHandle<()>,
}

impl Output {
    /// Each line is shown to `search` as it comes, which tells what must not be in it.
    fn of(
        mut pipe: impl AsyncRead + Send + Unpin + 'static,
        search: impl Fn(&[u8]) -> Result<(), String> + Send + 'static,
    ) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let leaked = Arc::new(Mutex::new(None));
        let (more, grown) = watch::channel(());
        let reader = tokio::spawn({
            let (bytes, leaked) = (Arc::clone(&bytes), Arc::clone(&leaked));
            async move {
                let mut line = Vec::new();
                let mut piece = [0; 8 * 1024];
                while let Ok(length @ 1..) = pipe.read(&mut piece).await {
                    bytes.lock().unwrap().extend_from_slice(&piece[..length]);
                    let _ = more.send(());
                    line.extend_from_slice(&piece[..length]);
                    // The rest of the last line is yet to come.
                    if let Some(end) = line.iter().rposition(|&byte| byte == b'\n') {
                        let whole: Vec<u8> = line.drain(..=end).collect();
                        if let Err(found) = search(&whole) {
                            leaked.lock().unwrap().get_or_insert(found);
                        }
                    }
                }
            }
        });
        Self {
            bytes,
            leaked,
            grown,
            reader,
        }
    }

    /// `None` if the process ended before.
    async fn wait_for<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        loop {
            let found = find(&String::from_utf8_lossy(&self.bytes.lock().unwrap()));
            if found.is_some() {
                return found;
            }
            self.grown.changed().await.ok()?;
        }
    }

    async fn whole(mut self) -> String {
        soon("the end of the output", &mut self.reader)
            .await
            .unwrap();
        let bytes = std::mem::take(&mut *self.bytes.lock().unwrap());
        String::from_utf8(bytes).unwrap()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(*self.leaked.lock().unwrap(), None);
        }
    }
}
