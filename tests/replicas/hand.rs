//! Someone with `psql`, who goes to Postgres straight.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

#[derive(Clone, Debug)]
pub(crate) struct Hand {
    pub(crate) psql: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) user: String,
    pub(crate) database: String,
}

impl Hand {
    /// What it prints, or what it complains about.
    pub(crate) async fn sql(&self, sql: &str) -> Result<String, String> {
        self.run(&["-c", sql]).await
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(&self.psql)
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
            .arg("-h")
            .arg(self.address.ip().to_string())
            .arg("-p")
            .arg(self.address.port().to_string())
            .args(["-U", &self.user, "-d", &self.database])
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}
