//! The one thing that the gate leaves in a request.

use std::sync::Arc;

use http::Extensions;

use super::gate::Gate;
use crate::keyring::Keyring;
use crate::principal::Principal;

/// Who a request comes from and which gate said so. Nobody outside this crate can name it, so
/// nobody can forge it or take it for something else; and whoever asks for a principal answers
/// refusals through the same gate, with the same realm and responder.
#[derive(Clone)]
pub(crate) struct Authentication {
    /// `None` is anonymous: the layer ran and let somebody pass without a key. That the layer
    /// did not run is the absence of all this.
    pub(crate) principal: Option<Principal>,
    pub(crate) gate: Arc<Gate>,
}

impl Authentication {
    pub(crate) fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// Who a layer of this very keyring has found.
    pub(crate) fn principal_for<'a>(
        extensions: &'a Extensions,
        keyring: &Keyring,
    ) -> Option<&'a Principal> {
        let authentication = Self::of(extensions)?;
        authentication
            .gate
            .keyring
            .is(keyring)
            .then_some(authentication.principal.as_ref())?
    }
}

impl Principal {
    /// Who this request comes from, where an [`ApiKeyLayer`](crate::ApiKeyLayer) ran and found a
    /// good key. For services without axum; in axum a handler takes a `Principal`.
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        Authentication::of(extensions)?.principal.as_ref()
    }
}
