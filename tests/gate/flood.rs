//! A flood of made-up keys: what it costs the store and the memory is bounded, and the keys that are
//! in use do not notice it.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use portcullis::ApiKeyLayer;
use portcullis::key::{ChecksumSecret, KeyFormat};
use portcullis::keyring::Health;

use crate::ground::{Ground, call, with_key};

/// What the documentation says of the budget for unknown keys: at once, and a second.
const BURST: usize = 1_000;
const A_SECOND: usize = 200;

const GOOD: usize = 100;

/// A service, and keys that are in use there.
struct Flooded {
    ground: Ground,
    service: Router,
    good: Vec<String>,
    /// Look-ups until then.
    before: usize,
}

/// How many of a flood got which answer.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    dead: usize,
    shed: usize,
}

impl Flooded {
    async fn on(ground: Ground) -> Self {
        let layer = ApiKeyLayer::new(ground.keyring.clone());
        let service = Router::new().route("/", get(async || "inside"));
        let mut good = Vec::new();
        for _ in 0..GOOD {
            good.push(ground.key(&[]).await);
        }
        let mut flooded = Self {
            service: service.route_layer(layer),
            before: 0,
            good,
            ground,
        };
        flooded.all_get_in().await;
        flooded.before = flooded.ground.store.asked();
        assert_eq!(flooded.before, GOOD);
        flooded
    }

    /// Sends made-up keys, and one that is in use after every fifty of them.
    async fn flood(&self, junk: impl IntoIterator<Item = String>) -> Told {
        let mut told = Told::default();
        for (number, junk) in junk.into_iter().enumerate() {
            let seen = call(self.service.clone(), with_key(&junk)).await;
            match seen.code().as_str() {
                "invalid_token" => told.dead += 1,
                "unavailable" => told.shed += 1,
                other => panic!("{other}"),
            }
            if number % 50 == 49 {
                self.gets_in(&self.good[number / 50 % GOOD]).await;
            }
        }
        told
    }

    async fn gets_in(&self, key: &str) {
        let seen = call(self.service.clone(), with_key(key)).await;
        assert_eq!(seen.status, StatusCode::OK, "{}", seen.body);
    }

    async fn all_get_in(&self) {
        for key in &self.good {
            self.gets_in(key).await;
        }
    }

    fn look_ups(&self) -> usize {
        self.ground.store.asked() - self.before
    }

    fn health(&self) -> Health {
        self.ground.keyring.health()
    }

    /// Keys that read well, so many of them, of this format.
    fn made_up(format: &KeyFormat, count: usize) -> impl Iterator<Item = String> {
        let one = || format.generate(format.default_environment()).unwrap();
        (0..count).map(move |_| one().plain.expose().to_owned())
    }

    fn junk(&self, count: usize) -> impl Iterator<Item = String> {
        Self::made_up(self.ground.keyring.format(), count)
    }
}

#[tokio::test]
async fn the_store_is_asked_as_often_as_the_budget_allows_and_not_once_more() {
    let flooded = Flooded::on(Ground::new().await).await;
    let told = flooded.flood(flooded.junk(3 * BURST)).await;
    let (dead, shed) = (BURST, 2 * BURST);
    assert_eq!((told, flooded.look_ups()), (Told { dead, shed }, BURST));
    for second in 1..=3 {
        flooded.ground.clock.advance(Duration::from_secs(1));
        let told = flooded.flood(flooded.junk(BURST)).await;
        let (dead, shed) = (A_SECOND, BURST - A_SECOND);
        let look_ups = BURST + second * A_SECOND;
        assert_eq!((told, flooded.look_ups()), (Told { dead, shed }, look_ups));
    }
    flooded.all_get_in().await;
    assert_eq!(flooded.look_ups(), BURST + 3 * A_SECOND, "all of it junk's");
    // Whatever happens to the store: those in use are remembered.
    flooded.ground.store.fail();
    flooded.all_get_in().await;
}

#[tokio::test]
async fn what_is_remembered_of_it_is_bounded_and_takes_no_place_of_keys_in_use() {
    let ground = Ground::with(|builder| {
        let builder = builder.capacity(GOOD as u64, 50);
        builder.unknown_lookups(1_000_000, 1_000_000)
    });
    let flooded = Flooded::on(ground.await).await;
    let told = flooded.flood(flooded.junk(5_000)).await;
    let dead = 5_000;
    assert_eq!((told, flooded.look_ups()), (Told { dead, shed: 0 }, dead));
    let health = flooded.health();
    assert!((1..=50).contains(&health.unknown), "{health:?}");
    assert!(health.known <= GOOD as u64, "{health:?}");
    assert_eq!((health.lookups, health.waiting), (0, 0), "{health:?}");
    flooded.all_get_in().await;
    assert_eq!(flooded.look_ups(), dead, "every key in use was remembered");
}

#[tokio::test]
async fn what_has_a_wrong_checksum_costs_nothing() {
    let flooded = Flooded::on(Ground::new().await).await;
    let spoilt = flooded.junk(5_000).map(|mut key| {
        let last = if key.ends_with('0') { "1" } else { "0" };
        key.replace_range(key.len() - 1.., last);
        key
    });
    let dead = 5_000;
    assert_eq!(flooded.flood(spoilt).await, Told { dead, shed: 0 });
    assert_eq!((flooded.look_ups(), flooded.health().unknown), (0, 0));
}

#[tokio::test]
async fn under_the_keyed_checksum_nobody_makes_up_what_is_looked_up() {
    let secret = |version, byte| ChecksumSecret::new(version, [byte; 32]).unwrap();
    let ground = Ground::with(|builder| builder.keyed_checksum([secret('1', 7)]));
    let flooded = Flooded::on(ground.await).await;
    let crc = KeyFormat::new("acme", ["live"]).unwrap();
    // Somebody else's secret, under the same version.
    let other = Ground::with(|builder| builder.keyed_checksum([secret('1', 8)])).await;
    for format in [&crc, other.keyring.format()] {
        let forged = Flooded::made_up(format, 3_000);
        let dead = 3_000;
        assert_eq!(flooded.flood(forged).await, Told { dead, shed: 0 });
    }
    assert_eq!((flooded.look_ups(), flooded.health().unknown), (0, 0));
}
