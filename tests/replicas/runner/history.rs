//! What was asked, what was changed and what was broken, all on one clock.

use std::time::Duration;

use tokio::time::Instant;

/// A moment, as the time since the run began.
pub(crate) type Moment = Duration;

/// The one clock of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch(Instant);

impl Watch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Moment {
        self.0.elapsed()
    }
}

/// A key of the run, and one of the secrets that opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KeyNumber(pub(crate) usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SecretNumber(pub(crate) usize);

/// What a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Any living key.
    Ping,
    /// A living key with the one scope that the run knows.
    Reports,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 200
    Accepted,
    /// 401 `invalid_token`
    Refused,
    /// 403 `insufficient_scope`
    OutOfScope,
    /// 503 with `Retry-After`
    Unavailable,
    /// The connection failed, or nothing came for very long.
    Lost,
    /// Anything else.
    Odd(String),
}

/// A request with a key.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) replica: usize,
    pub(crate) key: KeyNumber,
    pub(crate) secret: SecretNumber,
    pub(crate) route: Route,
    /// Before the first byte was sent.
    pub(crate) sent: Moment,
    /// After the last byte had arrived.
    pub(crate) answered: Moment,
    pub(crate) answer: Answer,
}

impl Request {
    pub(crate) fn took(&self) -> Duration {
        self.answered.saturating_sub(self.sent)
    }
}

/// Who made a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The admin API of this replica.
    Replica(usize),
    /// Someone with `psql`.
    Hand,
}

/// What is changed of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Its secret, if it was told.
    Create(Option<SecretNumber>),
    /// Its new secret, if it was told.
    Rotate(Option<SecretNumber>),
    Enable(bool),
    Scope(bool),
    Revoke,
}

/// An attempt to change a key. Those of one key come one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) key: KeyNumber,
    pub(crate) by: By,
    pub(crate) what: What,
    pub(crate) begun: Moment,
    pub(crate) ended: Moment,
    pub(crate) outcome: Outcome,
}

impl Change {
    pub(crate) fn took(&self) -> Duration {
        self.ended.saturating_sub(self.begun)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Acknowledged,
    /// 503, or no answer: it may have happened, or happen still.
    InDoubt,
    /// Anything else, which should not be.
    Odd(String),
}

/// A look at `/health`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulse {
    pub(crate) replica: usize,
    pub(crate) sent: Moment,
    pub(crate) answered: Moment,
    pub(crate) up: bool,
}

/// How a replica was troubled, and so what it is forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Postgres cannot be reached, or fails: 503 for requests and changes.
    Cut,
    /// Only changes may fail: something stands in their way, elsewhere perhaps.
    Hindered,
    /// Stopped by a signal: what is sent to it waits.
    Stopped,
    /// Killed: what is sent to it fails.
    Killed,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    pub(crate) replica: usize,
    pub(crate) kind: Kind,
    pub(crate) from: Moment,
    pub(crate) until: Moment,
}

/// What a key is, its secret apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) enabled: bool,
    pub(crate) scoped: bool,
    pub(crate) revoked: bool,
}

/// What a key was found to be when all was over.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) key: KeyNumber,
    /// Who told.
    pub(crate) by: By,
    /// `None` if it is not there at all.
    pub(crate) form: Option<Form>,
    /// The secret that opens it. Only someone with `psql` can tell.
    pub(crate) secret: Option<SecretNumber>,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) max_staleness: Duration,
    pub(crate) requests: Vec<Request>,
    pub(crate) changes: Vec<Change>,
    pub(crate) pulses: Vec<Pulse>,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) found: Vec<Found>,
}
