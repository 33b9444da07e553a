//! A crowd that asks for one key which is not remembered.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use http::header::AUTHORIZATION;
use moka::future::Cache;
use portcullis::keyring::Builder;
use portcullis::testing::FaultStore;
use tokio::sync::{Semaphore, watch};
use tower::Service;

use super::{Group, Kind};
use crate::by_rule::ByRule;
use crate::figures::number;
use crate::world::{World, bare, header};
use crate::{call, keys};

pub(super) const GROUP: Group = Group {
    name: "stampede",
    about: "up to 10,000 callers at once with one key that is not remembered, a store that takes 5 ms",
    kind: Kind::Own(measure),
};

/// How long the store takes once all have come.
const STORE: Duration = Duration::from_millis(5);
/// More than the default lets wait.
const MANY: usize = 10_000;

fn measure(world: &mut World) {
    for callers in [10, 100, 1_000, MANY] {
        let (mut rows, rounds) = ([const { Vec::new() }; 3], world.many(21, 2));
        for round in 0..rounds {
            let crowds = [
                ours(world, callers, round, |builder| builder),
                by_hand(world, callers, round, unshared),
                by_hand(world, callers, round, shared),
            ];
            for (row, crowd) in rows.iter_mut().zip(crowds) {
                row.push(crowd);
            }
        }
        let case = format!("{} callers", number(callers as f64, ""));
        for (whose, row) in ["", ", by hand", ", by hand, shared"].iter().zip(&rows) {
            note(world, &case, whose, row);
        }
    }
    // Three quarters of those who may wait have keys that were not good before.
    let room = |builder: Builder| builder.lookups(64, 2 * MANY);
    let rounds = 0..world.many(21, 2);
    let crowds: Vec<Crowd> = rounds.map(|round| ours(world, MANY, round, room)).collect();
    let case = format!("{} callers, room for all", number(MANY as f64, ""));
    note(world, &case, "", &crowds);
}

/// Of a crowd: the look-ups, who was let in, and the time until the last was answered.
type Crowd = (u64, u64, Duration);

fn ours(world: &World, callers: usize, key: u64, options: fn(Builder) -> Builder) -> Crowd {
    let store = ByRule::every_key();
    let slow = FaultStore::new(store.clone());
    let faults = slow.faults();
    let keyring = world.keyring(slow, options);
    faults.look_ups.freeze_next(callers);
    let (good, spent) = rush(world, callers, key, &bare(&keyring), || {
        faults.look_ups.release();
    });
    (store.calls().0, good, spent)
}

fn by_hand<S>(world: &World, callers: usize, key: u64, check: impl Fn(Slow) -> S) -> Crowd
where
    S: Service<Request, Response: StatusOf, Error = Infallible, Future: Send>,
    S: Clone + Send + 'static,
{
    let (open, gate) = watch::channel(false);
    let slow = Slow {
        look_ups: Arc::default(),
        gate,
    };
    let service = check(slow.clone());
    let (good, spent) = rush(world, callers, key, &service, || {
        open.send_replace(true);
    });
    (slow.look_ups.load(Ordering::Relaxed), good, spent)
}

/// Who was let in, and the time until the last was answered. The store answers when all have come:
/// however long that takes, they are there at once.
fn rush<S>(
    world: &World,
    callers: usize,
    key: u64,
    service: &S,
    answer: impl FnOnce(),
) -> (u64, Duration)
where
    S: Service<Request, Response: StatusOf, Error = Infallible, Future: Send>,
    S: Clone + Send + 'static,
{
    let credential = header(&keys::nth(key));
    world.block_on(async {
        let come = Arc::new(Semaphore::new(0));
        let begin = Instant::now();
        let crowd: Vec<_> = (0..callers)
            .map(|_| {
                let (mut service, come) = (service.clone(), Arc::clone(&come));
                let request = call::request(Some(&credential));
                tokio::spawn(async move {
                    let Ok(()) = std::future::poll_fn(|context| service.poll_ready(context)).await;
                    let mut answer = pin!(async {
                        let Ok(answer) = service.call(request).await;
                        answer.status_of()
                    });
                    // After one poll it waits, or has been turned away.
                    let first =
                        std::future::poll_fn(|context| Poll::Ready(answer.as_mut().poll(context)))
                            .await;
                    come.add_permits(1);
                    match first {
                        Poll::Ready(status) => status,
                        Poll::Pending => answer.await,
                    }
                })
            })
            .collect();
        let all = come.acquire_many(callers as u32).await;
        all.expect("nobody closes it").forget();
        tokio::time::sleep(STORE).await;
        answer();
        let mut good = 0;
        for caller in crowd {
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

/// A store that answers when it may.
#[derive(Clone)]
struct Slow {
    look_ups: Arc<AtomicU64>,
    gate: watch::Receiver<bool>,
}

impl Slow {
    async fn look_up(&self) {
        self.look_ups.fetch_add(1, Ordering::Relaxed);
        let mut gate = self.gate.clone();
        let open = gate.wait_for(|open| *open).await;
        open.expect("it is opened before it is dropped");
    }
}

/// The shape of most checks written by hand: a look into the cache, else a question to the store,
/// and the answer into the cache. Who comes before the answer is there asks as well.
fn unshared(
    store: Slow,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send {
    let cache: Cache<Vec<u8>, ()> = Cache::new(1_000);
    tower::service_fn(move |request: Request| {
        let (cache, store) = (cache.clone(), store.clone());
        async move {
            let key = request.headers()[AUTHORIZATION].as_bytes().to_vec();
            if cache.get(&key).await.is_none() {
                store.look_up().await;
                cache.insert(key, ()).await;
            }
            Ok(Response::new(Body::empty()))
        }
    })
}

/// The better shape: moka asks once for all who want the same.
fn shared(
    store: Slow,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send {
    let cache: Cache<Vec<u8>, ()> = Cache::new(1_000);
    tower::service_fn(move |request: Request| {
        let (cache, store) = (cache.clone(), store.clone());
        async move {
            let key = request.headers()[AUTHORIZATION].as_bytes().to_vec();
            let found = async {
                store.look_up().await;
                Ok::<(), Infallible>(())
            };
            cache.try_get_with(key, found).await.unwrap();
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
