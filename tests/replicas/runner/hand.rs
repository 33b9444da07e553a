//! Someone with `psql`, who goes to Postgres straight.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use tokio::process::Command;

use crate::canary;
use crate::runner::cluster::Cluster;

#[derive(Clone, Debug)]
pub(crate) struct Hand {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) database: String,
}

impl Hand {
    /// What it prints, one line a row, columns parted by `|`; or what it complains about.
    pub(crate) async fn sql(&self, sql: &str) -> Result<String, String> {
        self.psql(&self.database, &["--command", sql]).await
    }

    /// Writes the whole database down, as `pg_dump` does.
    pub(crate) async fn dump(&self) -> PathBuf {
        let file = self.cluster.folder().join("dump.sql");
        let mut dump = Command::from(self.cluster.client("pg_dump"));
        dump.args(["--no-owner", "--dbname", &self.database, "--file"])
            .arg(&file);
        run(dump).await.unwrap();
        canary::absent_from_a_database("a dump", std::fs::read(&file).unwrap());
        file
    }

    /// Drops the database under those who are connected to it, and makes it again from a dump, in
    /// one transaction: nobody is to see it half done.
    pub(crate) async fn restore(&self, file: &std::path::Path) {
        let database = &self.database;
        for sql in [
            format!("DROP DATABASE {database} WITH (FORCE)"),
            format!("CREATE DATABASE {database}"),
        ] {
            self.psql("postgres", &["--command", &sql]).await.unwrap();
        }
        let file = file.to_str().expect("a path in UTF-8");
        let arguments = ["--single-transaction", "--file", file];
        self.psql(database, &arguments).await.unwrap();
    }

    async fn psql(&self, database: &str, arguments: &[&str]) -> Result<String, String> {
        let mut psql = Command::from(self.cluster.client("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set", "ON_ERROR_STOP=1", "--dbname", database])
            .args(arguments);
        run(psql).await
    }
}

async fn run(mut command: Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = output.await.unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
