//! What the fuzz targets reach into: there only where the crate is compiled for them.

use super::cursor::{self, Filters, Position, View};
use super::json::Json;
use super::seal::Sealed;
use crate::key::{Environment, KeyId};
use crate::store::{Owner, Status};
use crate::timestamp::Timestamp;

/// What a list is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Whose keys; `None` for those of everybody.
    pub owner: Option<Owner>,
    /// In what state.
    pub status: Option<Status>,
    /// Of which environment.
    pub environment: Option<Environment>,
    /// Ending before when.
    pub expires_before: Option<Timestamp>,
}

impl List {
    fn about(&self) -> (View, Filters) {
        let view = self.owner.clone().map_or(View::Everybody, View::Of);
        let filters = Filters {
            status: self.status,
            environment: self.environment.clone(),
            expires_before: self.expires_before,
        };
        (view, filters)
    }
}

/// The cursor that leads past this key.
pub fn seal_cursor(key: &[u8; 32], list: &List, created_at: Timestamp, id: &KeyId) -> String {
    let (view, filters) = list.about();
    cursor::seal(key, &view, &filters, &(created_at, id.clone()))
}

/// Where a cursor leads, if it leads anywhere.
pub fn open_cursor(key: &[u8; 32], list: &List, text: &str) -> Option<Position> {
    let (view, filters) = list.about();
    cursor::open(Sealed::read(text)?, key, &view, &filters)
}

/// The JSON that a body was read as; `None` if it was not read.
pub fn rewrite_json(body: &[u8]) -> Option<String> {
    let json = Json::parse(body).ok()?;
    let mut text = String::new();
    json.write(&mut text);
    Some(text)
}
