//! The database goes back to an older state of itself, under running replicas.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::runner::chance::Chance;
use crate::runner::history::{Kind, What};
use crate::runner::judge::RECOVERY;
use crate::runner::lives::Author;
use crate::runner::load::{ask_all, follow};
use crate::runner::stage::Stage;

/// How many keys live on, and how many are revoked after the dump.
const KEYS: usize = 15;

/// In the restored state the revoked keys live. Every replica has seen them revoked, and none
/// believes it.
pub(crate) async fn go_back(stage: &Arc<Stage>, chance: &mut Chance, lasting: Duration) {
    let hand = &stage.world.hand;
    let mut author = Author::of(stage, chance);
    let (mut living, mut doomed) = (Vec::new(), Vec::new());
    for _ in 0..KEYS {
        living.push(author.create().await);
        doomed.push(author.create().await);
    }
    for key in living.iter().chain(&doomed) {
        ask_all(stage, chance, key.secret).await;
    }
    let dump = hand.dump().await;
    for key in &doomed {
        author.change(*key, What::Revoke).await;
        follow(stage, key.secret).await;
    }
    let from = stage.now();
    hand.restore(&dump).await;
    let until = stage.now();
    for replica in 0..stage.world.sites.len() {
        stage.trouble(replica, Kind::Cut, from, until);
    }
    // All the while the load asks for all of them.
    sleep(lasting).await;
    for site in &stage.world.sites {
        let mut log = site.log();
        let alarm = log.wait_for(|line| line.contains("history_broken").then_some(()));
        let alarm = timeout(RECOVERY, alarm).await;
        assert!(
            matches!(alarm, Ok(Some(()))),
            "no alarm in the log:\n{}",
            site.log()
        );
    }
}
