//! Keys that somebody makes up, all of them different, next to keys that are in use.

use std::collections::HashSet;
use std::time::Instant;

use http::{HeaderValue, StatusCode};
use portcullis::Keyring;
use portcullis::key::KeyDigest;
use portcullis::keyring::Builder;

use super::{Group, Kind};
use crate::by_rule::ByRule;
use crate::world::{World, bare, credentials, header};
use crate::{call, keys};

pub(super) const GROUP: Group = Group {
    name: "flood",
    about: "10,000 keys in use, and for each request with one of them 1, 10 or 100 with made-up keys",
    kind: Kind::Own(measure),
};

const HOT: u64 = 10_000;
/// Made-up keys are numbered from here on.
const JUNK: u64 = 1 << 40;

/// How many look-ups may find nothing, by default: at once, and a second.
const BURST: f64 = 1_000.0;
const RATE: f64 = 200.0;

/// How the made-up keys are made up.
struct Forgery {
    name: &'static str,
    keyed: bool,
    junk: fn(u64) -> String,
}

const FORGERIES: [Forgery; 3] = [
    Forgery {
        name: "wrong checksum",
        keyed: false,
        junk: keys::mistyped,
    },
    Forgery {
        name: "right checksum",
        keyed: false,
        junk: keys::nth,
    },
    Forgery {
        name: "keyed checksum, forged",
        keyed: true,
        junk: keys::forged,
    },
];

fn measure(world: &mut World) {
    for kind in &FORGERIES {
        for junk_each in [1, 10, 100] {
            let hot = world.many(HOT, 200);
            // About as much junk in all cases, and each hot key at least once.
            let requests = hot * world.many((100 / junk_each).min(10), 1);
            flood(world, kind, junk_each, hot, requests);
        }
    }
}

fn flood(world: &mut World, kind: &Forgery, junk_each: u64, hot: u64, requests: u64) {
    let options = |builder: Builder| {
        if kind.keyed {
            builder.keyed_checksum([keys::checksum_secret()])
        } else {
            builder
        }
    };
    let (keyring, store, hot) = in_use(world, hot, options, kind.keyed);
    let mut service = bare(&keyring);
    let junk = kind.junk;
    let (found_before, unknown_before) = store.calls();
    let start = Instant::now();
    let served = tokio_spawn(world, async move {
        let (mut good, mut shed, mut next, mut junk_nanos) = (0_u64, 0_u64, JUNK, 0_u128);
        for request in 0..requests {
            // Made before, as a client would: what is timed is refusing them.
            let made_up: Vec<HeaderValue> =
                (next..next + junk_each).map(|n| header(&junk(n))).collect();
            next += junk_each;
            let begin = Instant::now();
            for credential in &made_up {
                let status = call::wait(&mut service, Some(credential)).await;
                assert_ne!(status, StatusCode::OK, "a made-up key opens something");
                shed += u64::from(status == StatusCode::SERVICE_UNAVAILABLE);
            }
            junk_nanos += begin.elapsed().as_nanos();
            let at = keys::scatter(request) % hot.len() as u64;
            let status = call::wait(&mut service, Some(&hot[at as usize])).await;
            good += u64::from(status == StatusCode::OK);
            // A hit never waits, and the sync needs this thread now and then.
            tokio::task::yield_now().await;
        }
        (
            good,
            shed,
            junk_nanos as f64 / (requests * junk_each) as f64,
        )
    });
    let (good, shed, junk_nanos) = served;
    let (found, unknown) = store.calls();
    let capped = BURST + RATE * start.elapsed().as_secs_f64();
    let case = format!("{}, {junk_each} to 1", kind.name);
    let (junk, requests) = ((requests * junk_each) as f64, requests as f64);
    let looked_up = (found - found_before) as f64;
    let recorder = &mut world.recorder;
    let mut note = |figure: &str, value| recorder.note(GROUP.name, &case, figure, value);
    note("% of good keys let in", 100.0 * good as f64 / requests);
    note("% of them remembered", 100.0 * (1.0 - looked_up / requests));
    note("made-up keys", junk);
    note("look-ups for them", (unknown - unknown_before) as f64);
    note(
        "over the cap",
        ((unknown - unknown_before) as f64 - capped).max(0.0),
    );
    note("% of them shed", 100.0 * shed as f64 / junk);
    note("ns for each", junk_nanos);
}

/// A keyring that remembers keys in use, on a store that has no others.
fn in_use(
    world: &World,
    hot: u64,
    options: impl Fn(Builder) -> Builder,
    keyed: bool,
) -> (Keyring, ByRule, Vec<HeaderValue>) {
    let made: Vec<String> = if keyed {
        let maker = world.keyring(ByRule::no_key(), &options);
        (0..hot).map(|_| keys::keyed(maker.format())).collect()
    } else {
        (0..hot).map(keys::nth).collect()
    };
    let known: HashSet<KeyDigest> = made.iter().map(|key| keys::digest(key)).collect();
    let store = ByRule::new(move |digest| known.contains(digest));
    let keyring = world.keyring(store.clone(), options);
    let hot: Vec<HeaderValue> = made.iter().map(|key| header(key)).collect();
    debug_assert!(keyed || hot.first() == credentials(1).first());
    world.warm(&keyring, &hot);
    (keyring, store, hot)
}

/// Runs on the runtime's own thread, where the look-ups run too.
fn tokio_spawn<T: Send + 'static>(
    world: &World,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    world.block_on(async { tokio::spawn(work).await.unwrap() })
}
