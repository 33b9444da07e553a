//! A crowd that asks for one key which is not remembered.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use http::header::AUTHORIZATION;
use moka::sync::Cache;
use portcullis::testing::FaultStore;
use tower::Service;

use super::{Group, Kind};
use crate::by_rule::ByRule;
use crate::record::number;
use crate::world::{World, bare, header};
use crate::{call, keys};

pub(super) const GROUP: Group = Group {
    name: "stampede",
    about: "up to 10,000 callers at once with one key that is not remembered, a store that takes 5 ms",
    kind: Kind::Own(measure),
};

const STORE: Duration = Duration::from_millis(5);

fn measure(world: &mut World) {
    for callers in [10, 100, 1_000, 10_000] {
        let (mut ours, mut by_hand) = (Vec::new(), Vec::new());
        for round in 0..world.many(21, 2) {
            let store = ByRule::every_key();
            let slow = FaultStore::new(store.clone());
            let faults = slow.faults();
            let keyring = world.keyring(slow, |builder| builder);
            faults.look_ups.delay(STORE);
            let (good, spent) = rush(world, callers, round, || bare(&keyring));
            ours.push((store.calls().0, good, spent));

            let look_ups = Arc::new(AtomicU64::new(0));
            let service = unshared(Arc::clone(&look_ups));
            let (good, spent) = rush(world, callers, round, || service.clone());
            by_hand.push((look_ups.load(Ordering::Relaxed), good, spent));
        }
        let case = format!("{} callers", number(callers as f64, ""));
        note(world, &case, "", &ours);
        note(world, &case, ", by hand", &by_hand);
    }
}

/// Of a crowd: the look-ups, who was let in, and the time until the last was answered.
type Crowd = (u64, u64, Duration);

/// Who was let in, and the time until the last was answered.
fn rush<S>(world: &World, callers: usize, key: u64, service: impl Fn() -> S) -> (u64, Duration)
where
    S: Service<Request, Response: StatusOf, Error = Infallible, Future: Send> + Send + 'static,
{
    let credential = header(&keys::nth(key));
    world.block_on(async {
        let begin = Instant::now();
        let callers: Vec<_> = (0..callers)
            .map(|_| {
                let (mut service, request) = (service(), call::request(Some(&credential)));
                tokio::spawn(async move {
                    let Ok(()) = std::future::poll_fn(|context| service.poll_ready(context)).await;
                    let Ok(answer) = service.call(request).await;
                    answer.status_of()
                })
            })
            .collect();
        let mut good = 0;
        for caller in callers {
            good += u64::from(caller.await.unwrap() == StatusCode::OK);
        }
        (good, begin.elapsed())
    })
}

/// An answer, whatever its body.
trait StatusOf {
    fn status_of(&self) -> StatusCode;
}

impl<B> StatusOf for http::Response<B> {
    fn status_of(&self) -> StatusCode {
        self.status()
    }
}

/// The shape of most checks written by hand: a look into the cache, else a question to the store,
/// and the answer into the cache. Who comes before the answer is there asks as well.
fn unshared(
    look_ups: Arc<AtomicU64>,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
    let cache: Cache<Vec<u8>, ()> = Cache::new(1_000);
    tower::service_fn(move |request: Request| {
        let (cache, look_ups) = (cache.clone(), Arc::clone(&look_ups));
        async move {
            let key = request.headers()[AUTHORIZATION].as_bytes().to_vec();
            if cache.get(&key).is_none() {
                look_ups.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(STORE).await;
                cache.insert(key, ());
            }
            Ok(Response::new(Body::empty()))
        }
    })
}

fn note(world: &mut World, case: &str, whose: &str, crowds: &[Crowd]) {
    // The worst of the rounds: a promise holds in all of them.
    let most = crowds.iter().map(|crowd| crowd.0).max();
    let fewest = crowds.iter().map(|crowd| crowd.1).min();
    let millis = crowds.iter().map(|crowd| crowd.2.as_secs_f64() * 1e3);
    let recorder = &mut world.recorder;
    let mut count = |figure: &str, value: Option<u64>| {
        let figure = format!("{figure}{whose}");
        recorder.note(GROUP.name, case, &figure, value.unwrap_or_default() as f64);
    };
    count("look-ups, most", most);
    count("answered 200, fewest", fewest);
    let figure = format!("ms to the last answer{whose}");
    recorder.rounds(GROUP.name, case, &figure, millis.collect());
}
