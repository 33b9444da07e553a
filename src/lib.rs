//! API-key authentication for any tower HTTP service.
