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
    authors: 0,
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

/// What it answered, until it changed its mind.
struct Answers {
    before: Vec<Answer>,
    /// When the last one before was asked for, and the first one after.
    last_before: Duration,
    first_after: Duration,
    /// When that was answered.
    answered: Duration,
}

/// Asks from now on until it answers so.
async fn answers(stage: &Stage, keys: &[Key], until: &Answer) -> Answers {
    let mut client = Client::default();
    let began = stage.now();
    let mut before = Vec::new();
    let mut last_before = Duration::ZERO;
    for key in keys.iter().cycle() {
        let first_after = stage.since(began);
        let answer = stage.ask(&mut client, 0, key.secret, Route::Ping).await;
        if answer == *until {
            return Answers {
                before,
                last_before,
                first_after,
                answered: stage.since(began),
            };
        }
        last_before = first_after;
        assert!(
            last_before < 4 * SCALE.max_staleness,
            "not {until:?} for so long"
        );
        before.push(answer);
        sleep(Duration::from_millis(5)).await;
    }
    unreachable!("it goes round")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_off_it_serves_what_it_knows_until_the_lease_ends_and_then_says_503() {
    let _turn = ground::alone().await;
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
        let served = answers(&stage, &keys, &Answer::Unavailable).await;
        let is_good = |answer: &Answer| *answer == Answer::Accepted;
        assert!(served.before.len() > 30, "{:?}", served.before);
        assert!(
            served.before.iter().all(is_good),
            "{mode:?}: {:?}",
            served.before
        );
        let (last, first) = (served.last_before, served.first_after);
        // The last sync had begun a poll before, or a little more.
        assert!(
            first >= SCALE.max_staleness.saturating_sub(2 * POLL),
            "{first:?}"
        );
        assert!(last <= SCALE.max_staleness + SLACK, "{last:?}");

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
        let back = answers(&stage, &keys, &Answer::Accepted).await;
        println!(
            "{mode:?}: 503 after {first:?}, back after {:?}",
            back.answered
        );
        assert!(back.answered < RECOVERY, "{mode:?}: {:?}", back.answered);
        let is_refusal = |answer: &Answer| *answer == Answer::Refused;
        assert!(
            !back.before.iter().any(is_refusal),
            "{mode:?}: {:?}",
            back.before
        );
        let in_sync = async {
            while self::health(&stage).await["in_sync"] != true {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(RECOVERY, in_sync).await;
        waited.expect("in sync again");
    }
}
