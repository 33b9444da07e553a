//! What can go wrong, and how it is made to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::runner::chance::Chance;
use crate::runner::history::{Kind, Moment, Outcome, What};
use crate::runner::lives::Author;
use crate::runner::load::follow;
use crate::runner::proxy::Mode;
use crate::runner::stage::Stage;
use crate::runner::{restored, waiting};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A network fault between Postgres and one replica, or each.
    Network(Mode, Whom),
    /// A replica is stopped by a signal, and goes on later.
    Stopped,
    ReplicaKilled,
    PostgresKilled,
    /// `pg_terminate_backend` of every connection, again and again.
    Terminated,
    /// The trigger is there, but nobody is told by it.
    NoNotify,
    /// A transaction that changes a key early and commits last.
    SlowTransaction,
    /// The database is replaced by an older state of itself.
    Restored,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    One,
    All,
}

impl Whom {
    fn among(self, replicas: usize) -> std::ops::Range<usize> {
        match self {
            Self::One => 0..1,
            Self::All => 0..replicas,
        }
    }
}

impl Fault {
    /// Whether what was acknowledged is lost by the very nature of it.
    pub(crate) fn loses_changes(self) -> bool {
        self == Self::Restored
    }

    /// Makes it so, for so long, and tells what it did to whom. Returns when it is over.
    pub(crate) async fn inflict(self, stage: &Arc<Stage>, chance: &mut Chance, lasting: Duration) {
        let world = &stage.world;
        let all = 0..world.sites.len();
        let began = stage.now();
        match self {
            Self::Network(mode, whom) => {
                let whom = whom.among(world.sites.len());
                for replica in whom.clone() {
                    world.sites[replica].proxy.set(mode);
                }
                sleep(lasting).await;
                for replica in whom.clone() {
                    world.sites[replica].proxy.set(Mode::Pass);
                }
                troubled(stage, whom, Kind::Cut, began);
                if mode.is_silent() {
                    // Who falls silent in the middle of a change holds its locks until Postgres
                    // ends the transaction.
                    troubled(stage, all, Kind::Hindered, began);
                }
            }
            Self::Stopped => waiting::while_stopped(stage, chance, lasting).await,
            Self::ReplicaKilled => {
                world.sites[0].kill().await;
                sleep(lasting / 2).await;
                world.sites[0].restart().await;
                troubled(stage, 0..1, Kind::Killed, began);
            }
            Self::PostgresKilled => {
                let cluster = &world.hand.cluster;
                block_in_place(|| cluster.kill());
                sleep(lasting).await;
                block_in_place(|| cluster.start_again());
                troubled(stage, all, Kind::Cut, began);
            }
            Self::Terminated => {
                let mut ended = 0;
                while stage.since(began) < lasting {
                    ended += terminate(stage).await;
                    sleep(Duration::from_millis(100)).await;
                }
                assert!(ended >= 2 * world.sites.len(), "{ended} terminated");
                troubled(stage, all, Kind::Cut, began);
            }
            Self::NoNotify => {
                let hand = &world.hand;
                let off = hand.sql("ALTER TABLE portcullis.change_sets DISABLE TRIGGER nudge");
                off.await.unwrap();
                sleep(lasting).await;
                let on = hand.sql("ALTER TABLE portcullis.change_sets ENABLE ALWAYS TRIGGER nudge");
                on.await.unwrap();
            }
            Self::SlowTransaction => slow_transaction(stage, chance, lasting).await,
            Self::Restored => restored::go_back(stage, chance, lasting).await,
        }
    }
}

fn troubled(stage: &Stage, replicas: impl IntoIterator<Item = usize>, kind: Kind, from: Moment) {
    let until = stage.now();
    for replica in replicas {
        stage.trouble(replica, kind, from, until);
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Network(mode, whom) = self else {
            return f.write_str(match self {
                Self::Stopped => "a replica stopped",
                Self::ReplicaKilled => "a replica killed",
                Self::PostgresKilled => "Postgres killed",
                Self::Terminated => "connections terminated",
                Self::NoNotify => "nobody notified",
                Self::SlowTransaction => "a slow transaction",
                Self::Restored => "an older state restored",
                Self::Network(..) => unreachable!(),
            });
        };
        match mode {
            Mode::Pass => f.write_str("nothing")?,
            Mode::Close => f.write_str("connections closed")?,
            Mode::Reset => f.write_str("connections reset")?,
            Mode::Hold {
                up: true,
                down: true,
            } => f.write_str("silence")?,
            Mode::Hold { up: true, .. } => f.write_str("silence to Postgres")?,
            Mode::Hold { .. } => f.write_str("silence from Postgres")?,
            Mode::Lose => f.write_str("packets lost")?,
            Mode::Delay(time) => write!(f, "{time:?} of delay")?,
            Mode::LoseCommits { reset: true } => f.write_str("COMMIT, then a reset")?,
            Mode::LoseCommits { reset: false } => f.write_str("COMMIT, then silence")?,
        }
        f.write_str(match whom {
            Whom::One => ", one replica",
            Whom::All => ", all replicas",
        })
    }
}

/// How many there were.
async fn terminate(stage: &Stage) -> usize {
    let ended = stage
        .world
        .hand
        .sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = current_database() AND backend_type = 'client backend' \
             AND application_name <> 'psql'",
        )
        .await;
    ended.unwrap().parse().unwrap()
}

/// Others commit while it is open, and come first by any count but that of commits.
async fn slow_transaction(stage: &Arc<Stage>, chance: &mut Chance, lasting: Duration) {
    let key = Author::of(stage, chance).create().await;
    let id = stage.id(key.number);
    let sql = format!(
        "BEGIN;
         UPDATE portcullis.keys SET revoked_at = now() WHERE id = '{id}';
         SELECT pg_sleep({});
         COMMIT",
        lasting.as_secs_f64()
    );
    let outcome = stage.by_hand(key.number, What::Revoke, &sql).await;
    assert_eq!(outcome, Outcome::Acknowledged);
    follow(stage, key.secret).await;
}
