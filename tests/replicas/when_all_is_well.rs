//! What is promised when nothing is wrong.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::ground;
use crate::runner::chance::Chance;
use crate::runner::client::Client;
use crate::runner::healthy;
use crate::runner::history::{Answer, Outcome, Route, What};
use crate::runner::lives::Author;
use crate::runner::load::ask_all;
use crate::runner::stage::{Key, Stage};
use crate::runner::world::Scale;

const SCALE: Scale = Scale {
    replicas: 3,
    max_staleness: Duration::from_secs(5),
    authors: 0,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_revocations_are_heeded_at_once_here_and_soon_elsewhere() {
    let _turn = ground::alone().await;
    let Some(world) = ground::world(SCALE).await else {
        return;
    };
    let (figures, violations) = healthy::revoke(&world, 1_000, 1).await;
    println!("{figures}");
    assert!(violations.is_empty(), "{}", violations[0]);
    assert_eq!(figures.here.len(), 1_000);
    assert_eq!(figures.elsewhere.len(), 2_000);
    assert_eq!(figures.unavailable, 0);
    assert!(figures.elsewhere.permille(990) <= healthy::P99, "{figures}");
    assert!(figures.elsewhere.max() <= healthy::MAX, "{figures}");
}

/// Asks every replica for a secret until each has answered so; how long that took.
async fn until_all(stage: &Arc<Stage>, key: Key, wanted: Answer) -> Duration {
    let began = stage.now();
    let mut tasks = JoinSet::new();
    for replica in 0..stage.world.sites.len() {
        let (stage, wanted) = (Arc::clone(stage), wanted.clone());
        tasks.spawn(async move {
            let mut client = Client::default();
            loop {
                let asked = stage.ask(&mut client, replica, key.secret, Route::Ping);
                if asked.await == wanted {
                    return;
                }
                assert!(stage.since(began) < SCALE.max_staleness, "{wanted:?}");
                sleep(Duration::from_millis(2)).await;
            }
        });
    }
    tasks.join_all().await;
    stage.since(began)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_typed_into_psql_works_everywhere_also_where_it_was_refused_a_moment_ago() {
    let _turn = ground::alone().await;
    let Some(world) = ground::world(SCALE).await else {
        return;
    };
    let stage = Stage::on(&world);
    let mut chance = Chance::seeded(1);
    let mut author = Author::of(&stage, &mut chance);
    let hand = &stage.world.hand;
    for notified in [true, false] {
        if !notified {
            let off = hand.sql("ALTER TABLE portcullis.change_sets DISABLE TRIGGER nudge");
            off.await.unwrap();
        }
        // Every replica has been asked for it, and remembers that there is none.
        let key = author.insert().await.expect("nothing is wrong");
        let inserted = until_all(&stage, key, Answer::Accepted).await;
        let set = async |enabled| {
            let id = stage.id(key.number);
            let sql = format!("UPDATE portcullis.keys SET enabled = {enabled} WHERE id = '{id}'");
            let changed = stage.by_hand(key.number, What::Enable(enabled), &sql);
            assert_eq!(changed.await, Outcome::Acknowledged);
        };
        set(false).await;
        until_all(&stage, key, Answer::Refused).await;
        set(true).await;
        let enabled = until_all(&stage, key, Answer::Accepted).await;
        println!("notified: {notified}; inserted after {inserted:?}, enabled after {enabled:?}");
        // A poll is due once a second.
        let bound = if notified { 1_000 } else { 2_500 };
        assert!(inserted.max(enabled) < Duration::from_millis(bound));
    }
    let violations = crate::runner::judge::judge(&stage.take_history());
    assert!(violations.is_empty(), "{}", violations[0]);
}

/// How long the statements are counted for.
const COUNTED: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_with_warm_keys_asks_one_small_thing_a_second_whatever_the_traffic() {
    let _turn = ground::alone().await;
    let scale = Scale {
        replicas: 1,
        ..SCALE
    };
    let Some(world) = ground::world(scale).await else {
        return;
    };
    let stage = Stage::on(&world);
    let mut chance = Chance::seeded(1);
    let mut author = Author::of(&stage, &mut chance);
    let mut keys = Vec::new();
    for _ in 0..100 {
        keys.push(author.create().await);
    }
    for key in &keys {
        ask_all(&stage, &mut chance, key.secret).await;
    }
    let proxy = &stage.world.sites[0].proxy;
    // When they were used first is written down in the meantime.
    let mut before = proxy.traffic();
    loop {
        sleep(Duration::from_secs(1)).await;
        let now = proxy.traffic();
        if now.statements - before.statements <= 2 {
            break;
        }
        before = now;
    }
    for busy in [false, true] {
        let before = proxy.traffic();
        let began = stage.now();
        let mut answered = 0;
        let mut crowd = JoinSet::new();
        for n in 0..4 {
            let (stage, keys) = (Arc::clone(&stage), keys.clone());
            crowd.spawn(async move {
                let mut client = Client::default();
                let mut answered = 0;
                while busy && stage.since(began) < COUNTED {
                    let key = keys[(n * 25 + answered) % keys.len()];
                    let answer = stage.ask(&mut client, 0, key.secret, Route::Ping).await;
                    assert_eq!(answer, Answer::Accepted);
                    answered += 1;
                }
                answered
            });
        }
        answered += crowd.join_all().await.iter().sum::<usize>();
        sleep((began + COUNTED).saturating_sub(stage.now())).await;
        let traffic = proxy.traffic();
        let statements = traffic.statements - before.statements;
        let bytes = (traffic.bytes - before.bytes) / statements.max(1);
        println!("{answered} requests in {COUNTED:?}: {statements} statements of {bytes} bytes");
        assert_eq!(busy, answered > 1_000, "{answered}");
        let seconds = COUNTED.as_secs();
        assert!((seconds - 2..=seconds + 2).contains(&statements));
        assert!(bytes < 1_000, "both ways");
    }
}
