//! A replica that is stopped while keys are revoked elsewhere, with requests in its sockets.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::runner::chance::Chance;
use crate::runner::client::Client;
use crate::runner::history::{Kind, Route, What};
use crate::runner::lives::Author;
use crate::runner::load::{ask_all, follow};
use crate::runner::stage::Stage;

/// How many keys are revoked meanwhile.
const VICTIMS: usize = 20;

const STOPPED: usize = 0;

pub(crate) async fn while_stopped(stage: &Arc<Stage>, chance: &mut Chance, lasting: Duration) {
    let mut author = Author::of(stage, chance);
    let mut victims = Vec::new();
    for _ in 0..VICTIMS {
        let key = author.create().await;
        ask_all(stage, chance, key.secret).await;
        victims.push(key);
    }
    let site = &stage.world.sites[STOPPED];
    let before = stage.now();
    site.stop().await;
    let from = stage.now();

    let mut waiting = JoinSet::new();
    for key in &victims {
        let (stage, secret) = (Arc::clone(stage), key.secret);
        waiting.spawn(async move {
            let mut client = Client::default();
            stage.ask(&mut client, STOPPED, secret, Route::Ping).await
        });
    }
    for (n, key) in victims.iter().enumerate() {
        let elsewhere = 1 + n % (stage.world.sites.len() - 1);
        let mut client = Client::default();
        stage
            .change(&mut client, elsewhere, *key, What::Revoke)
            .await;
    }
    while stage.since(from) < lasting {
        sleep(Duration::from_millis(20)).await;
    }
    let until = stage.now();
    site.go_on().await;
    stage.trouble(STOPPED, Kind::Stopped, from, until);
    // What it was doing when it was stopped may have run into its deadlines.
    stage.trouble(STOPPED, Kind::Cut, before, until);
    // And whatever it had locked stayed so until Postgres ended its transaction.
    for replica in 0..stage.world.sites.len() {
        stage.trouble(replica, Kind::Hindered, before, until);
    }
    waiting.join_all().await;
    for key in &victims {
        follow(stage, key.secret).await;
    }
}
