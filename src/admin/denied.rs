//! The line in the log for an attempt that was denied.

use axum::extract::MatchedPath;
use http::{Method, StatusCode};

use super::answer::Refused;
use super::caller::Call;
use crate::escaped::Escaped;
use crate::store::Owner;

/// What was attempted. Of the path only what the router made of it: somebody may have put a key in
/// it, or something that is to be read as another line.
pub(super) struct Attempt {
    method: Method,
    route: Option<MatchedPath>,
    key: Option<String>,
    by: Option<String>,
    owner: Option<Owner>,
}

impl Attempt {
    /// By whom is not known yet.
    pub(super) fn at(method: &Method, route: Option<&MatchedPath>) -> Self {
        Self {
            method: method.clone(),
            route: route.cloned(),
            key: None,
            by: None,
            owner: None,
        }
    }

    pub(super) async fn of(&mut self, call: &mut Call) {
        self.by = Some(call.caller.provenance().to_string());
        self.owner = call.caller.owner().cloned();
        self.key = call.id_in_path().await.map(|id| id.to_string());
    }

    /// Says so, where a refusal is about what the caller may do.
    pub(super) fn answered(&self, refused: &Refused) {
        let (status, code) = (refused.status(), refused.code());
        let denies = [
            StatusCode::UNAUTHORIZED,
            StatusCode::FORBIDDEN,
            StatusCode::NOT_FOUND,
            StatusCode::CONFLICT,
            StatusCode::TOO_MANY_REQUESTS,
        ];
        if !denies.contains(&status) && code != Refused::AMBIGUOUS {
            return;
        }
        let unknown = "unknown";
        tracing::warn!(
            method = %self.method,
            route = self.route.as_ref().map_or(unknown, MatchedPath::as_str),
            key = self.key.as_ref().map(display),
            by = %Escaped(self.by.as_deref().unwrap_or(unknown)),
            owner = self.owner.as_ref().map(|owner| display(Escaped(owner.as_str()))),
            status = status.as_u16(),
            code,
            why = refused.why(),
            "an administrative request was denied",
        );
    }
}
