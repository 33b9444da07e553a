//! A replica that is cut off from Postgres, and what it answers when.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::ground;
use crate::runner::chance::Chance;
use crate::runner::client::{Client, get};
use crate::runner::history::{Answer, Route};
use crate::runner::judge::{RECOVERY, SLACK};
use crate::runner::lives::Author;
use crate::runner::load::ask_all;
use crate::runner::proxy::Mode;
use crate::runner::stage::{Key, Stage};
use crate::runner::world::Scale;

const SCALE: Scale = Scale {
    replicas: 2,
    max_staleness: Duration::from_millis(1_600),
};

/// The default: a quarter.
const POLL: Duration = Duration::from_millis(400);

async fn health(stage: &Stage) -> Value {
    let address = stage.world.sites[0].address();
    let request = get("/health", "none");
    let reply = Client::default().send(address, &request).await;
    let reply = reply.expect("an answer");
    assert_eq!(reply.status, 200);
    reply.json()
}

/// What it answers from now on, until it answers `last`; after how long that was asked and answered.
async fn answers(stage: &Stage, keys: &[Key], last: &Answer) -> (Vec<Answer>, Duration, Duration) {
    let mut client = Client::default();
    let began = stage.now();
    let mut answers = Vec::new();
    for key in keys.iter().cycle() {
        let sent = stage.since(began);
        let answer = stage.ask(&mut client, 0, key.secret, Route::Ping).await;
        if answer == *last {
            return (answers, sent, stage.since(began));
        }
        assert!(sent < 4 * SCALE.max_staleness, "not {last:?} for so long");
        answers.push(answer);
        sleep(Duration::from_millis(5)).await;
    }
    unreachable!("it goes round")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_off_it_serves_what_it_knows_until_the_lease_ends_and_then_says_503() {
    let Some(world) = ground::world(SCALE).await else {
        return;
    };
    let stage = Stage::on(&world);
    let mut chance = Chance::seeded(1);
    let mut author = Author::of(&stage, &mut chance);
    let mut keys = Vec::new();
    for _ in 0..10 {
        let key = author.create().await;
        ask_all(&stage, &mut chance, key.secret).await;
        keys.push(key);
    }
    let cold = author.create().await;
    let (up, down) = (true, true);
    for mode in [
        Mode::Hold { up, down },
        Mode::Lose,
        Mode::Close,
        Mode::Reset,
    ] {
        assert_eq!(health(&stage).await["in_sync"], true);
        let proxy = &stage.world.sites[0].proxy;
        proxy.set(mode);
        let (served, ended, _) = answers(&stage, &keys, &Answer::Unavailable).await;
        let all_good = served.iter().all(|answer| *answer == Answer::Accepted);
        assert!(all_good && served.len() > 50, "{mode:?}: {served:?}");
        // The last sync had begun a poll before, or a little more.
        let earliest = SCALE.max_staleness.saturating_sub(2 * POLL);
        let latest = SCALE.max_staleness + SLACK;
        assert!((earliest..latest).contains(&ended), "{mode:?}: {ended:?}");

        let mut client = Client::default();
        for key in keys.iter().chain([&cold]) {
            let answer = stage.ask(&mut client, 0, key.secret, Route::Ping).await;
            assert_eq!(answer, Answer::Unavailable, "{mode:?}");
        }
        let health = health(&stage).await;
        assert_eq!(health["in_sync"], false, "{health}");
        // The other one does not even notice.
        for key in &keys {
            let answer = stage.ask(&mut client, 1, key.secret, Route::Ping).await;
            assert_eq!(answer, Answer::Accepted);
        }

        proxy.set(Mode::Pass);
        let (waited, _, back) = answers(&stage, &keys, &Answer::Accepted).await;
        println!("{mode:?}: 503 after {ended:?}, back after {back:?}");
        assert!(back < RECOVERY, "{mode:?}: {back:?}");
        let honest = waited.iter().all(|answer| *answer != Answer::Refused);
        assert!(honest, "{mode:?}: {waited:?}");
        let in_sync = async {
            while self::health(&stage).await["in_sync"] != true {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(RECOVERY, in_sync).await;
        waited.expect("in sync again");
    }
}
