//! The trail of a key: what was done to it, when, and by whom.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Map, Value};

use super::record::Provenance;
use crate::key::KeyId;
use crate::timestamp::Timestamp;

/// A line of the trail of a key, written in the transaction that does what it tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, by the store's clock.
    pub at: Timestamp,
    /// Who did it.
    pub by: Provenance,
    /// What was done.
    pub what: EventKind,
    /// What else there is to say.
    pub detail: EventDetail,
}

/// A line of a trail, as it is kept. It outlives its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its place among all: of two lines about one key the later has the higher number. Numbers
    /// are never given twice, and some may be left out.
    pub seq: u64,
    /// Which key it is about.
    pub key: KeyId,
    /// The line.
    pub event: Event,
}

/// What was done to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// It was made, and its secret handed out.
    Created,
    /// It was made by a digest: whoever has the secret had it before.
    Imported,
    /// Something about it was changed.
    Changed,
    /// It was enabled, and nothing else was changed.
    Enabled,
    /// It was disabled, and nothing else was changed.
    Disabled,
    /// It was given another secret.
    Rotated,
    /// The grace of a rotation was ended.
    PreviousEnded,
    /// It was revoked.
    Revoked,
}

/// What else there is to say of an event. The default says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventDetail {
    /// The fields that were changed, by their names in the admin API.
    pub fields: Vec<Cow<'static, str>>,
    /// What it was changed to, where `enabled` is one of them.
    pub enabled: Option<bool>,
    /// Why, as somebody has put it.
    pub reason: Option<String>,
    /// When the secret that was replaced comes to its end, if it did not at once.
    pub previous_until: Option<Timestamp>,
    /// Whether a request that made the key came again, whose secret was lost.
    pub repeated: bool,
}

/// Which lines of the trail to read. The default asks for none of all.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// About this key only.
    pub key: Option<KeyId>,
    /// Only those before the one with this number.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: u32,
}

/// How long to keep what is over; `None` is for ever. The digests of secrets are kept for ever
/// whatever it says: that they are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Keys that are revoked or expired. One that has made other keys stays as long as one of
    /// these is there: an emergency stop has to find its way from maker to made.
    pub dead_keys: Option<Duration>,
    /// Lines of the trail, also of keys that are there.
    pub events: Option<Duration>,
}

/// What was deleted because it had been kept long enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many keys.
    pub keys: u64,
    /// How many lines of the trail.
    pub events: u64,
    /// Whether there is more of it.
    pub more: bool,
}

/// The most keys, and the most lines of the trail, that one call deletes.
pub const MOST_PRUNED: u32 = 500;

impl Event {
    /// Without details.
    pub fn new(what: EventKind, by: Provenance, at: Timestamp) -> Self {
        Self {
            at,
            by,
            what,
            detail: EventDetail::default(),
        }
    }
}

impl EventKind {
    /// The word that is stored, and that the admin API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Imported => "imported",
            Self::Changed => "changed",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Rotated => "rotated",
            Self::PreviousEnded => "previous_ended",
            Self::Revoked => "revoked",
        }
    }

    /// Reads back the word.
    pub fn from_stored(stored: &str) -> Option<Self> {
        const ALL: [EventKind; 8] = [
            EventKind::Created,
            EventKind::Imported,
            EventKind::Changed,
            EventKind::Enabled,
            EventKind::Disabled,
            EventKind::Rotated,
            EventKind::PreviousEnded,
            EventKind::Revoked,
        ];
        ALL.into_iter().find(|kind| kind.as_str() == stored)
    }
}

impl EventDetail {
    /// As a JSON object, in which what is not said is left out: what a store keeps.
    pub fn to_json(&self) -> String {
        let Self {
            fields,
            enabled,
            reason,
            previous_until,
            repeated,
        } = self;
        let mut json = Map::new();
        let mut say = |name: &str, value: Option<Value>| {
            json.extend(value.map(|value| (name.to_owned(), value)));
        };
        let fields = fields.iter().map(|field| Value::from(&**field));
        let fields: Vec<Value> = fields.collect();
        say("fields", (!fields.is_empty()).then(|| fields.into()));
        say("enabled", enabled.map(Value::from));
        say("reason", reason.as_deref().map(Value::from));
        let previous_until = previous_until.as_ref().map(Timestamp::to_string);
        say("previous_until", previous_until.map(Value::from));
        say("repeated", repeated.then_some(true.into()));
        Value::Object(json).to_string()
    }

    /// Reads back what [`to_json`](Self::to_json) wrote. What a newer release may have had to say
    /// besides is left out.
    pub fn from_json(stored: &str) -> Option<Self> {
        let Value::Object(json) = serde_json::from_str(stored).ok()? else {
            return None;
        };
        let fields = match json.get("fields") {
            None => Vec::new(),
            Some(fields) => {
                let texts = fields.as_array()?.iter().map(Value::as_str);
                let texts = texts.map(|text| Some(Cow::Owned(text?.to_owned())));
                texts.collect::<Option<_>>()?
            }
        };
        let text = |name: &str| json.get(name).map(|value| value.as_str().ok_or(()));
        let flag = |name: &str| json.get(name).map(|value| value.as_bool().ok_or(()));
        Some(Self {
            fields,
            enabled: flag("enabled").transpose().ok()?,
            reason: text("reason").transpose().ok()?.map(str::to_owned),
            previous_until: match text("previous_until").transpose().ok()? {
                Some(moment) => Some(Timestamp::parse(moment).ok()?),
                None => None,
            },
            repeated: flag("repeated").transpose().ok()?.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for word in [
            "created",
            "imported",
            "changed",
            "enabled",
            "disabled",
            "rotated",
            "previous_ended",
            "revoked",
        ] {
            assert_eq!(EventKind::from_stored(word).unwrap().as_str(), word);
        }
        assert_eq!(EventKind::from_stored("Created"), None);
        assert_eq!(EventKind::from_stored(""), None);
    }

    #[test]
    fn details_read_back() {
        let all = EventDetail {
            fields: vec!["name".into(), "enabled".into()],
            enabled: Some(false),
            reason: Some("a \"b\"\u{2028}".to_owned()),
            previous_until: Some(Timestamp::MAX),
            repeated: true,
        };
        let one = EventDetail {
            reason: Some(String::new()),
            ..EventDetail::default()
        };
        for (detail, json) in [(all, None), (one, Some(r#"{"reason":""}"#))] {
            let stored = detail.to_json();
            assert_eq!(json.unwrap_or(&stored), stored);
            assert_eq!(EventDetail::from_json(&stored), Some(detail));
        }
        assert_eq!(EventDetail::default().to_json(), "{}");
        assert_eq!(
            EventDetail::from_json(r#"{"said_later":[1]}"#),
            Some(EventDetail::default())
        );
    }

    #[test]
    fn damaged_details_are_refused() {
        for damaged in [
            "",
            "[]",
            "null",
            r#"{"fields":"name"}"#,
            r#"{"fields":[1]}"#,
            r#"{"reason":1}"#,
            r#"{"enabled":"no"}"#,
            r#"{"previous_until":"soon"}"#,
            r#"{"repeated":null}"#,
        ] {
            assert_eq!(EventDetail::from_json(damaged), None, "{damaged}");
        }
    }
}
