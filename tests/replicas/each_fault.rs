//! Each fault once, and briefly.

use std::time::Duration;

use crate::ground;
use crate::runner::episode::Episode;
use crate::runner::fault::{Fault, Whom};
use crate::runner::proxy::Mode;
use crate::runner::world::Scale;

const SCALE: Scale = Scale {
    replicas: 3,
    max_staleness: Duration::from_millis(1_200),
    authors: 5,
};

/// Long enough for the lease to end, and for what comes after.
const LASTING: Duration = Duration::from_millis(2_200);

async fn suffer(fault: Fault) {
    let _turn = ground::among_others().await;
    let world = if fault == Fault::PostgresKilled {
        ground::world_apart(SCALE).await
    } else {
        ground::world(SCALE).await
    };
    // Without a Postgres there is nothing to be seen here.
    let Some(world) = world else {
        return;
    };
    let episode = Episode {
        fault: Some(fault),
        lasting: LASTING,
        seed: 1,
    };
    let report = episode.play(&world).await;
    println!("{fault}\n{report}");
    if !report.is_clean() {
        for (n, site) in world.sites.iter().enumerate() {
            println!("replica {n}:\n{}", site.log());
        }
    }
    assert!(report.is_clean(), "{fault}:\n{report}");
}

macro_rules! faults {
    ($($name:ident: $fault:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            suffer($fault).await;
        }
    )*};
}

const SILENCE: Mode = Mode::Hold {
    up: true,
    down: true,
};

faults! {
    connections_of_one_are_closed: Fault::Network(Mode::Close, Whom::One);
    connections_of_all_are_closed: Fault::Network(Mode::Close, Whom::All);
    connections_of_one_are_reset: Fault::Network(Mode::Reset, Whom::One);
    connections_of_all_are_reset: Fault::Network(Mode::Reset, Whom::All);
    silence_for_one: Fault::Network(SILENCE, Whom::One);
    silence_for_all: Fault::Network(SILENCE, Whom::All);
    silence_to_postgres: Fault::Network(Mode::Hold { up: true, down: false }, Whom::One);
    silence_from_postgres: Fault::Network(Mode::Hold { up: false, down: true }, Whom::One);
    packets_of_one_are_lost: Fault::Network(Mode::Lose, Whom::One);
    packets_of_all_are_lost: Fault::Network(Mode::Lose, Whom::All);
    delay: Fault::Network(Mode::Delay(Duration::from_millis(80)), Whom::All);
    a_reset_in_place_of_the_reply_to_commit:
        Fault::Network(Mode::LoseCommits { reset: true }, Whom::One);
    silence_in_place_of_the_reply_to_commit:
        Fault::Network(Mode::LoseCommits { reset: false }, Whom::One);
    a_replica_is_stopped: Fault::Stopped;
    a_replica_is_killed: Fault::ReplicaKilled;
    postgres_is_killed: Fault::PostgresKilled;
    connections_are_terminated: Fault::Terminated;
    nobody_is_notified: Fault::NoNotify;
    a_slow_transaction: Fault::SlowTransaction;
    an_older_state_is_restored: Fault::Restored;
}
