//! The lives of keys: made, changed and revoked, through any replica or by hand.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::runner::chance::Chance;
use crate::runner::client::Client;
use crate::runner::history::{Outcome, What};
use crate::runner::key::{any_body, well_formed};
use crate::runner::load::{ask_all, follow};
use crate::runner::stage::{Key, Stage, hex};

/// Until told to stop; then each ends what it has begun.
pub(crate) fn drive(
    stage: &Arc<Stage>,
    chance: &mut Chance,
    stop: &watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..stage.world.scale.authors {
        let mut author = Author {
            stage: Arc::clone(stage),
            chance: chance.fork(),
            client: Client::default(),
        };
        let stop = stop.clone();
        tasks.spawn(async move {
            while !*stop.borrow() {
                author.one_life(&stop).await;
            }
        });
    }
    tasks
}

/// Someone who makes changes, one after the other.
pub(crate) struct Author {
    pub(crate) stage: Arc<Stage>,
    pub(crate) chance: Chance,
    pub(crate) client: Client,
}

impl Author {
    pub(crate) fn of(stage: &Arc<Stage>, chance: &mut Chance) -> Self {
        Self {
            stage: Arc::clone(stage),
            chance: chance.fork(),
            client: Client::default(),
        }
    }

    async fn one_life(&mut self, stop: &watch::Receiver<bool>) {
        let key = if self.chance.one_in(4) {
            self.insert().await
        } else {
            Some(self.create().await)
        };
        let Some(mut key) = key else { return };
        ask_all(&self.stage, &mut self.chance, key.secret).await;
        let (mut enabled, mut scoped) = (true, true);
        for _ in 0..=self.chance.below(6) {
            self.pause().await;
            if *stop.borrow() {
                return;
            }
            let what = match self.chance.below(3) {
                0 => What::Rotate(None),
                1 => What::Scope(!scoped),
                _ => What::Enable(!enabled),
            };
            let before = key;
            key = self.change(key, what).await;
            match what {
                What::Rotate(_) => self.follow(before).await,
                What::Scope(now) => scoped = now,
                What::Enable(now) => enabled = now,
                What::Create(_) | What::Revoke => {}
            }
            ask_all(&self.stage, &mut self.chance, key.secret).await;
        }
        if !self.chance.one_in(4) {
            self.change(key, What::Revoke).await;
            self.follow(key).await;
        }
    }

    async fn pause(&mut self) {
        sleep(Duration::from_millis(10 + self.chance.next() % 150)).await;
    }

    async fn follow(&mut self, key: Key) {
        follow(&self.stage, key.secret).await;
    }

    /// Makes a key, through one replica after another until it is acknowledged.
    pub(crate) async fn create(&mut self) -> Key {
        loop {
            let replica = self.stage.any_replica(&mut self.chance);
            if let Some(key) = self.stage.create(&mut self.client, replica).await {
                return key;
            }
            self.pause().await;
        }
    }

    /// Makes a change, through one replica after another, or by hand, until it is acknowledged.
    pub(crate) async fn change(&mut self, key: Key, what: What) -> Key {
        loop {
            let typed = sql(&self.stage.id(key.number), what);
            let typed = typed.filter(|_| self.chance.one_in(4));
            let (outcome, after) = if let Some(sql) = typed {
                let outcome = self.stage.by_hand(key.number, what, &sql).await;
                (outcome, None)
            } else {
                let replica = self.stage.any_replica(&mut self.chance);
                let change = self.stage.change(&mut self.client, replica, key, what);
                change.await
            };
            match outcome {
                Outcome::Acknowledged => return after.unwrap_or(key),
                // The judge says what to think of it.
                Outcome::Odd(_) => return key,
                Outcome::InDoubt => self.pause().await,
            }
        }
    }

    /// Inserts a key by hand that is asked about before. `None` if that failed.
    pub(crate) async fn insert(&mut self) -> Option<Key> {
        let body = any_body(&mut self.chance);
        let text = well_formed(&body);
        // Nothing of this secret, nor of one that chance makes elsewhere: an id is shown and logged.
        let id = hex(&Sha256::digest(format!("the id of {text}")));
        let id = format!("key_{}", &id[..20]);
        let key = self.stage.add_key(&id, &text);
        ask_all(&self.stage, &mut self.chance, key.secret).await;
        let digest = hex(&Sha256::digest(text.as_bytes()));
        let hint = &text[..14];
        // As one would type it.
        let sql = format!(
            "BEGIN;
             INSERT INTO portcullis.keys (id, name, owner, environment, hint, scopes)
                 VALUES ('{id}', 'made by hand', 'hand', 'live', '{hint}', 'reports:read');
             INSERT INTO portcullis.secrets (digest, key_id) VALUES ('\\x{digest}', '{id}');
             COMMIT"
        );
        let what = What::Create(Some(key.secret));
        let outcome = self.stage.by_hand(key.number, what, &sql).await;
        (outcome == Outcome::Acknowledged).then_some(key)
    }
}

/// The change as one would type it; nothing where nobody would.
fn sql(id: &str, what: What) -> Option<String> {
    let set = match what {
        What::Create(_) | What::Rotate(_) => return None,
        What::Revoke => "revoked_at = coalesce(revoked_at, now())".to_owned(),
        What::Enable(enabled) => format!("enabled = {enabled}"),
        What::Scope(true) => "scopes = 'reports:read'".to_owned(),
        What::Scope(false) => "scopes = ''".to_owned(),
    };
    Some(format!(
        "UPDATE portcullis.keys SET {set} WHERE id = '{id}'"
    ))
}
