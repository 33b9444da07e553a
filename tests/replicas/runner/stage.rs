//! Where one run plays: what everybody does goes through here, and is written down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::canary;
use crate::runner::chance::Chance;
use crate::runner::client::{Client, Reply, admin, get};
use crate::runner::history::{
    Answer, By, Change, History, KeyNumber, Kind, Moment, Outcome, Pulse, Request, Route,
    SecretNumber, Trouble, What,
};
use crate::runner::world::World;

/// The one scope of the run.
const SCOPE: &str = "reports:read";

pub(crate) struct Stage {
    pub(crate) world: Arc<World>,
    history: Mutex<History>,
    cast: Mutex<Cast>,
}

/// Everything that was ever given out.
#[derive(Default)]
struct Cast {
    ids: Vec<String>,
    secrets: Vec<(KeyNumber, Arc<str>)>,
    /// By their digests, in hex.
    digests: HashMap<String, SecretNumber>,
}

/// A key and what opens it now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) number: KeyNumber,
    pub(crate) secret: SecretNumber,
}

impl Stage {
    pub(crate) fn on(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            history: Mutex::new(History {
                max_staleness: world.scale.max_staleness,
                ..History::default()
            }),
            cast: Mutex::default(),
        })
    }

    pub(crate) fn now(&self) -> Moment {
        self.world.watch.now()
    }

    pub(crate) fn since(&self, moment: Moment) -> Duration {
        self.now().saturating_sub(moment)
    }

    /// Everything that was written down; what comes later is lost.
    pub(crate) fn take_history(&self) -> History {
        std::mem::take(&mut self.history())
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap()
    }

    fn cast(&self) -> MutexGuard<'_, Cast> {
        self.cast.lock().unwrap()
    }

    pub(crate) fn trouble(&self, replica: usize, kind: Kind, from: Moment, until: Moment) {
        self.history().troubles.push(Trouble {
            replica,
            kind,
            from,
            until,
        });
    }

    /// One of the newest secrets, or of all.
    pub(crate) fn any_secret(&self, chance: &mut Chance) -> Option<SecretNumber> {
        let number = self.cast().secrets.len();
        if number == 0 {
            return None;
        }
        let back = if chance.one_in(2) {
            number
        } else {
            number.min(32)
        };
        Some(SecretNumber(number - 1 - chance.below(back)))
    }

    pub(crate) fn any_replica(&self, chance: &mut Chance) -> usize {
        chance.below(self.world.sites.len())
    }

    /// Every key that was given out, and its id.
    pub(crate) fn keys(&self) -> Vec<(KeyNumber, String)> {
        let cast = self.cast();
        let known = cast.ids.iter().enumerate().filter(|(_, id)| !id.is_empty());
        known.map(|(n, id)| (KeyNumber(n), id.clone())).collect()
    }

    /// By its digest, in hex.
    pub(crate) fn secret_by_digest(&self, digest: &str) -> Option<SecretNumber> {
        self.cast().digests.get(digest).copied()
    }

    /// How many changes were tried so far.
    pub(crate) fn changes(&self) -> usize {
        self.history().changes.len()
    }

    pub(crate) fn id(&self, key: KeyNumber) -> String {
        self.cast().ids[key.0].clone()
    }

    fn text(&self, secret: SecretNumber) -> (KeyNumber, Arc<str>) {
        self.cast().secrets[secret.0].clone()
    }

    fn add_secret(&self, key: KeyNumber, text: &str) -> SecretNumber {
        canary::know(text);
        let mut cast = self.cast();
        let number = SecretNumber(cast.secrets.len());
        cast.secrets.push((key, text.into()));
        let digest = hex(&Sha256::digest(text.as_bytes()));
        cast.digests.insert(digest, number);
        number
    }

    /// A key with an id that was told, or that is given.
    pub(crate) fn add_key(&self, id: &str, secret: &str) -> Key {
        let number = self.add_key_number(id);
        let secret = self.add_secret(number, secret);
        Key { number, secret }
    }

    fn add_key_number(&self, id: &str) -> KeyNumber {
        let mut cast = self.cast();
        cast.ids.push(id.to_owned());
        KeyNumber(cast.ids.len() - 1)
    }

    /// A request with a key.
    pub(crate) async fn ask(
        &self,
        client: &mut Client,
        replica: usize,
        secret: SecretNumber,
        route: Route,
    ) -> Answer {
        let (key, text) = self.text(secret);
        let path = match route {
            Route::Ping => "/v1/ping",
            Route::Reports => "/v1/reports",
        };
        let request = get(path, &text);
        let address = self.world.sites[replica].address();
        let sent = self.now();
        let reply = client.send(address, &request).await;
        let answered = self.now();
        let answer = Reply::answer(reply.as_ref());
        self.history().requests.push(Request {
            replica,
            key,
            secret,
            route,
            sent,
            answered,
            answer: answer.clone(),
        });
        answer
    }

    /// A look at `/health`.
    pub(crate) async fn pulse(&self, client: &mut Client, replica: usize) {
        let address = self.world.sites[replica].address();
        let sent = self.now();
        let reply = client.send(address, &get("/health", "none")).await;
        let answered = self.now();
        self.history().pulses.push(Pulse {
            replica,
            sent,
            answered,
            up: reply.is_some_and(|reply| reply.status == 200),
        });
    }

    /// One attempt to make a key.
    pub(crate) async fn create(&self, client: &mut Client, replica: usize) -> Option<Key> {
        let body = json!({"name": "a key of the run", "scopes": [SCOPE]});
        let begun = self.now();
        let reply = self.call(client, replica, "POST", "/keys", &body).await;
        let ended = self.now();
        let created = reply.as_ref().filter(|reply| reply.status == 201);
        let Some(created) = created.map(Reply::json) else {
            // Nobody will ever know this key. What came back is judged all the same.
            let number = self.add_key_number("");
            let outcome = outcome(reply.as_ref(), 201);
            let what = What::Create(None);
            self.note(number, By::Replica(replica), what, begun, ended, outcome);
            return None;
        };
        let id = created["key"]["id"].as_str().expect("an id");
        let secret = created["secret"].as_str().expect("a secret");
        let key = self.add_key(id, secret);
        let what = What::Create(Some(key.secret));
        let outcome = Outcome::Acknowledged;
        self.note(
            key.number,
            By::Replica(replica),
            what,
            begun,
            ended,
            outcome,
        );
        Some(key)
    }

    /// One attempt to change a key by the admin API; what opens it afterwards if it was rotated.
    pub(crate) async fn change(
        &self,
        client: &mut Client,
        replica: usize,
        key: Key,
        what: What,
    ) -> (Outcome, Option<Key>) {
        let id = self.id(key.number);
        let path = format!("/keys/{id}");
        let (method, path, body) = match what {
            What::Create(_) => unreachable!("keys are made otherwise"),
            What::Revoke => ("DELETE", path, Value::Null),
            What::Rotate(_) => ("POST", format!("{path}/rotate"), json!({})),
            What::Enable(enabled) => ("PATCH", path, json!({"enabled": enabled})),
            What::Scope(true) => ("PATCH", path, json!({"scopes": [SCOPE]})),
            What::Scope(false) => ("PATCH", path, json!({"scopes": []})),
        };
        let begun = self.now();
        let reply = self.call(client, replica, method, &path, &body).await;
        let ended = self.now();
        let outcome = outcome(reply.as_ref(), 200);
        let (what, after) = match (what, &outcome) {
            (What::Rotate(_), Outcome::Acknowledged) => {
                let rotated = reply.as_ref().map(Reply::json).unwrap_or_default();
                let text = rotated["secret"].as_str().expect("a secret");
                let secret = self.add_secret(key.number, text);
                (What::Rotate(Some(secret)), Some(Key { secret, ..key }))
            }
            (what, _) => (what, None),
        };
        self.note(
            key.number,
            By::Replica(replica),
            what,
            begun,
            ended,
            outcome.clone(),
        );
        (outcome, after)
    }

    /// One attempt to change something with `psql`.
    pub(crate) async fn by_hand(&self, key: KeyNumber, what: What, sql: &str) -> Outcome {
        let begun = self.now();
        let result = self.world.hand.sql(sql).await;
        let ended = self.now();
        let outcome = match result {
            Ok(_) => Outcome::Acknowledged,
            Err(_) => Outcome::InDoubt,
        };
        self.note(key, By::Hand, what, begun, ended, outcome.clone());
        outcome
    }

    /// What the admin API tells of a key.
    pub(crate) async fn shown(&self, client: &mut Client, replica: usize, id: &str) -> Value {
        let path = format!("/keys/{id}");
        let reply = self.call(client, replica, "GET", &path, &Value::Null).await;
        reply.map(|reply| reply.json()).unwrap_or_default()
    }

    pub(crate) fn note(
        &self,
        key: KeyNumber,
        by: By,
        what: What,
        begun: Moment,
        ended: Moment,
        outcome: Outcome,
    ) {
        self.history().changes.push(Change {
            key,
            by,
            what,
            begun,
            ended,
            outcome,
        });
    }

    async fn call(
        &self,
        client: &mut Client,
        replica: usize,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Option<Reply> {
        let address = self.world.sites[replica].address();
        client.send(address, &admin(method, path, body)).await
    }
}

fn outcome(reply: Option<&Reply>, done: u16) -> Outcome {
    match reply {
        Some(reply) if reply.status == done => Outcome::Acknowledged,
        Some(reply) if reply.status == 503 && reply.retry_after => Outcome::InDoubt,
        None => Outcome::InDoubt,
        Some(reply) => {
            let body = reply.json();
            Outcome::Odd(format!("{} {}", reply.status, body["code"]))
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
