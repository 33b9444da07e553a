//! What narrows a key down: the things that it may be used on, and the addresses that it may be
//! used from.

use super::errors::{below, pointer, shown};
use super::fields::Fields;
use super::given::Null;
use super::json::Json;
use crate::allowed_ips::AllowedIps;
use crate::keyring::{Keyring, Restrict};
use crate::resources::Resources;

const RESOURCES: &str = "resources";
const ALLOWED_IPS: &str = "allowed_ips";

/// The field `resources`: an object of kinds, each with a list of ids.
pub(super) fn resources(
    fields: &mut Fields<'_>,
    keyring: &Keyring,
    null: Null,
) -> Option<Restrict<Resources>> {
    let members = match fields.take(RESOURCES)? {
        Json::Object(members) => members,
        Json::Null if null == Null::Empty => return Some(Restrict::Lift),
        other => {
            fields.wrong_type(RESOURCES, "an object of arrays of strings", &other);
            return None;
        }
    };
    let kinds = kinds(&members, keyring, fields)?;
    Resources::new(kinds)
        .map(Restrict::To)
        .map_err(|error| fields.wrong(RESOURCES, error))
        .ok()
}

/// The kinds with their ids, unless something about one of them is wrong; that is noted where it
/// is.
fn kinds<'j>(
    members: &'j [(String, Json)],
    keyring: &Keyring,
    fields: &mut Fields<'_>,
) -> Option<Vec<(&'j str, Vec<&'j str>)>> {
    let mut kinds: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut fine = true;
    let mut wrong = |place: String, detail: String| {
        fields.wrong_at(place, detail);
        fine = false;
    };
    for (kind, ids) in members {
        let at = shown(kind).map_or_else(
            || pointer(RESOURCES),
            |kind| below(&pointer(RESOURCES), kind),
        );
        // Kinds and ids are stored and shown as they are. A key in the wrong place must not be.
        if keyring.format().starts_like_a_key(kind.as_bytes()) {
            wrong(at, "has a kind that begins like a key".to_owned());
            continue;
        }
        if let Err(error) = Resources::new([(kind, [""; 0])]) {
            wrong(at, error.to_string());
            continue;
        }
        if kinds.iter().any(|(earlier, _)| earlier == kind) {
            wrong(at, "is given more than once".to_owned());
            continue;
        }
        let Json::Array(items) = ids else {
            let found = ids.kind();
            wrong(at, format!("must be an array of strings, and is {found}"));
            continue;
        };
        let mut read = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match id(kind, item, keyring) {
                Ok(id) => read.push(id),
                Err(why) => wrong(below(&at, &index.to_string()), why),
            }
        }
        kinds.push((kind, read));
    }
    fine.then_some(kinds)
}

fn id<'j>(kind: &str, item: &'j Json, keyring: &Keyring) -> Result<&'j str, String> {
    let Json::Text(id) = item else {
        return Err(format!("must be a string, and is {}", item.kind()));
    };
    if keyring.format().starts_like_a_key(id.as_bytes()) {
        return Err("begins like a key, which no id of a resource may".to_owned());
    }
    match Resources::new([(kind, [id])]) {
        Ok(_) => Ok(id),
        Err(error) => Err(error.to_string()),
    }
}

/// The field `allowed_ips`: a list of addresses and networks.
pub(super) fn allowed_ips(fields: &mut Fields<'_>, null: Null) -> Option<Restrict<AllowedIps>> {
    if null == Null::Empty && fields.take_null(ALLOWED_IPS) {
        return Some(Restrict::Lift);
    }
    let networks = fields.texts(ALLOWED_IPS, |text| {
        AllowedIps::parse([text]).map(|_| text.to_owned())
    })?;
    AllowedIps::parse(networks)
        .map(Restrict::To)
        .map_err(|error| fields.wrong(ALLOWED_IPS, error))
        .ok()
}
