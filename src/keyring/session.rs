//! Somebody who is signed in to the application.

use crate::key::Environment;
use crate::resources::Resources;
use crate::scope::{RoleSet, ScopeSet};
use crate::store::{Owner, SessionId};

/// What the application says of somebody who is signed in to it. There is no row to judge this by
/// again: it holds for one request, for which the application has just said it.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) owner: Owner,
    pub(crate) scopes: ScopeSet,
    pub(crate) roles: RoleSet,
    /// `None` is everything.
    pub(crate) resources: Option<Resources>,
    /// `None` is each that is declared.
    pub(crate) environments: Option<Vec<Environment>>,
}
