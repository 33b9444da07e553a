//! A throwaway PostgreSQL server: a folder, a free port, and a process that goes when this one does,
//! however this one goes.

#![allow(
    dead_code,
    reason = "several test binaries share this file, and each uses a part of it"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Once};
use std::thread::sleep;
use std::time::Duration;

/// Who owns everything in a cluster. Connections from this machine need no password, except for a
/// role called `locked`, if somebody makes one.
pub(crate) const SUPERUSER: &str = "postgres";

const HBA: &str = "\
    host all locked 127.0.0.1/32 scram-sha-256\n\
    host all all 127.0.0.1/32 trust\n\
    host replication all 127.0.0.1/32 trust\n\
    local all all trust\n";

/// Without the disk: for tests that do not pull the plug.
pub(crate) const CARELESS: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("shared_buffers", "32MB"),
    ("max_connections", "200"),
];

/// Cleans up when the process that made the cluster is gone: its end of the pipe closes, also by
/// SIGKILL. What is typed at a terminal (Ctrl-C) does not reach it.
const KEEPER: &str = "\
    trap '' INT HUP TERM QUIT; \
    cat > /dev/null; \
    \"$1\"/pg_ctl -D \"$2\"/data -m immediate stop > /dev/null 2>&1; \
    rm -rf \"$2\"";

#[derive(Debug)]
pub(crate) struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    /// As whom it runs, where this process is root, whom Postgres refuses to serve.
    user: Option<(u32, u32)>,
    server: Mutex<Option<Child>>,
    keeper: Child,
    databases: AtomicU32,
}

impl Cluster {
    /// A new cluster on a free port, with its server running. `None` where PostgreSQL is not
    /// installed; with `CI=true` in the environment that is a failure instead.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Option<Self> {
        let Some(programs) = programs() else {
            missing();
            return None;
        };
        let user = user();
        let folder = folder(user);
        let mut keeper = as_user("sh", user);
        keeper
            .args(["-c", KEEPER, "keeper"])
            .arg(&programs)
            .arg(&folder);
        let cluster = Self {
            keeper: keeper.stdin(Stdio::piped()).spawn().unwrap(),
            programs,
            port: free_port(),
            folder,
            user,
            server: Mutex::default(),
            databases: AtomicU32::new(0),
        };
        let data = cluster.data();
        let initdb = cluster
            .program("initdb")
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C"])
            .args(["--username", SUPERUSER, "--pgdata"])
            .arg(&data)
            .output();
        succeeded(&initdb.unwrap());
        cluster.configure(settings);
        cluster.run();
        Some(cluster)
    }

    /// A running copy of this one that takes no writes and follows it.
    pub(crate) fn standby(&self) -> Self {
        let folder = folder(self.user);
        let mut keeper = as_user("sh", self.user);
        keeper
            .args(["-c", KEEPER, "keeper"])
            .arg(&self.programs)
            .arg(&folder);
        let standby = Self {
            keeper: keeper.stdin(Stdio::piped()).spawn().unwrap(),
            programs: self.programs.clone(),
            port: free_port(),
            folder,
            user: self.user,
            server: Mutex::default(),
            databases: AtomicU32::new(0),
        };
        let copy = self
            .client("pg_basebackup")
            .args([
                "--checkpoint=fast",
                "--no-sync",
                "--write-recovery-conf",
                "--pgdata",
            ])
            .arg(standby.data())
            .output();
        succeeded(&copy.unwrap());
        standby.configure(&[("hot_standby_feedback", "on")]);
        standby.run();
        standby
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Of the server itself.
    pub(crate) fn url(&self, database: &str) -> String {
        Self::url_at(self.port, database)
    }

    /// Of whatever listens on another port of this machine: a proxy, say.
    pub(crate) fn url_at(port: u16, database: &str) -> String {
        format!("postgres://{SUPERUSER}@127.0.0.1:{port}/{database}")
    }

    /// Makes an empty database, and gives its name.
    pub(crate) fn create_database(&self) -> String {
        self.copy_database("template1")
    }

    /// Makes a database like this one, in which there must be no session.
    pub(crate) fn copy_database(&self, of: &str) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("case_{number}");
        self.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {of}"));
        name
    }

    /// Runs SQL, each statement for itself, and gives what it prints: one line a row, columns
    /// parted by `|`.
    #[track_caller]
    pub(crate) fn psql(&self, database: &str, sql: &str) -> String {
        let output = self.psql_may_fail(database, sql);
        succeeded(&output);
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn psql_may_fail(&self, database: &str, sql: &str) -> Output {
        self.client("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args([
                "--set",
                "ON_ERROR_STOP=1",
                "--dbname",
                database,
                "--command",
                sql,
            ])
            .output()
            .unwrap()
    }

    /// A program of PostgreSQL's that connects to this server: `pg_dump`, `pg_restore`, `psql`.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = self.program(program);
        command
            .args(["--host", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--username", SUPERUSER, "--no-password"]);
        command
    }

    /// All that is in a database, as SQL.
    pub(crate) fn dump(&self, database: &str) -> String {
        let dump = self.client("pg_dump").arg(database).output().unwrap();
        succeeded(&dump);
        String::from_utf8(dump.stdout).unwrap()
    }

    /// Where files may be put that the server, or a program of PostgreSQL's, is to read or write.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn is_running(&self) -> bool {
        let mut server = self.server.lock().unwrap();
        let ended = server.as_mut().map(|server| server.try_wait().unwrap());
        matches!(ended, Some(None))
    }

    /// Stops the server as `pg_ctl stop -m immediate` does. Recovery comes with the next start.
    pub(crate) fn stop_immediately(&self) {
        self.end("QUIT", false);
    }

    /// Stops the server as `pg_ctl stop -m fast` does: sessions are ended, nothing is recovered.
    pub(crate) fn stop(&self) {
        self.end("INT", false);
    }

    /// Kills the server and all its processes at once.
    pub(crate) fn kill(&self) {
        self.end("KILL", true);
    }

    /// Starts the server again, on the same port and with the same data.
    pub(crate) fn start_again(&self) {
        assert!(!self.is_running());
        self.run();
    }

    fn end(&self, signal: &str, with_children: bool) {
        let mut server = self.server.lock().unwrap();
        let Some(mut process) = server.take() else {
            return;
        };
        let pid = process.id();
        let mut pids = vec![pid.to_string()];
        if with_children {
            let children = format!("/proc/{pid}/task/{pid}/children");
            let children = fs::read_to_string(children).unwrap_or_default();
            pids.extend(children.split_whitespace().map(str::to_owned));
        }
        let kill = Command::new("kill")
            .arg(format!("-{signal}"))
            .args(&pids)
            .output();
        // A child may have ended by itself.
        kill.unwrap();
        process.wait().unwrap();
    }

    /// Starts the server, and waits until it lets people in.
    fn run(&self) {
        let log = self.folder.join("log");
        let log = fs::File::options()
            .append(true)
            .create(true)
            .open(log)
            .unwrap();
        let mut server = self.program("postgres");
        server.arg("-D").arg(self.data()).stdin(Stdio::null());
        server.stdout(log.try_clone().unwrap()).stderr(log);
        *self.server.lock().unwrap() = Some(server.spawn().unwrap());
        // A minute: initial recovery may take its time on a busy machine.
        for _ in 0..6_000 {
            if self.is_ready() {
                return;
            }
            assert!(self.is_running(), "the server ended:\n{}", self.log());
            sleep(Duration::from_millis(10));
        }
        panic!("the server does not get ready:\n{}", self.log());
    }

    /// What the server says of itself, in the last line of its lock file.
    fn is_ready(&self) -> bool {
        let pid = self
            .server
            .lock()
            .unwrap()
            .as_ref()
            .unwrap()
            .id()
            .to_string();
        let lock = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let mut lines = lock.lines();
        // One that was killed leaves its file behind.
        lines.next() == Some(&pid)
            && lines
                .next_back()
                .is_some_and(|status| matches!(status.trim(), "ready" | "standby"))
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn configure(&self, settings: &[(&str, &str)]) {
        let mut lines = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\n",
            self.port,
            self.folder.display()
        );
        for (name, value) in settings {
            writeln!(lines, "{name} = '{value}'").unwrap();
        }
        let conf = self.data().join("postgresql.conf");
        let mut conf = fs::File::options().append(true).open(conf).unwrap();
        conf.write_all(lines.as_bytes()).unwrap();
        fs::write(self.data().join("pg_hba.conf"), HBA).unwrap();
    }

    fn program(&self, name: &str) -> Command {
        as_user(self.programs.join(name), self.user)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A closed pipe is what the keeper waits for.
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
        if let Some(mut server) = self.server.lock().unwrap().take() {
            drop(server.wait());
        }
    }
}

/// Where `initdb` and `postgres` are: the newest below `/usr/lib/postgresql`, or those in `PATH`.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .collect();
    versions.sort();
    let in_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = versions.into_iter().rev().map(|(_, folder)| folder);
    folders
        .by_ref()
        .chain(std::env::split_paths(&in_path))
        .find(|folder| {
            ["initdb", "postgres", "psql"]
                .iter()
                .all(|name| folder.join(name).exists())
        })
}

fn missing() {
    const MESSAGE: &str = "PostgreSQL is not installed";
    static SAID: Once = Once::new();
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!is_ci, "{MESSAGE}, and CI=true");
    SAID.call_once(|| {
        // Not by a macro, whose output the test harness would keep to itself.
        let mut stderr = io::stderr().lock();
        drop(writeln!(stderr, "\n*** NOT TESTED: {MESSAGE} ***\n"));
    });
}

/// Somebody other than root, if this process is root.
fn user() -> Option<(u32, u32)> {
    let id = Command::new("id").arg("-u").output().unwrap();
    if String::from_utf8(id.stdout).unwrap().trim() != "0" {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    ["postgres", "nobody"].iter().find_map(|name| {
        let line = passwd
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

fn folder(user: Option<(u32, u32)>) -> PathBuf {
    // It is the keeper that removes it.
    let folder = tempfile::Builder::new()
        .prefix("portcullis-postgres-")
        .tempdir()
        .unwrap()
        .keep();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    if let Some((user, group)) = user {
        chown(&folder, Some(user), Some(group)).unwrap();
    }
    folder
}

fn as_user(program: impl AsRef<std::ffi::OsStr>, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    // A folder that this user may not enter is in some programs' way.
    command.current_dir("/").env("LC_ALL", "C");
    for variable in [
        "PGHOST",
        "PGPORT",
        "PGUSER",
        "PGDATABASE",
        "PGPASSWORD",
        "PGOPTIONS",
    ] {
        command.env_remove(variable);
    }
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    command
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[track_caller]
fn succeeded(output: &Output) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
}
