//! A database for each test on a throwaway server, whose clock stands still like that of a world.

#[path = "../postgres/cluster.rs"]
mod cluster;

use std::sync::OnceLock;

use portcullis::clock::Clock as _;
use portcullis::testing::FakeClock;

use self::cluster::{CARELESS, Cluster};

/// What Postgres takes for the time comes from here. The function has to go by another name first:
/// one that is built in is called whatever the catalogue says of it.
const STILL: &str = "\
    CREATE SCHEMA hands; \
    CREATE SEQUENCE hands.wall MINVALUE 0; \
    SET allow_system_table_mods = on; \
    ALTER FUNCTION pg_catalog.clock_timestamp() RENAME TO clock_of_the_machine; \
    CREATE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS \
        $$ SELECT 'epoch'::timestamptz + last_value * interval '1 microsecond' FROM hands.wall $$;";

/// One that goes with the server, when all tests are over.
#[derive(Debug)]
pub(crate) struct Database {
    server: &'static Server,
    name: String,
}

#[derive(Debug)]
struct Server {
    cluster: Cluster,
    /// A database whose clock stands still, to be copied.
    still: String,
}

/// `None` where there is no server to be had.
fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let cluster = Cluster::start(CARELESS)?;
        let still = cluster.create_database();
        cluster.psql(&still, STILL);
        Some(Server { cluster, still })
    });
    server.as_ref()
}

impl Database {
    /// An empty one with the clock of the machine.
    pub(crate) fn new() -> Option<Self> {
        let server = server()?;
        let name = server.cluster.create_database();
        Some(Self { server, name })
    }

    /// An empty one whose clock shows what this one shows now.
    pub(crate) fn at(clock: &FakeClock) -> Option<Self> {
        let server = server()?;
        let name = server.cluster.copy_database(&server.still);
        let database = Self { server, name };
        database.turn_to(clock);
        Some(database)
    }

    pub(crate) fn url(&self) -> String {
        self.server.cluster.url(&self.name)
    }

    /// Moves its clock to what this one shows now.
    pub(crate) fn turn_to(&self, clock: &FakeClock) {
        let wall = clock.wall().unix_micros();
        let sql = format!("SELECT setval('hands.wall', {wall})");
        self.server.cluster.psql(&self.name, &sql);
    }
}
