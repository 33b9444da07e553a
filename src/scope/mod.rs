//! What a key may do, and what a route asks for.
//!
//! - [`Scope`]: one permission by its name, such as `projects:read`.
//! - [`Grant`]: one entry of what a key holds: a scope or a wildcard over scopes.
//! - [`ScopeSet`]: all that a key holds.
//! - [`RoleSet`]: the roles that a key has by name; [`Roles`] is what each of them grants.
//! - [`Demand`]: all, or any, of the scopes that a route asks for.
//! - [`Catalogue`]: the scopes that an application knows, so that a typo is refused at creation.
//!
//! Wildcards live on the granting side only, and never reach the reserved scopes `keys:read`,
//! `keys:write` and `keys:admin`, which rule over the keys themselves.
//!
//! ```
//! use portcullis::scope::{Demand, ScopeSet};
//!
//! let held = ScopeSet::parse(["projects:*", "keys:read"])?;
//! assert!(Demand::one("projects:write").met_by(&held));
//! assert!(!Demand::all(["projects:write", "keys:write"]).met_by(&held));
//! # Ok::<(), portcullis::scope::InvalidScope>(())
//! ```

mod catalogue;
mod demand;
mod few;
mod grant;
mod invalid;
mod name;
mod role;
mod roles;
mod set;

pub use catalogue::Catalogue;
pub use demand::Demand;
pub use grant::Grant;
pub use invalid::InvalidScope;
pub use name::Scope;
pub use role::{InvalidRole, RoleName, RoleSet};
pub use roles::{Role, Roles};
pub use set::{ScopeSet, TooManyScopes};

pub(crate) use name::is_valid_demand;
