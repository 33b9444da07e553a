//! Opening the database.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool};

use super::connections::Connections;
use super::failure::{failed, opening};
use super::guard::within;
use super::link::Link;
use super::read::Form;
use super::replica::Replica;
use super::{PostgresStore, schema};
use crate::store::{StoreError, StoreErrorKind};

/// Connections for look-ups, for what people ask of the admin API, and for writes.
const LOOK_UPS: usize = 4;
const LISTS: usize = 1;
const WRITES: usize = 2;

/// A look-up that was given up on does not go on waiting for a lock.
const LOOKING_UP: &[(&str, &str)] = &[("statement_timeout", "1s"), ("lock_timeout", "1s")];

/// How long the first connection may take.
const OPENING: Duration = Duration::from_secs(5);

/// How a [`PostgresStore`] is opened.
#[must_use]
pub struct PostgresStoreOptions {
    connection: Result<PgConnectOptions, StoreError>,
    look_ups_at: Option<Result<PgConnectOptions, StoreError>>,
    look_ups_through_a_pooler: bool,
    migrate: bool,
}

impl PostgresStoreOptions {
    pub(super) fn from_url(url: &str) -> Self {
        Self::new(parse(url))
    }

    pub(super) fn from_pool(pool: &PgPool) -> Self {
        Self::new(Ok(PgConnectOptions::clone(&pool.connect_options())))
    }

    fn new(connection: Result<PgConnectOptions, StoreError>) -> Self {
        Self {
            connection,
            look_ups_at: None,
            look_ups_through_a_pooler: false,
            migrate: true,
        }
    }

    /// Whether to bring the tables up to date, which is the default. Otherwise connecting fails
    /// and names the version that is missing.
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// Where to look keys up first: the URL of a read replica, or of a pooler. The primary by
    /// default.
    ///
    /// What it answers is believed only as far as its revision goes, so that a replica which lags
    /// behind costs a second question, never a wrong answer. The primary is asked where this one
    /// does not answer within 150 ms, which is then left alone for a second; and syncs and
    /// everything that is said to the admin API go to the primary alone.
    pub fn look_ups_at(mut self, url: &str) -> Self {
        self.look_ups_at = Some(parse(url));
        self
    }

    /// Whether what [`look_ups_at`](Self::look_ups_at) names is a pooler that may run each statement
    /// in another session, as `PgBouncer` does in transaction mode. Then look-ups neither prepare
    /// statements nor ask for session settings. Off by default.
    ///
    /// The URL of the store itself must lead to Postgres, or to a pooler in session mode: a session
    /// that listens cannot be shared.
    pub fn look_ups_through_a_pooler(mut self, is_pooler: bool) -> Self {
        self.look_ups_through_a_pooler = is_pooler;
        self
    }

    /// Opens the store.
    pub async fn connect(self) -> Result<PostgresStore, StoreError> {
        let options = self.connection?;
        let elsewhere = self.look_ups_at.transpose()?;
        let session = |limits: &[(&str, &str)]| ours(options.clone(), limits);
        let reading = session(LOOKING_UP);
        let writing = session(&[("statement_timeout", "3s"), ("lock_timeout", "2s")]);
        let mut first = open(&session(&[("statement_timeout", "5s")])).await?;
        schema::must_be_fit(&mut first).await?;
        if self.migrate {
            schema::migrate(&mut first).await?;
        } else {
            schema::must_be_up_to_date(&mut first).await?;
        }
        let link = Link::open(reading.clone());
        let connections = |options, most| Connections::new(options, most, link.guard());
        let store = PostgresStore {
            server: server(&options).into(),
            replica: elsewhere.map(|options| {
                let (options, form) = if self.look_ups_through_a_pooler {
                    (any_session(options), Form::SelfContained)
                } else {
                    (ours(options, LOOKING_UP), Form::Prepared)
                };
                Replica::new(connections(options, LOOK_UPS), form)
            }),
            look_ups: connections(reading, LOOK_UPS),
            lists: connections(session(&[("statement_timeout", "5s")]), LISTS),
            writes: connections(writing, WRITES),
            link,
        };
        first
            .close()
            .await
            .map_err(failed("closing the first connection"))?;
        Ok(store)
    }
}

impl fmt::Debug for PostgresStoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The options of a connection hold the password.
        let shown = |options: &Result<_, _>| options.as_ref().ok().map(server);
        let server = shown(&self.connection);
        let look_ups_at = self.look_ups_at.as_ref().and_then(shown);
        f.debug_struct("PostgresStoreOptions")
            .field("server", &server)
            .field("look_ups_at", &look_ups_at)
            .field("look_ups_through_a_pooler", &self.look_ups_through_a_pooler)
            .field("migrate", &self.migrate)
            .finish_non_exhaustive()
    }
}

fn parse(url: &str) -> Result<PgConnectOptions, StoreError> {
    let unfit = |why| StoreError::new(StoreErrorKind::Misconfigured, why);
    let Some((scheme, _)) = url.split_once(':') else {
        let why = "the URL does not begin with \"postgres:\"".to_owned();
        return Err(unfit(why));
    };
    if scheme != "postgres" && scheme != "postgresql" {
        // The scheme alone: what comes after it may hold a password.
        let scheme: String = scheme.chars().take(32).collect();
        return Err(unfit(format!(
            "the URL begins with {scheme:?}: this store opens \"postgres:\" and \"postgresql:\" alone"
        )));
    }
    // What the parser has to say is dropped: it may repeat a part of it.
    url.parse().map_err(|_| {
        let why =
            "the URL cannot be read: it has to be like postgres://user:password@host/database";
        unfit(why.to_owned())
    })
}

/// What this store needs of each of its sessions, whatever the application chose for its own. It
/// goes into the very first packet, and holds as long as the session does.
fn ours(options: PgConnectOptions, limits: &[(&str, &str)]) -> PgConnectOptions {
    any_session(options)
        // No transaction is left open by a process that was stopped.
        .options([("idle_in_transaction_session_timeout", "1500ms")])
        // The server gives up on a client that is gone without a word, and what lies in between
        // does not take an idle connection for a dead one.
        .options([
            ("tcp_keepalives_idle", "30"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
            ("tcp_user_timeout", "15000"),
        ])
        // All names of its own are written out, and no statement is worth compiling.
        .options([("search_path", "pg_catalog"), ("jit", "off")])
        // Where a role reads only by default, a primary would not be told from a read replica.
        .options([("default_transaction_read_only", "off")])
        .options(limits.iter().copied())
}

/// Without anything that a pooler refuses, or keeps for whoever gets the session next.
fn any_session(options: PgConnectOptions) -> PgConnectOptions {
    options.extra_float_digits(None).disable_statement_logging()
}

async fn open(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    let connected = async { options.connect().await.map_err(opening) };
    within(OPENING, "opening the database", connected).await
}

/// What may be shown of where a store is.
fn server(options: &PgConnectOptions) -> String {
    let database = options.get_database();
    let database = database.unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("{}/{database}", socket.display()),
        None => format!("{}:{}/{database}", options.get_host(), options.get_port()),
    }
}
