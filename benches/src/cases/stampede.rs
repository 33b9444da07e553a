//! A crowd that asks for one key which is not remembered.

use std::time::{Duration, Instant};

use http::StatusCode;
use portcullis::testing::FaultStore;

use super::{Group, Kind};
use crate::by_rule::ByRule;
use crate::world::{World, bare, header};
use crate::{call, keys};

pub(super) const GROUP: Group = Group {
    name: "stampede",
    about: "1,000 callers at once with one key that is not remembered, a store that takes 5 ms",
    kind: Kind::Own(measure),
};

const CALLERS: usize = 1_000;
const STORE: Duration = Duration::from_millis(5);

fn measure(world: &mut World) {
    let (mut look_ups, mut good, mut millis) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..world.many(21, 2) {
        let store = ByRule::every_key();
        let slow = FaultStore::new(store.clone());
        let faults = slow.faults();
        let keyring = world.keyring(slow, |builder| builder);
        faults.look_ups.delay(STORE);
        let credential = header(&keys::nth(round));
        let (answers, spent) = world.block_on(async {
            let begin = Instant::now();
            let callers: Vec<_> = (0..CALLERS)
                .map(|_| {
                    let (mut service, credential) = (bare(&keyring), credential.clone());
                    tokio::spawn(async move { call::wait(&mut service, Some(&credential)).await })
                })
                .collect();
            let mut answers = Vec::with_capacity(CALLERS);
            for caller in callers {
                answers.push(caller.await.unwrap());
            }
            (answers, begin.elapsed())
        });
        look_ups.push(store.calls().0 as f64);
        good.push(
            answers
                .iter()
                .filter(|&&status| status == StatusCode::OK)
                .count() as f64,
        );
        millis.push(spent.as_secs_f64() * 1e3);
    }
    // The worst of the rounds: a promise holds in all of them.
    let most = look_ups.iter().copied().fold(0.0, f64::max);
    let fewest = good.iter().copied().fold(f64::INFINITY, f64::min);
    let recorder = &mut world.recorder;
    recorder.note(GROUP.name, "portcullis", "look-ups, most", most);
    recorder.note(GROUP.name, "portcullis", "answered 200, fewest", fewest);
    recorder.rounds(GROUP.name, "portcullis", "ms to the last answer", millis);
}
