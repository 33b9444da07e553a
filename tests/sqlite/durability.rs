//! Other processes, some of which are killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use portcullis::store::{Decide, KeyStore, Source, SqliteStore, Subjects};
use tokio::time::timeout;

use super::{Place, add, digest, id, position, record};

const PATIENCE: Duration = Duration::from_secs(10);

const URL: &str = "PORTCULLIS_TEST_CHILD_URL";

/// The other process. Without the variable it is a test that does nothing.
#[tokio::test]
async fn child() {
    let Ok(url) = std::env::var(URL) else { return };
    let store = SqliteStore::connect(&url).await.unwrap();
    println!("\ncommitted {}", add(&store, 1).await);
    let decide: Decide = Box::new(|_| {
        println!("\nin a transaction");
        // Until it is killed.
        loop {
            std::thread::park();
        }
    });
    drop(store.transact(Subjects::default(), decide).await);
}

struct Other {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Other {
    fn start(url: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "durability::child", "--nocapture"])
            .env(URL, url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output }
    }

    /// What comes after `word` in a line of its output.
    fn says(&mut self, word: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "it has ended");
            if let Some(rest) = line.trim_end().strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_and_nothing_else_does() {
    let place = Place::new();
    let store = place.store().await;
    let before = position(&store).await;
    let mut nudges = store.nudges();
    // The first tells that there is something to be nudged by.
    timeout(PATIENCE, nudges.nudged()).await.unwrap();

    let mut other = Other::start(&place.url());
    let revision: u64 = other.says("committed").parse().unwrap();
    timeout(PATIENCE, nudges.nudged())
        .await
        .expect("another process goes unnoticed");
    let report = store.sync(Some(before)).await.unwrap();
    assert_eq!(report.position.revision, revision);
    assert_eq!(report.changes.len(), 1);

    other.says("in a transaction");
    // It holds the lock; reading goes on.
    let found = store
        .look_up(&digest(1), Source::Primary)
        .await
        .unwrap()
        .found;
    assert_eq!(found.unwrap().record, record(1));
    // SIGKILL on Unix.
    drop(other);

    let reopened = place.store().await;
    assert_eq!(position(&reopened).await.revision, revision);
    assert!(reopened.get(&id(1)).await.unwrap().value.is_some());
    // And its lock is gone with it.
    assert_eq!(add(&store, 2).await, revision + 1);
}
