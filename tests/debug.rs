//! What `Debug` shows of the types that an application can name, while real keys, digests,
//! peppers and tokens are in play: nothing by which anybody gets in.

#[path = "canary/mod.rs"]
mod canary;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use portcullis::admin::{
    Admin, BootstrapToken, InvalidLeakReports, InvalidOrigin, InvalidPolicy, InvalidScanningKeys,
    InvalidToken, InvalidTrustedCaller, LeakReports, Minting, Policy, ScanningKeys, TrustedCaller,
};
use portcullis::allowed_ips::{AllowedIps, InvalidAllowedIps};
use portcullis::clock::{BootTime, Clock, SystemClock};
use portcullis::key::{
    Alphabet, BodyLength, ChecksumSecret, DigestAlgorithm, Environment, ForeignFormat,
    GenerateError, GeneratedKey, InvalidEnvironment, InvalidForeignFormat, InvalidFormat,
    InvalidHint, InvalidSecret, KeyDigest, KeyFormat, KeyHint, KeyId, NotAHint, NotAKey,
    ParseKeyIdError, ParsedKey, Pepper, PlainKey,
};
use portcullis::keyring::{
    BuildError, Created, Dead, End, Expiry, Imported, InvalidDeclaration, InvalidNewKey, KeyChange,
    KeyPatch, MadeElsewhere, NewKey, Restrict, Unavailable, WriteError,
};
use portcullis::layer::{
    ClientAddress, PeerAddress, Reason, RequireResource, RequireResourceLayer,
};
use portcullis::lifetime::{InvalidLifetime, parse_lifetime};
use portcullis::resources::{InvalidResources, Resources};
use portcullis::scope::{
    Catalogue, Demand, Grant, InvalidRole, InvalidScope, Role, RoleName, RoleSet, Roles, Scope,
    ScopeSet, TooManyScopes,
};
use portcullis::store::conformance::{Backend, Stage};
use portcullis::store::{
    Change, Decision, Event, EventDetail, EventKind, EventQuery, Falsifies, FoundKey,
    InvalidMetadata, InvalidText, KeyName, KeyRecord, KeyStore, ListQuery, LookUp, MemoryStore,
    Metadata, Outcome, Owner, Position, PostgresStore, Previous, Provenance, Pruned, Read,
    RecordedEvent, Refusal, Replay, ReplayKey, Retention, Revocation, Rows, SessionId, Source,
    SqliteStore, Status, StoreError, StoreErrorKind, StoreId, Subjects, SyncReport, Touched,
    Transacted, Use, Where, Whose,
};
use portcullis::testing::{CallerLayer, FakeClock, FaultStore, Faults, Switch, anonymous, caller};
use portcullis::timestamp::{InvalidTimestamp, Timestamp};
use portcullis::{ApiKeyLayer, Keyring, Malformed, Principal, require_resource};
use sha2::{Digest as _, Sha256};
use tower::{Layer as _, ServiceExt as _, service_fn};

const PEPPER: &str = "Tqx2vYw7KzB4nMp9RsD6fGh3JkL8cVb5";
const CHECKSUM: &str = "8QwErTy4UiOp2AsDfGh6JkLz9XcVbNm1";
const TOKEN: &str = "mZ7hYt3pWq9xLr5vNc2kBd8sGf4jXa6e";

/// A keyring of which every secret is known to the test.
struct World {
    keyring: Keyring,
    store: Arc<FaultStore<MemoryStore>>,
    created: Created,
    digest: KeyDigest,
    principal: Principal,
}

fn pepper() -> Pepper {
    Pepper::new(PEPPER).unwrap()
}

fn checksum() -> ChecksumSecret {
    ChecksumSecret::new('1', CHECKSUM).unwrap()
}

impl World {
    async fn new() -> Self {
        canary::listen();
        let store = Arc::new(FaultStore::new(MemoryStore::new()));
        let shared: Arc<dyn KeyStore> = Arc::clone(&store) as _;
        let keyring = Keyring::builder(shared)
            .prefix("acme")
            .digest(DigestAlgorithm::hmac_sha256(pepper()))
            .keyed_checksum([checksum()])
            .build()
            .unwrap();
        let new = NewKey::named("ci").unwrap().owner("acme-corp").unwrap();
        let created = keyring.create(new.scopes(["a:b"]).unwrap()).await.unwrap();
        let presented = created.secret.expose();
        canary::know(presented);
        let digest = keyring.format().parse(presented.as_bytes()).unwrap();
        let digest = digest.digest();
        let inner = service_fn(async |request: Request<()>| {
            let mut response = Response::new(String::new());
            let principal = Principal::of(request.extensions()).cloned();
            response.extensions_mut().insert(principal);
            Ok::<_, Infallible>(response)
        });
        let request = Request::get("/").header("authorization", format!("Bearer {presented}"));
        let service = ApiKeyLayer::new(keyring.clone()).layer(inner);
        let answer = service.oneshot(request.body(()).unwrap()).await.unwrap();
        let principal: &Option<Principal> = answer.extensions().get().unwrap();
        let principal = principal.clone().unwrap();
        Self {
            keyring,
            store,
            created,
            digest,
            principal,
        }
    }

    /// What nobody may read, in every way in which it could be written.
    fn hidden(&self) -> Vec<String> {
        // The hint shows the first four characters of the body and no more.
        let body = self.created.secret.expose().strip_prefix("acme_live_");
        let texts = [&body.unwrap()[4..], PEPPER, CHECKSUM, TOKEN];
        let bytes = [
            self.digest.as_bytes().to_vec(),
            Sha256::digest(self.created.secret.expose()).to_vec(),
            Sha256::digest(TOKEN).to_vec(),
        ];
        let mut hidden = Vec::new();
        for text in texts {
            hidden.extend(
                text.as_bytes()
                    .windows(8)
                    .map(|part| String::from_utf8(part.to_vec()).unwrap()),
            );
        }
        let texts = texts.map(|text| text.as_bytes().to_vec());
        for bytes in texts.into_iter().chain(bytes) {
            for part in bytes.windows(4) {
                let each = |as_text: fn(&u8) -> String, between: &str| {
                    part.iter().map(as_text).collect::<Vec<_>>().join(between)
                };
                hidden.push(each(|byte| format!("{byte:02x}"), ""));
                hidden.push(each(|byte| format!("{byte:02X}"), ""));
                hidden.push(each(u8::to_string, ","));
            }
        }
        hidden
    }
}

/// Everything that was shown, with what was expected where it is pinned.
struct Sheet {
    hidden: Vec<String>,
    leaks: Vec<String>,
    others: Vec<String>,
}

impl Sheet {
    fn of(world: &World) -> Self {
        Self {
            hidden: world.hidden(),
            leaks: Vec::new(),
            others: Vec::new(),
        }
    }

    /// It hides what it must.
    fn hides(&mut self, value: impl Debug) -> String {
        let shown = format!("{value:?}");
        for written in [shown.clone(), format!("{value:#?}")] {
            // Lists of bytes are pretty-printed with a line for each.
            let written: String = written.split_whitespace().collect();
            if let Some(leak) = self.hidden.iter().find(|hidden| written.contains(*hidden)) {
                self.leaks.push(format!("{leak} is in {shown}"));
            }
        }
        shown
    }

    /// It hides what it must, and reads exactly like this.
    fn shows(&mut self, value: impl Debug, expected: impl AsRef<str>) {
        let shown = self.hides(value);
        if shown != expected.as_ref() {
            self.others.push(shown);
        }
    }

    #[track_caller]
    fn passes(self) {
        assert!(self.leaks.is_empty(), "{:#?}", self.leaks);
        assert!(self.others.is_empty(), "{:#?}", self.others);
    }
}

fn moment() -> Timestamp {
    "2030-01-31T12:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn a_leak_is_found_however_it_is_written() {
    let world = World::new().await;
    let secret = world.created.secret.expose();
    let bytes = *world.digest.as_bytes();
    let hex = bytes.map(|byte| format!("{byte:02x}")).concat();
    for leak in [
        format!("{secret:?}"),
        format!("{:?}", secret.as_bytes()),
        format!("{bytes:?}"),
        hex.to_uppercase(),
        hex,
        TOKEN.to_owned(),
        format!("{:#?}", PEPPER.as_bytes()),
    ] {
        let mut sheet = Sheet::of(&world);
        sheet.hides(format_args!("{leak}"));
        assert!(!sheet.leaks.is_empty(), "{leak}");
    }
}

#[tokio::test]
async fn keys_and_what_they_are_made_of() {
    let world = World::new().await;
    let mut sheet = Sheet::of(&world);
    let secret: &PlainKey = &world.created.secret;
    let format = world.keyring.format();
    let live = format.default_environment();
    sheet.shows(secret, "PlainKey(redacted)");
    sheet.shows(world.digest, "KeyDigest(redacted)");
    let parsed: ParsedKey<'_> = format.parse(secret.expose().as_bytes()).unwrap();
    sheet.shows(
        parsed,
        "ParsedKey { environment: Environment(\"live\"), .. }",
    );
    sheet.shows(pepper(), "Pepper(redacted)");
    sheet.shows(checksum(), "ChecksumSecret { version: '1', .. }");
    sheet.shows(DigestAlgorithm::sha256(), "DigestAlgorithm(sha256)");
    sheet.shows(DigestAlgorithm::blake3(), "DigestAlgorithm(blake3)");
    // What tells one pepper from another, and is written into the store.
    sheet.shows(
        DigestAlgorithm::hmac_sha256(pepper()),
        "DigestAlgorithm(hmac-sha256:24ee82291d78a2c3)",
    );
    sheet.shows(
        format,
        "KeyFormat { prefix: \"acme\", environments: [Environment(\"live\")], default_environment: \
         Environment(\"live\"), lengths: (48, 48), checksum: Keyed(KeyedChecksum { signing: \
         ChecksumSecret { version: '1', .. }, others: [] }), digest: \
         DigestAlgorithm(hmac-sha256:24ee82291d78a2c3), foreign: [] }",
    );
    let generated: GeneratedKey = format.generate(live).unwrap();
    let hint = KeyHint::from_stored("acme_live_3Jd4").unwrap();
    let shown = format!("{generated:?}").replace(generated.hint.as_str(), hint.as_str());
    assert_eq!(
        shown,
        "GeneratedKey { plain: PlainKey(redacted), digest: KeyDigest(redacted), hint: \
         KeyHint(\"acme_live_3Jd4\") }"
    );
    sheet.shows(hint, "KeyHint(\"acme_live_3Jd4\")");
    let id: KeyId = "key_2vQ9dKfTn0aYxZbC3LmP8s".parse().unwrap();
    sheet.shows(id, "KeyId(\"key_2vQ9dKfTn0aYxZbC3LmP8s\")");
    sheet.shows(live, "Environment(\"live\")");
    sheet.shows(NotAKey::Checksum, "Checksum");
    let not_an_id: ParseKeyIdError = secret.expose().parse::<KeyId>().unwrap_err();
    sheet.shows(not_an_id, "Prefix");
    let no_hint: InvalidHint = KeyHint::from_stored("").unwrap_err();
    sheet.shows(no_hint, "Length(0)");
    sheet.shows(
        Pepper::new(&PEPPER[1..]).unwrap_err(),
        "TooShort { bytes: 31 }",
    );
    sheet.shows(
        ChecksumSecret::new('-', CHECKSUM).unwrap_err(),
        "Version('-')",
    );
    sheet.shows(InvalidSecret::Version('é'), "Version('é')");
    sheet.shows(
        GenerateError::UnknownEnvironment(live.clone()),
        "UnknownEnvironment(Environment(\"live\"))",
    );
    sheet.shows(InvalidFormat::EmptyPrefix, "EmptyPrefix");
    let prefix = KeyFormat::new("Acme", ["live"]).unwrap_err();
    sheet.shows(prefix, "PrefixCharacters(\"Acme\")");
    let environment: InvalidEnvironment = "Live".parse::<Environment>().unwrap_err();
    sheet.shows(environment, "Characters(\"Live\")");
    sheet.passes();
}

#[tokio::test]
async fn keys_of_another_system() {
    let world = World::new().await;
    let mut sheet = Sheet::of(&world);
    sheet.shows(
        ForeignFormat::new("old_", Alphabet::Hex, 48).unwrap(),
        "ForeignFormat { prefix: \"old_\", alphabet: Hex, body: BodyLength { least: 48, most: 48 }, \
         environment: None }",
    );
    sheet.shows(Alphabet::Base64Url, "Base64Url");
    let length: BodyLength = (32..=40).into();
    sheet.shows(length, "BodyLength { least: 32, most: 40 }");
    let no_prefix: InvalidForeignFormat = ForeignFormat::new("", Alphabet::Hex, 48).unwrap_err();
    sheet.shows(no_prefix, "EmptyPrefix");
    // The key itself in the place of its beginning.
    let format = world.keyring.format();
    let secret = world.created.secret.expose();
    let live = format.default_environment();
    let whole: NotAHint = format.imported_hint(secret, live).unwrap_err();
    sheet.hides(whole);
    sheet.hides(ForeignFormat::new(secret, Alphabet::Hex, 48).unwrap_err());
    sheet.passes();
}

#[tokio::test]
async fn a_keyring_and_what_is_asked_of_it() {
    let world = World::new().await;
    let mut sheet = Sheet::of(&world);
    let builder = Keyring::builder(MemoryStore::new()).prefix("acme");
    sheet.shows(
        builder
            .digest(DigestAlgorithm::hmac_sha256(pepper()))
            .keyed_checksum([checksum()]),
        "Builder { store: MemoryStore { .. }, prefix: Some(\"acme\"), environments: [\"live\"], \
         scopes: None, max_staleness: 5s, poll_interval: None, lookup_deadline: None, .. }",
    );
    sheet.hides(&world.keyring);
    sheet.hides(&world.created);
    sheet.hides(&world.created.key);
    sheet.hides(world.keyring.health());
    sheet.hides(&world.principal);
    sheet.shows(
        NewKey::named("ci").unwrap().expiry(Expiry::At(moment())),
        "NewKey { name: KeyName(\"ci\"), owner: None, environment: None, scopes: ScopeSet([]), \
         roles: RoleSet([]), resources: None, allowed_ips: None, expiry: At(Timestamp(2030-01-31T12:00:00Z)), metadata: Metadata(\"{}\") }",
    );
    sheet.shows(
        KeyPatch {
            expires_at: Some(End::Never),
            ..KeyPatch::default()
        },
        "KeyPatch { name: None, enabled: None, scopes: None, roles: None, resources: None, \
         allowed_ips: None, expires_at: Some(Never), metadata: None }",
    );
    sheet.hides(Imported::Made(world.created.key.clone()));
    sheet.hides(MadeElsewhere {
        digest: world.digest,
        hint: world.created.key.hint.clone(),
    });
    let layer: RequireResourceLayer = require_resource("project", "id");
    let service: RequireResource<()> = layer.layer(());
    sheet.hides(layer);
    sheet.hides(service);
    sheet.hides(ClientAddress::peer());
    let peer = PeerAddress("192.0.2.1".parse().unwrap());
    sheet.shows(peer, "PeerAddress(192.0.2.1)");
    sheet.shows(Expiry::AsCaller, "AsCaller");
    sheet.shows(End::Never, "Never");
    sheet.shows(InvalidNewKey::Name(InvalidText::Empty), "Name(Empty)");
    sheet.shows(BuildError::NoPrefix, "NoPrefix");
    sheet.shows(
        InvalidDeclaration::RepeatedRole("a".to_owned()),
        "RepeatedRole(\"a\")",
    );
    sheet.shows(WriteError::Refused(Refusal::NotFound), "Refused(NotFound)");
    sheet.shows(Dead::Unknown, "Unknown");
    sheet.shows(Unavailable::Deadline, "Deadline");
    sheet.shows(Reason::Dead(Dead::Revoked), "Dead(Revoked)");
    sheet.shows(Malformed::Empty, "Empty");
    sheet.passes();
}

#[tokio::test]
async fn the_admin_router_and_its_token() {
    let world = World::new().await;
    let mut sheet = Sheet::of(&world);
    sheet.shows(BootstrapToken::from(TOKEN), "BootstrapToken(redacted)");
    let admin = || Admin::new(world.keyring.clone());
    let with_token = admin().bootstrap_token(TOKEN).unwrap();
    let keyring = format!("{:?}", world.keyring);
    let shown = sheet.hides(&with_token).replace(&keyring, "K");
    assert_eq!(
        shown,
        "Admin { gate: Gate { keyring: K, realm: Realm { quoted: \"\\\"api\\\"\" }, places: \
         [Bearer], optional: false, environments: None, .. }, tokens: \
         Tokens([KeyDigest(redacted)]), rules: Rules { limits: Limits { live_keys: None, \
         longest_life: None, environments: None }, mint_limit: None, asking: None }, origins: \
         Origins([]), client: None, opening: None, running: Running(Mutex { data: {}, poisoned: \
         false, .. }), turns: Turns(Mutex { data: [], poisoned: false, .. }), leaks: None }"
    );
    let refused = |token: &str| admin().bootstrap_token(token).unwrap_err();
    sheet.shows(refused(&TOKEN[..31]), "TooShort(31)");
    sheet.shows(refused(&TOKEN.repeat(99)), "TooLong(3168)");
    sheet.shows(refused(&format!("{TOKEN} ")), "Characters");
    sheet.shows(refused(world.created.secret.expose()), "IsAKey");
    sheet.shows(InvalidToken::TooMany, "TooMany");
    sheet.passes();
}

#[tokio::test]
async fn who_calls_the_admin_router_and_what_is_allowed() {
    let world = World::new().await;
    let mut sheet = Sheet::of(&world);
    let admin = || Admin::new(world.keyring.clone());
    let caller = TrustedCaller::new("alice", "acme").unwrap();
    sheet.shows(
        caller.scopes(["a"]).unwrap(),
        "TrustedCaller(Session { id: SessionId(\"alice\"), owner: Owner(\"acme\"), scopes: \
         ScopeSet([Grant(\"a\")]), roles: RoleSet([]), resources: None, environments: None })",
    );
    sheet.shows(
        InvalidTrustedCaller::Owner(InvalidText::Empty),
        "Owner(Empty)",
    );
    let policy = Policy::new()
        .mint_limit(10, Duration::from_hours(1))
        .entitlement(async |_: Minting| Ok::<_, std::io::Error>(true));
    sheet.shows(
        &policy,
        "Policy { live_keys: None, max_lifetime: None, environments: None, mint_limit: Some((10, \
         3600s)), entitlement: true, deadline: 2s }",
    );
    sheet.hides(admin().policy(policy).unwrap());
    sheet.shows(
        InvalidPolicy::TooLong("max_lifetime"),
        "TooLong(\"max_lifetime\")",
    );
    let no_origin: InvalidOrigin = admin().trusted_origin("app.example").unwrap_err();
    sheet.shows(no_origin, "InvalidOrigin(\"app.example\")");
    let keys = ScanningKeys::new([("", ""); 0]).unwrap();
    sheet.shows(&keys, "ScanningKeys([])");
    let no_key: InvalidScanningKeys = ScanningKeys::new([("k1", TOKEN)]).unwrap_err();
    sheet.shows(no_key, "InvalidScanningKeys(\"k1\")");
    sheet.hides(LeakReports::new().github(keys));
    sheet.shows(InvalidLeakReports::Nothing("limit"), "Nothing(\"limit\")");
    let event = Event::new(EventKind::Created, Provenance::System, moment());
    sheet.hides(KeyChange::Key {
        event,
        key: Box::new(world.created.key.clone()),
    });
    sheet.passes();
}

#[tokio::test]
async fn stores_and_what_they_answer() {
    let world = World::new().await;
    let mut sheet = Sheet::of(&world);
    sheet.shows(MemoryStore::new(), "MemoryStore { .. }");
    // It remembers what it answered: to look-ups, and to syncs.
    let looked_up: LookUp = world
        .store
        .look_up(&world.digest, Source::Primary)
        .await
        .unwrap();
    let synced: SyncReport = world.store.sync(None).await.unwrap();
    sheet.hides(&world.store);
    let shown = format!("{:?}", FaultStore::new(MemoryStore::new()));
    let faults = format!("{:?}", Faults::default());
    assert_eq!(
        shown.replace(&faults, "F"),
        "FaultStore { inner: MemoryStore { .. }, faults: F, .. }"
    );
    let switch: Switch = world.store.faults().look_ups;
    sheet.hides(&switch);
    sheet.hides(&looked_up);
    sheet.hides(&synced);
    sheet.hides(Read {
        now: moment(),
        value: looked_up.found.clone(),
    });
    let found: FoundKey = looked_up.found.unwrap();
    sheet.hides(&found);
    sheet.shows(
        Use {
            digest: world.digest,
            at: moment(),
        },
        "Use { digest: KeyDigest(redacted), at: Timestamp(2030-01-31T12:00:00Z) }",
    );
    sheet.hides(Change {
        revision: 1,
        touched: Touched::added(&world.digest),
    });
    sheet.shows(
        Touched {
            place: Where::Shard(7),
            falsifies: Falsifies::Absence,
        },
        "Touched { place: Shard(7), falsifies: Absence }",
    );
    sheet.hides(Position {
        store: StoreId([7; 16]),
        revision: 1,
        nonce: 7,
    });
    sheet.shows(
        ListQuery::default(),
        "ListQuery { owner: None, after: None, limit: 0, status: None, environment: None, \
         expires_before: None }",
    );
    sheet.shows(Status::Active, "Active");
    sheet.shows(Provenance::AdminToken, "AdminToken");
    let metadata = Metadata::parse("{\"team\": 7}").unwrap();
    sheet.shows(metadata, "Metadata(\"{\\\"team\\\":7}\")");
    sheet.shows(Metadata::parse("[]").unwrap_err(), "NotAnObject");
    let not_json: InvalidMetadata = Metadata::parse(world.created.secret.expose()).unwrap_err();
    sheet.hides(not_json);
    sheet.shows(KeyName::parse("").unwrap_err(), "Empty");
    sheet.shows(KeyName::parse("ci").unwrap(), "KeyName(\"ci\")");
    sheet.shows(
        StoreError::new(StoreErrorKind::Unavailable, "reading"),
        "StoreError { kind: Unavailable, context: \"reading\", source: None }",
    );
    sheet.passes();
}

#[tokio::test]
async fn what_is_decided_about_keys() {
    let world = World::new().await;
    let mut sheet = Sheet::of(&world);
    let look_up = world.store.look_up(&world.digest, Source::Primary).await;
    let found = look_up.unwrap().found.unwrap();
    let record = found.record.clone();
    let previous = Previous {
        hint: record.hint.clone(),
        expires_at: moment(),
        last_used_at: None,
    };
    sheet.hides(&previous);
    let revocation = Revocation {
        at: moment(),
        by: Provenance::System,
        reason: None,
    };
    sheet.shows(
        &revocation,
        "Revocation { at: Timestamp(2030-01-31T12:00:00Z), by: System, reason: None }",
    );
    // Digests too, if not of keys: what they were made of can be guessed.
    let replay_key = ReplayKey(*world.digest.as_bytes());
    sheet.shows(replay_key, "ReplayKey(redacted)");
    let replay = Replay {
        request: *world.digest.as_bytes(),
        made: "key_2vQ9dKfTn0aYxZbC3LmP8s".parse().unwrap(),
        expires_at: moment(),
    };
    sheet.shows(
        &replay,
        "Replay { made: KeyId(\"key_2vQ9dKfTn0aYxZbC3LmP8s\"), expires_at: \
         Timestamp(2030-01-31T12:00:00Z), .. }",
    );
    sheet.shows(
        Subjects {
            caller: Some(world.digest),
            target: None,
            replay: Some(replay_key),
            count_owner: None,
            digest: Some(world.digest),
        },
        "Subjects { caller: Some(KeyDigest(redacted)), target: None, replay: \
         Some(ReplayKey(redacted)), count_owner: None, digest: Some(KeyDigest(redacted)) }",
    );
    sheet.hides(Rows {
        now: moment(),
        caller: Some(found.clone()),
        target: Some(record.clone()),
        replay: Some(replay.clone()),
        ever_had_a_key: true,
        live_keys: 1,
        digest_holder: Some(record.clone()),
        digest_ended: false,
    });
    let event: Event = revocation.event();
    sheet.hides(&event);
    let digest = world.digest;
    let rotated = KeyRecord {
        previous: Some(previous),
        ..record.clone()
    };
    for decision in [
        Decision::Insert {
            record: record.clone(),
            digest,
            replay: Some(replay),
            event: event.clone(),
        },
        Decision::Update {
            record: record.clone(),
            event: event.clone(),
        },
        Decision::Rotate {
            record: rotated,
            digest,
            event: event.clone(),
        },
        Decision::EndPrevious {
            record: record.clone(),
            event: event.clone(),
        },
    ] {
        sheet.hides(decision);
    }
    sheet.shows(Decision::Keep, "Keep");
    let whose = Whose::Owner(Owner::parse("acme-corp").unwrap());
    sheet.shows(&whose, "Owner(Owner(\"acme-corp\"))");
    sheet.hides(Decision::RevokeAll { whose, revocation });
    sheet.hides(Transacted {
        now: moment(),
        store: StoreId([7; 16]),
        revision: 1,
        outcome: Outcome::Committed {
            touched: vec![Touched::changed(&digest)],
            record,
        },
    });
    sheet.passes();
}

#[tokio::test]
async fn the_trail_of_keys() {
    let world = World::new().await;
    let mut sheet = Sheet::of(&world);
    let session = SessionId::parse("s1").unwrap();
    sheet.shows(&session, "SessionId(\"s1\")");
    let by = Provenance::Session(session);
    let event = Event::new(EventKind::PreviousEnded, by, moment());
    sheet.hides(EventDetail::default());
    sheet.hides(RecordedEvent {
        seq: 1,
        key: world.created.key.id.clone(),
        event,
    });
    sheet.hides(EventQuery::default());
    sheet.hides(Retention::default());
    sheet.hides(Pruned::default());
    sheet.passes();
}

#[tokio::test]
async fn the_embedded_store_and_its_options() {
    let world = World::new().await;
    let mut sheet = Sheet::of(&world);
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("keys.db").display());
    sheet.shows(
        SqliteStore::options(&url),
        "SqliteStoreOptions { migrate: true, clock: SystemClock, .. }",
    );
    let store = SqliteStore::connect(&url).await.unwrap();
    let file = folder.path().join("keys.db");
    sheet.shows(&store, format!("SqliteStore {{ file: {file:?}, .. }}"));
    // A database of the wrong kind may have a password in its URL.
    let other = format!("postgres://me:{TOKEN}@localhost/keys");
    sheet.hides(SqliteStore::options(&other));
    sheet.hides(SqliteStore::connect(&other).await.unwrap_err());
    sheet.passes();
}

#[tokio::test]
async fn the_store_for_many_replicas_and_its_options() {
    let world = World::new().await;
    let mut sheet = Sheet::of(&world);
    let url = format!("postgres://me:{TOKEN}@localhost:5433/keys");
    let replica = format!("postgres://me:{TOKEN}@replica/keys");
    sheet.shows(
        PostgresStore::options(&url).look_ups_at(&replica),
        "PostgresStoreOptions { server: Some(\"localhost:5433/keys\"), \
         look_ups_at: Some(\"replica:5432/keys\"), look_ups_through_a_pooler: false, \
         migrate: true, .. }",
    );
    // Nobody is there, and the error says so.
    sheet.hides(
        PostgresStore::connect(&format!("{url}?port=1"))
            .await
            .unwrap_err(),
    );
    // A database of the wrong kind may have a password in its URL.
    let other = format!("mysql://me:{TOKEN}@localhost/keys");
    sheet.hides(PostgresStore::options(&other));
    sheet.hides(PostgresStore::connect(&other).await.unwrap_err());
    let unreadable = format!("postgres://me:{TOKEN}@localhost:{TOKEN}/keys");
    sheet.hides(PostgresStore::options(&unreadable));
    sheet.hides(PostgresStore::connect(&unreadable).await.unwrap_err());
    sheet.passes();
}

/// A store on a stage, with nothing in it.
#[derive(Debug)]
struct Memory(MemoryStore);

#[async_trait::async_trait]
impl Backend for Memory {
    type Store = MemoryStore;

    const TAKES_A_CLOCK: bool = true;

    async fn create(clock: Arc<dyn Clock>) -> Self {
        Self(MemoryStore::with_clock(clock))
    }

    async fn open(&self) -> MemoryStore {
        self.0.clone()
    }

    async fn outlive_the_changes(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn what_tests_are_made_of() {
    let world = World::new().await;
    let mut sheet = Sheet::of(&world);
    let acme: CallerLayer = caller("acme-corp").key_id("key_2vQ9dKfTn0aYxZbC3LmP8s");
    let principal = format!("{:?}", acme.principal());
    sheet.shows(
        &acme,
        format!("CallerLayer {{ caller: Some({principal}), .. }}"),
    );
    sheet.shows(anonymous(), "CallerLayer { caller: None, .. }");
    // It makes a CallerService.
    sheet.shows(
        anonymous().layer("inside"),
        "CallerService { inner: \"inside\", caller: None, .. }",
    );
    let clock = FakeClock::new();
    sheet.hides(&clock);
    sheet.hides(Stage::direct::<Memory>().await);
    sheet.hides(Faults::default());
    sheet.shows(SystemClock, "SystemClock");
    sheet.shows(BootTime::from_nanos(7), "BootTime(7)");
    sheet.passes();
}

#[tokio::test]
async fn scopes_and_moments() {
    let world = World::new().await;
    let mut sheet = Sheet::of(&world);
    sheet.shows("a:b".parse::<Scope>().unwrap(), "Scope(\"a:b\")");
    sheet.shows("a:*".parse::<Grant>().unwrap(), "Grant(\"a:*\")");
    sheet.shows(
        ScopeSet::parse(["a:b"]).unwrap(),
        "ScopeSet([Grant(\"a:b\")])",
    );
    sheet.hides(Catalogue::new(["a:b"]).unwrap());
    sheet.hides(Role::new("a role", ScopeSet::empty()));
    let role: RoleName = "auditor".parse().unwrap();
    sheet.shows(&role, "RoleName(\"auditor\")");
    let roles = RoleSet::new([role.clone()]).unwrap();
    sheet.shows(roles, "RoleSet([RoleName(\"auditor\")])");
    sheet.hides(Roles::new([(role, ScopeSet::empty())]));
    let no_role: InvalidRole = "".parse::<RoleName>().unwrap_err();
    sheet.shows(no_role, "Empty");
    let only = Resources::new([("project", ["p1"])]).unwrap();
    sheet.shows(only, "Resources({\"project\": {\"p1\"}})");
    let no_kind = Resources::new([("", ["p1"])]).unwrap_err();
    assert!(matches!(no_kind, InvalidResources::Kind { .. }));
    sheet.shows(no_kind, "Kind { value: \"\" }");
    let office = AllowedIps::parse(["10.0.0.0/8"]).unwrap();
    sheet.shows(&office, "AllowedIps([10.0.0.0/8])");
    sheet.shows(Restrict::To(office), "To(AllowedIps([10.0.0.0/8]))");
    sheet.shows(InvalidAllowedIps::Empty, "Empty");
    sheet.shows(Demand::one("a:b"), "Demand(all of a:b)");
    let empty: InvalidScope = "".parse::<Scope>().unwrap_err();
    sheet.shows(empty, "Empty");
    let many = (0..999).map(|number| format!("a:{number}"));
    let many: InvalidScope = ScopeSet::parse(many).unwrap_err();
    assert!(matches!(&many, InvalidScope::TooMany(TooManyScopes { .. })));
    sheet.shows(many, "TooMany(TooManyScopes(()))");
    sheet.shows(moment(), "Timestamp(2030-01-31T12:00:00Z)");
    let not_a_time: InvalidTimestamp = Timestamp::parse("now").unwrap_err();
    sheet.shows(not_a_time, "NotRfc3339 { value: \"now\" }");
    let no_lifetime: InvalidLifetime = parse_lifetime("7").unwrap_err();
    sheet.shows(no_lifetime, "Unit { value: \"7\" }");
    sheet.passes();
}

/// Pinned where they are made.
const ELSEWHERE: [(&str, &str); 2] = [
    ("tests/gate/shown.rs", include_str!("gate/shown.rs")),
    (
        "src/keyring/tests/debug.rs",
        include_str!("../src/keyring/tests/debug.rs"),
    ),
];

/// Every `pub` type can be reached from the root: a lint sees to that.
fn public_types(folder: &Path, types: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            public_types(&path, types);
            continue;
        }
        // There for fuzz targets alone, which are built with a flag of their own.
        if path.ends_with("fuzzing.rs") {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for line in text.lines().map(str::trim_start) {
            let declared = line
                .strip_prefix("pub struct ")
                .or_else(|| line.strip_prefix("pub enum "));
            if let Some(declared) = declared {
                let name = |c: char| c.is_ascii_alphanumeric();
                types.insert(declared.chars().take_while(|c| name(*c)).collect());
            }
        }
    }
}

#[test]
fn no_public_type_is_forgotten() {
    let mut types = BTreeSet::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    public_types(&source, &mut types);
    assert!(types.contains("Principal") && types.len() > 80, "{types:?}");
    let here = include_str!("debug.rs");
    let is_in = |text: &str, name: &str| {
        text.split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| word == name)
    };
    types.retain(|name| !is_in(here, name) && !ELSEWHERE.iter().any(|(_, text)| is_in(text, name)));
    assert!(types.is_empty(), "shown in no test: {types:?}");
}
