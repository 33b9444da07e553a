//! The shortest service with keys: `cargo run --example quickstart`.

use axum::{Router, routing::get};
use portcullis::{ApiKeyLayer, Keyring, Principal, admin, require_scope, store::SqliteStore};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = SqliteStore::connect("sqlite://keys.db").await?;
    let keyring = Keyring::builder(store)
        .prefix("acme") // acme_live_3Jd…
        .scopes(["reports:read", "reports:write"])
        .build()?;

    if let Some(first) = keyring.create_first().await? {
        println!("the first key, shown once: {}", first.secret.expose());
    }

    let app = Router::new()
        .route(
            "/reports",
            get(list).route_layer(require_scope("reports:read")),
        )
        .route_layer(ApiKeyLayer::new(keyring.clone()))
        .nest("/admin", admin::router(keyring));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}

async fn list(caller: Principal) -> String {
    format!("hello {}\n", caller.owner())
}
