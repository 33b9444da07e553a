//! What a change to keys tells: a line in the log, and whoever listens.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::escaped::Escaped;
use crate::key::KeyId;
use crate::store::{Event, EventKind, KeyRecord, Outcome};

/// A change to keys that this keyring has committed. See [`Builder::on_change`].
///
/// [`Builder::on_change`]: super::Builder::on_change
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum KeyChange {
    /// To one key.
    Key {
        /// What was done, when and by whom: the line that the trail of the key has for it.
        event: Event,
        /// The key as it is now.
        key: Box<KeyRecord>,
    },
    /// To all the keys that an emergency stop revoked.
    Stopped {
        /// What was done, when, by whom and why: the line in the trail of each of them.
        event: Event,
        /// How many it revoked.
        revoked: u64,
        /// Which ones, as far as [`MOST_KEYS_NAMED`](crate::store::MOST_KEYS_NAMED) goes.
        keys: Vec<KeyId>,
    },
}

impl KeyChange {
    /// What has happened, if something has. `event` is that of the decision.
    pub(super) fn made(outcome: &Outcome, event: Option<Event>) -> Option<Self> {
        match (outcome, event?) {
            (Outcome::Committed { record, .. }, event) => Some(Self::Key {
                event,
                key: Box::new(record.clone()),
            }),
            (
                Outcome::RevokedAll {
                    revoked: revoked @ 1..,
                    keys,
                    ..
                },
                event,
            ) => Some(Self::Stopped {
                event,
                revoked: *revoked,
                keys: keys.clone(),
            }),
            _ => None,
        }
    }

    /// The line in the log. Names and reasons stay out of it: the id is enough to find them.
    pub(super) fn log(&self) {
        match self {
            Self::Key { event, key } => {
                let by = event.by.to_string();
                tracing::info!(
                    event = event.what.as_str(),
                    key = %key.id,
                    by = %Escaped(&by),
                    owner = %Escaped(key.owner.as_str()),
                    fields = event.detail.fields.join(","),
                    "key {}",
                    in_words(event),
                );
            }
            Self::Stopped { event, revoked, .. } => {
                let by = event.by.to_string();
                tracing::info!(
                    event = event.what.as_str(),
                    revoked,
                    by = %Escaped(&by),
                    "keys revoked by an emergency stop",
                );
            }
        }
    }
}

fn in_words(event: &Event) -> &'static str {
    match event.what {
        EventKind::Created => "created",
        EventKind::Imported => "imported",
        EventKind::Changed => "changed",
        EventKind::Enabled => "enabled",
        EventKind::Disabled => "disabled",
        EventKind::Rotated if event.detail.repeated => "created again, with another secret",
        EventKind::Rotated => "rotated",
        EventKind::PreviousEnded => "left with one secret",
        EventKind::Revoked => "revoked",
    }
}

type Listener = Arc<dyn Fn(&KeyChange) + Send + Sync>;

/// Those who want to know of changes.
#[derive(Clone, Default)]
pub(super) struct Listeners(Vec<Listener>);

impl Listeners {
    pub(super) fn add(&mut self, listener: impl Fn(&KeyChange) + Send + Sync + 'static) {
        self.0.push(Arc::new(listener));
    }

    /// The change is committed, whatever becomes of this.
    pub(super) fn tell(&self, change: &KeyChange) {
        for listener in &self.0 {
            if catch_unwind(AssertUnwindSafe(|| listener(change))).is_err() {
                tracing::error!("a listener to changes of keys panicked");
            }
        }
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listeners").field(&self.0.len()).finish()
    }
}
