//! For the application's own OpenAPI document: what its routes demand of a key.
//!
//! ```
//! use portcullis::openapi;
//! use utoipa::openapi::path::Operation;
//!
//! let mut operation = Operation::new();
//! openapi::guard(&mut operation, ["reports:read"]);
//! let json = serde_json::to_value(&operation).unwrap();
//! assert_eq!(json["security"][0]["api_key"][0], "reports:read");
//! assert!(json["responses"]["403"].is_object());
//! ```
//!
//! With the attributes of [`utoipa`] the same is written as
//! `#[utoipa::path(security(("api_key" = ["reports:read"])))]`; the scheme has to be among the
//! components once:
//!
//! ```
//! use utoipa::openapi::{ComponentsBuilder, OpenApiBuilder};
//!
//! let components = ComponentsBuilder::new()
//!     .security_scheme(portcullis::openapi::SCHEME, portcullis::openapi::scheme())
//!     .build();
//! let document = OpenApiBuilder::new().components(Some(components)).build();
//! # let _ = document;
//! ```

use utoipa::openapi::path::Operation;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, RefOr};

/// The name of the scheme in a document.
pub const SCHEME: &str = "api_key";

/// The scheme: a key, sent as a bearer token.
pub fn scheme() -> SecurityScheme {
    let http = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("API key")
        .description(Some(
            "A key as `Authorization: Bearer …`. What a route demands of it is listed with the route: \
             each of these scopes has to be granted by the key, by itself, by a role or by a wildcard.",
        ));
    SecurityScheme::Http(http.build())
}

/// The demand of a route behind [`require_scope`](crate::require_scope) or
/// [`require_all`](crate::require_all): a key that has all of these scopes. Of none: any key.
///
/// Behind [`require_any`](crate::require_any) each scope is a requirement of its own, which is to
/// say an alternative.
pub fn security(scopes: impl IntoIterator<Item = impl Into<String>>) -> SecurityRequirement {
    SecurityRequirement::new(SCHEME, scopes)
}

/// Puts the demand into an operation, with all that the gate answers where it is not met.
pub fn guard(operation: &mut Operation, scopes: impl IntoIterator<Item = impl Into<String>>) {
    let requirement = security(scopes);
    operation.security.get_or_insert_default().push(requirement);
    for (status, description) in [
        ("400", "The credentials do not say one thing."),
        ("401", "No valid key."),
        ("403", "A valid key without the scope."),
        (
            "503",
            "Whether the key is valid cannot be said at the moment; try again.",
        ),
    ] {
        let answers = &mut operation.responses.responses;
        answers
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(problem(description)));
    }
}

fn problem(description: &str) -> Response {
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", Content::default())
        .build()
}
