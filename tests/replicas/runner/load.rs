//! Requests on every replica all the time, and a look at its health.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::runner::chance::Chance;
use crate::runner::client::Client;
use crate::runner::history::{Answer, Route, SecretNumber};
use crate::runner::stage::Stage;

/// How many ask each replica at the same time.
const CROWD: usize = 2;

/// How long each of them waits after an answer.
const PAUSE: Duration = Duration::from_millis(8);

/// Until told to stop.
pub(crate) fn drive(
    stage: &Arc<Stage>,
    chance: &mut Chance,
    stop: &watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for replica in 0..stage.world.sites.len() {
        for _ in 0..CROWD {
            let (stage, stop, mut chance) = (Arc::clone(stage), stop.clone(), chance.fork());
            tasks.spawn(async move {
                let mut client = Client::default();
                while !*stop.borrow() {
                    if let Some(secret) = stage.any_secret(&mut chance) {
                        let route = any_route(&mut chance);
                        stage.ask(&mut client, replica, secret, route).await;
                    }
                    sleep(PAUSE).await;
                }
            });
        }
        let (stage, stop) = (Arc::clone(stage), stop.clone());
        tasks.spawn(async move {
            let mut client = Client::default();
            while !*stop.borrow() {
                stage.pulse(&mut client, replica).await;
                sleep(4 * PAUSE).await;
            }
        });
    }
    tasks
}

pub(crate) fn any_route(chance: &mut Chance) -> Route {
    if chance.one_in(3) {
        Route::Reports
    } else {
        Route::Ping
    }
}

/// Asks every replica again and again for a secret that is dead, until each has refused it, but
/// not for ever.
pub(crate) async fn follow(stage: &Arc<Stage>, secret: SecretNumber) {
    let patience = 3 * stage.world.scale.max_staleness;
    let give_up = stage.now() + patience;
    let mut tasks = JoinSet::new();
    for replica in 0..stage.world.sites.len() {
        let stage = Arc::clone(stage);
        tasks.spawn(async move {
            let mut client = Client::default();
            while stage.now() < give_up {
                match stage.ask(&mut client, replica, secret, Route::Ping).await {
                    Answer::Refused => break,
                    Answer::Accepted => sleep(PAUSE / 2).await,
                    // Nothing is learnt by asking often.
                    _ => sleep(4 * PAUSE).await,
                }
            }
        });
    }
    tasks.join_all().await;
}

/// Asks every replica once, all at the same time.
pub(crate) async fn ask_all(stage: &Arc<Stage>, chance: &mut Chance, secret: SecretNumber) {
    let mut tasks = JoinSet::new();
    for replica in 0..stage.world.sites.len() {
        let (stage, route) = (Arc::clone(stage), any_route(chance));
        tasks.spawn(async move {
            let mut client = Client::default();
            stage.ask(&mut client, replica, secret, route).await;
        });
    }
    tasks.join_all().await;
}
