//! What people use instead.

pub mod by_hand;
pub mod jwt;

use axum::Router;
use portcullis::ApiKeyLayer;
use tower_http::validate_request::ValidateRequestHeaderLayer;

use crate::world::open;

/// tower-http's layer with one constant token: the cheapest check there is, and no key management.
#[expect(
    deprecated,
    reason = "it is what people start from, and the cheapest peer there is"
)]
pub fn constant<R: Default>(
    key: &str,
) -> ValidateRequestHeaderLayer<tower_http::auth::require_authorization::Bearer<R>> {
    ValidateRequestHeaderLayer::bearer(key)
}

/// portcullis around every route, by `Router::layer`.
pub fn layered(keyring: &portcullis::Keyring) -> Router {
    open().layer(ApiKeyLayer::new(keyring.clone()))
}
