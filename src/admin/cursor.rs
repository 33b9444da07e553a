//! Where the next page of a list begins: readable and makeable by the store's owner only.

use super::seal::{Seal, Sealed};
use crate::key::{Environment, KeyId};
use crate::store::{Owner, Status};
use crate::timestamp::Timestamp;

/// A moment, before the id.
const MOMENT_BYTES: usize = 8;

/// What a list shows. A cursor is good for the view that it was made in and for no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// The keys of everybody.
    Everybody,
    /// The keys of one owner.
    Of(Owner),
    /// The keys of an owner that the caller may not see: none. No cursor leads here.
    Nothing,
}

/// Which of the keys in view a list shows. A cursor is good for these and for no others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filters {
    pub(super) status: Option<Status>,
    pub(super) environment: Option<Environment>,
    pub(super) expires_before: Option<Timestamp>,
}

/// The last key that was shown: the next page begins after it.
pub(super) type Position = (Timestamp, KeyId);

/// Writes the cursor that leads past `last`.
pub(super) fn seal(
    key: &[u8; 32],
    view: &View,
    filters: &Filters,
    (created_at, id): &Position,
) -> String {
    let moment = created_at.unix_micros().to_be_bytes();
    let position = moment.into_iter().chain(id.as_str().bytes());
    about(key, view, filters).close(position)
}

/// Where a cursor leads, provided that it was made under this key for this view and these filters.
pub(super) fn open(
    sealed: Sealed,
    key: &[u8; 32],
    view: &View,
    filters: &Filters,
) -> Option<Position> {
    let position = about(key, view, filters).open(sealed)?;
    let (moment, id) = position.split_at_checked(MOMENT_BYTES)?;
    let micros = i64::from_be_bytes(*moment.first_chunk()?);
    let id = str::from_utf8(id).ok()?.parse().ok()?;
    Some((Timestamp::from_unix_micros(micros)?, id))
}

fn about(key: &[u8; 32], view: &View, filters: &Filters) -> Seal {
    // What it is about and in which order.
    let mut seal = Seal::new(key, "portcullis keys newest first");
    seal = match view {
        View::Everybody => seal.and(b"everybody\0"),
        View::Nothing => seal.and(b"nothing\0"),
        View::Of(owner) => {
            let owner = owner.as_str().as_bytes();
            let length = u64::try_from(owner.len()).unwrap_or(u64::MAX);
            seal.and(b"owner\0").and(&length.to_be_bytes()).and(owner)
        }
    };
    let Filters {
        status,
        environment,
        expires_before,
    } = filters;
    let micros = expires_before.map(|moment| moment.unix_micros().to_be_bytes());
    let filters = [
        status.map(|status| status.as_str().as_bytes()),
        environment.as_ref().map(|name| name.as_str().as_bytes()),
        micros.as_ref().map(<[u8; 8]>::as_slice),
    ];
    for filter in filters {
        // None of them is as long as that.
        let length = filter.map_or(u8::MAX, |filter| {
            u8::try_from(filter.len()).unwrap_or(u8::MAX)
        });
        seal = seal.and(&[length]).and(filter.unwrap_or_default());
    }
    seal
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn of(owner: &str) -> View {
        View::Of(Owner::parse(owner).unwrap())
    }

    fn position() -> Position {
        let created_at = Timestamp::parse("2030-01-01T00:00:00.123456Z").unwrap();
        (created_at, "key_0123456789abcdefABCDEF".parse().unwrap())
    }

    fn open(text: &str, key: &[u8; 32], view: &View) -> Option<Position> {
        super::open(Sealed::read(text)?, key, view, &Filters::default())
    }

    fn sealed_for(view: &View) -> String {
        seal(&KEY, view, &Filters::default(), &position())
    }

    #[test]
    fn a_cursor_opens_for_its_own_filters_only() {
        let moment = |text| Some(Timestamp::parse(text).unwrap());
        let environments = crate::key::KeyFormat::new("acme", ["live", "test"]).unwrap();
        let [live, test] = environments.environments() else {
            panic!("two were declared");
        };
        let mut all = Vec::new();
        for status in [None, Some(Status::Active), Some(Status::Revoked)] {
            for environment in [None, Some(live.clone()), Some(test.clone())] {
                for expires_before in [
                    None,
                    moment("1970-01-01T00:00:00Z"),
                    moment("2030-01-01T00:00:00Z"),
                ] {
                    all.push(Filters {
                        status,
                        environment: environment.clone(),
                        expires_before,
                    });
                }
            }
        }
        for sealed_for in &all {
            let cursor = seal(&KEY, &View::Everybody, sealed_for, &position());
            for filters in &all {
                let sealed = Sealed::read(&cursor).unwrap();
                let opened = super::open(sealed, &KEY, &View::Everybody, filters);
                let expected = (filters == sealed_for).then(position);
                assert_eq!(opened, expected, "{sealed_for:?} {filters:?}");
            }
        }
    }

    #[test]
    fn a_cursor_opens_for_its_own_view_and_key_only() {
        let views = [
            View::Everybody,
            View::Nothing,
            of("a"),
            of("ab"),
            of("\u{e9}"),
        ];
        for sealed_for in &views {
            let cursor = self::sealed_for(sealed_for);
            for view in &views {
                let expected = (view == sealed_for).then(position);
                assert_eq!(
                    open(&cursor, &KEY, view),
                    expected,
                    "{sealed_for:?} {view:?}"
                );
            }
            assert_eq!(open(&cursor, &[8; 32], sealed_for), None);
        }
    }

    #[test]
    fn no_change_of_a_character_goes_unnoticed() {
        let cursor = sealed_for(&View::Everybody);
        for at in 0..cursor.len() {
            for byte in 0..128_u8 {
                let mut changed = cursor.clone().into_bytes();
                if changed[at] == byte {
                    continue;
                }
                changed[at] = byte;
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(open(&changed, &KEY, &View::Everybody), None, "{at} {byte}");
            }
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let cursor = sealed_for(&View::Everybody);
        let cases = [
            ("nothing", String::new()),
            ("cut off", cursor[..cursor.len() - 1].to_owned()),
            ("with something after it", format!("{cursor}A")),
            ("padded", format!("{cursor}=")),
            ("twice", cursor.repeat(2)),
            ("a megabyte", "A".repeat(1 << 20)),
            ("not ASCII", "é".to_owned()),
            ("only a seal", URL_SAFE_NO_PAD.encode([1; 32])),
            ("only a version and a seal", URL_SAFE_NO_PAD.encode([1; 33])),
        ];
        for (name, text) in cases {
            assert_eq!(open(&text, &KEY, &View::Everybody), None, "{name}");
        }
    }
}
