//! What made-up keys come to, from the format to the whole gate.

use std::collections::HashSet;
use std::convert::Infallible;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};

use super::checksum::crc32_base62;
use super::{ChecksumSecret, DigestAlgorithm, KeyFormat, NotAKey, Pepper, alphabet};
use crate::keyring::{BuildError, Builder, NewKey};
use crate::store::MemoryStore;
use crate::testing::{FaultStore, Faults};
use crate::{ApiKeyLayer, Keyring};

/// Made-up keys of environment `live`, with checksums from thin air and of every kind that can be
/// computed without the secret. Always the same ones, so that the test says the same every time.
struct Forger {
    state: u64,
    pretender: KeyFormat,
}

impl Forger {
    fn new() -> Self {
        let secret = secret('1', 66);
        let pretender = KeyFormat::new("acme", ["live"]).unwrap();
        Self {
            state: 0,
            pretender: pretender.with_keyed_checksum([secret]).unwrap(),
        }
    }

    /// splitmix64: as good as random, for a test.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn characters<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| {
            let [character] = alphabet::digits(u32::try_from(self.next() % 62).unwrap());
            character
        })
    }

    fn forge(&mut self) -> Vec<u8> {
        let mut key = [b"acme_live_".as_slice(), &self.characters::<32>()].concat();
        let checksum = match self.next() % 4 {
            // What anybody can compute.
            0 => crc32_base62(&key),
            // What somebody computes who has a secret, and not ours.
            1 => self.pretender.checksum.of(&key),
            // The right version, which every key shows, and luck.
            2 => {
                let mut checksum = self.characters();
                checksum[0] = b'1';
                checksum
            }
            _ => self.characters(),
        };
        key.extend(checksum);
        key
    }
}

fn secret(version: char, byte: u8) -> ChecksumSecret {
    ChecksumSecret::new(version, [byte; 32]).unwrap()
}

fn faulty() -> (Builder, Faults) {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    (Keyring::builder(store).prefix("acme"), faults)
}

/// What the gate answers to each of these keys.
async fn statuses(keyring: &Keyring, keys: impl IntoIterator<Item = Vec<u8>>) -> Vec<StatusCode> {
    let gate = ApiKeyLayer::new(keyring.clone()).layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    let mut statuses = Vec::new();
    for key in keys {
        let credential = [b"Bearer ".as_slice(), &key].concat();
        let request = Request::get("/").header(AUTHORIZATION, credential);
        let request = request.body(()).unwrap();
        let Ok(response) = gate.clone().oneshot(request).await;
        statuses.push(response.status());
    }
    statuses
}

#[test]
fn hardly_any_forged_key_passes_for_a_key() {
    let format = KeyFormat::new("acme", ["live"]).unwrap();
    let format = format
        .with_keyed_checksum([secret('1', 65), secret('2', 67)])
        .unwrap();
    let forgeries: u32 = if cfg!(debug_assertions) {
        200_000
    } else {
        1_000_000
    };
    let mut forger = Forger::new();
    let mut passed = 0;
    for _ in 0..forgeries {
        match format.parse(&forger.forge()) {
            Ok(_) => passed += 1,
            Err(why) => assert_eq!(why, NotAKey::Checksum),
        }
    }
    // One in 62⁵, about a billionth, would be a thousandth of a key among all of them.
    assert_eq!(passed, 0);
}

#[tokio::test]
async fn forged_keys_are_refused_without_store_or_memory() {
    let (builder, faults) = faulty();
    let keyring = builder.keyed_checksum([secret('1', 65)]).build().unwrap();
    keyring.ready().await.unwrap();
    let mut forger = Forger::new();
    let forgeries = if cfg!(debug_assertions) {
        5_000
    } else {
        1_000_000
    };
    let answers = statuses(&keyring, (0..forgeries).map(|_| forger.forge())).await;
    assert_eq!(
        HashSet::from_iter(answers),
        HashSet::from([StatusCode::UNAUTHORIZED])
    );
    assert_eq!(faults.look_ups.calls(), 0);
    let health = keyring.health();
    assert_eq!((health.known, health.unknown), (0, 0));
}

#[tokio::test]
async fn without_the_secret_in_the_checksum_each_of_them_costs_a_look_up() {
    let (builder, faults) = faulty();
    let keyring = builder.build().unwrap();
    keyring.ready().await.unwrap();
    let mut forger = Forger::new();
    let keys = std::iter::repeat_with(|| forger.forge());
    let plain = KeyFormat::new("acme", ["live"]).unwrap();
    let keys = keys.filter(|key| plain.parse(key).is_ok()).take(500);
    let answers = statuses(&keyring, keys).await;
    assert_eq!(answers, [StatusCode::UNAUTHORIZED; 500]);
    assert_eq!(faults.look_ups.calls(), 500);
    assert!(keyring.health().unknown > 0, "and memory");
}

#[tokio::test]
async fn keys_of_every_digest_open_and_their_typos_do_not() {
    let algorithms = [
        DigestAlgorithm::sha256(),
        DigestAlgorithm::hmac_sha256(Pepper::new([7; 32]).unwrap()),
        #[cfg(feature = "blake3")]
        DigestAlgorithm::blake3(),
    ];
    for algorithm in algorithms {
        let (builder, faults) = faulty();
        let keyring = builder
            .keyed_checksum([secret('1', 65)])
            .digest(algorithm.clone())
            .build()
            .unwrap();
        let created = keyring.create(NewKey::named("a key").unwrap()).await;
        let key = created.unwrap().secret.expose().as_bytes().to_vec();
        let presented = keyring.format().parse(&key).unwrap();
        assert_eq!(presented.digest(), algorithm.digest(&key));
        let mut typo = key.clone();
        typo[20] = if key[20] == b'a' { b'b' } else { b'a' };
        let answers = statuses(&keyring, [typo, key]).await;
        assert_eq!(answers, [StatusCode::UNAUTHORIZED, StatusCode::OK]);
        assert_eq!(faults.look_ups.calls(), 1);
    }
}

#[tokio::test]
async fn secrets_rotate_without_a_key_refused() {
    let store = MemoryStore::new();
    let deploy = |secrets: Vec<ChecksumSecret>| {
        let builder = Keyring::builder(store.clone()).prefix("acme");
        builder.keyed_checksum(secrets).build().unwrap()
    };
    let before = deploy(vec![secret('1', 65)]);
    let prepared = deploy(vec![secret('1', 65), secret('2', 66)]);
    let turned = deploy(vec![secret('2', 66), secret('1', 65)]);
    let after = deploy(vec![secret('2', 66)]);
    let mut keys = Vec::new();
    for keyring in [&before, &prepared, &turned, &after] {
        let created = keyring.create(NewKey::named("a key").unwrap()).await;
        keys.push(created.unwrap().secret.expose().as_bytes().to_vec());
    }
    let (yes, no) = (StatusCode::OK, StatusCode::UNAUTHORIZED);
    let cases = [
        ("before", before, [yes, yes, no, no]),
        ("prepared", prepared, [yes, yes, yes, yes]),
        ("turned", turned, [yes, yes, yes, yes]),
        ("after", after, [no, no, yes, yes]),
    ];
    for (name, keyring, expected) in cases {
        let answers = statuses(&keyring, keys.clone()).await;
        assert_eq!(answers, expected, "{name}");
    }
}

#[tokio::test]
async fn a_keyring_needs_a_secret_of_each_version_once() {
    let cases = [
        (vec![], "a keyed checksum needs at least one secret"),
        (
            vec![secret('1', 65), secret('1', 66)],
            "the version '1' is given to more than one checksum secret",
        ),
    ];
    for (secrets, message) in cases {
        match faulty().0.keyed_checksum(secrets).build() {
            Err(BuildError::Format(error)) => assert_eq!(error.to_string(), message),
            other => panic!("{other:?}"),
        }
    }
}
