//! A Postgres of the run's own.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use crate::hand::Hand;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// Placeholder harness until the shared one is there.
pub(crate) struct Postgres {
    folder: TempDir,
    bin: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
    process: Option<Child>,
}

fn bin() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("postgres").exists())
        .collect();
    found.sort();
    found.pop()
}

fn other_user() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").ok().map(|m| std::os::unix::fs::MetadataExt::uid(&m)) != Some(0) {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    ["postgres", "nobody"].iter().find_map(|name| {
        let line = passwd.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut parts = line.split(':').skip(2);
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    })
}

impl Postgres {
    pub(crate) async fn start() -> Option<Self> {
        let bin = bin()?;
        let folder = tempfile::tempdir().unwrap();
        let user = other_user();
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut this = Self { folder, bin, user, port, process: None };
        let data = this.data();
        let made = this
            .command("initdb")
            .args(["-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--no-locale", "-D"])
            .arg(&data)
            .output()
            .await
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        this.launch().await;
        this.maintenance().sql("CREATE DATABASE keys").await.unwrap();
        Some(this)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    pub(crate) async fn launch(&mut self) {
        let data = self.data();
        let port = self.port.to_string();
        let child = self
            .command("postgres")
            .args(["-p", &port, "-k", "", "-h", "127.0.0.1", "-D"])
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(child);
        let up = async {
            while self.maintenance().sql("SELECT 1").await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(30), up).await.unwrap();
    }

    pub(crate) async fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().await.unwrap();
        loop {
            match TcpStream::connect(self.address()).await {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
                _ => sleep(Duration::from_millis(5)).await,
            }
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub(crate) fn hand(&self) -> Hand {
        Hand {
            psql: self.bin.join("psql"),
            address: self.address(),
            user: "postgres".to_owned(),
            database: "keys".to_owned(),
        }
    }

    pub(crate) fn url(&self, by: SocketAddr) -> String {
        format!("postgres://postgres@{by}/keys?sslmode=disable")
    }

    fn maintenance(&self) -> Hand {
        Hand { database: "postgres".to_owned(), ..self.hand() }
    }
}
