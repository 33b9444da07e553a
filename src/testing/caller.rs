//! Somebody who calls, without a key.

#![expect(
    clippy::panic,
    reason = "in a test the place that asked for the impossible is what one wants to be shown"
)]

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::key::{Environment, KeyDigest, KeyHint, KeyId};
use crate::keyring::{Keyring, Usage};
use crate::layer::{
    Authentication, Gate, ProblemTypes, Realm, Responder, ResponseBody, ResponseFuture,
};
use crate::principal::{Known, Principal, Span};
use crate::resources::Resources;
use crate::scope::{RoleName, RoleSet, Roles, ScopeSet};
use crate::store::{FoundKey, KeyName, KeyRecord, MemoryStore, Metadata, Owner, Provenance};
use crate::timestamp::Timestamp;

/// Stands in for [`ApiKeyLayer`](crate::ApiKeyLayer) in tests of one's own handlers: every request
/// comes from the same [`caller`], or from nobody if [`anonymous`].
///
/// **IT LETS EVERYBODY IN, WHATEVER KEY THEY PRESENT OR DO NOT. NEVER PUT IT IN FRONT OF A SERVICE
/// THAT ANYBODY CAN REACH.**
///
/// Further in all is as in production: extractors and [`require_scope`](crate::require_scope)
/// judge what the caller was given, and refuse with the same status, challenge and body. Headers
/// are neither read nor taken away. It takes no keyring and no runtime, and no keyring takes its
/// word: a real layer further in asks for a key, and so does the admin router.
///
/// What an application sets on its `ApiKeyLayer` to change the answers, it sets here too:
/// [`realm`](Self::realm), [`problem_types`](Self::problem_types), [`responder`](Self::responder),
/// [`grpc`](Self::grpc).
///
/// # Panics
///
/// What is impossible for a key is impossible here: each method panics at the place that calls
/// it, with the offending value.
#[derive(Clone)]
#[must_use]
pub struct CallerLayer {
    /// `None` is nobody.
    key: Option<KeyRecord>,
    /// What each of its roles grants.
    roles: Vec<(RoleName, ScopeSet)>,
    in_outage: bool,
    gate: Gate,
}

/// A caller whose key belongs to this owner. It grants nothing until it is given
/// [`scopes`](CallerLayer::scopes); its name is `test`, its environment `live`, it never expires,
/// and its id is drawn at random. The methods of [`CallerLayer`] replace each of these.
///
/// **AS A LAYER IT LETS EVERYBODY IN.** As a [`Principal`] it serves tests of plain functions:
///
/// ```
/// use portcullis::{Principal, testing};
///
/// fn may_export(caller: &Principal) -> bool {
///     caller.owner() == "acme-corp" || caller.has_scope("export:everything")
/// }
///
/// assert!(may_export(&testing::caller("acme-corp").principal()));
/// assert!(!may_export(&testing::caller("initech").principal()));
/// assert!(may_export(&testing::caller("initech").scopes(["export:*"]).principal()));
/// ```
///
/// # Panics
///
/// If nothing can belong to this owner, because the text is empty, too long, or has control
/// characters.
#[track_caller]
pub fn caller(owner: &str) -> CallerLayer {
    let owner = match Owner::parse(owner) {
        Ok(owner) => owner,
        Err(why) => panic!("the owner {owner:?} of a test caller {why}"),
    };
    CallerLayer {
        key: Some(KeyRecord {
            id: expect("an id", KeyId::generate()),
            name: expect("its name", KeyName::parse("test")),
            owner,
            environment: expect("its environment", "live".parse()),
            hint: expect("its hint", KeyHint::from_stored("test_live_0000")),
            scopes: ScopeSet::empty(),
            roles: RoleSet::empty(),
            resources: None,
            allowed_ips: None,
            enabled: true,
            created_at: Timestamp::UNIX_EPOCH,
            created_by: Provenance::System,
            expires_at: None,
            revoked: None,
            metadata: Metadata::default(),
            last_used_at: None,
            previous: None,
        }),
        roles: Vec::new(),
        in_outage: false,
        gate: gate(),
    }
}

/// Nobody: a request without a key, let pass by a layer that is
/// [`optional`](crate::ApiKeyLayer::optional). What demands a key answers 401.
///
/// **AS A LAYER IT LETS EVERYBODY PASS.**
#[track_caller]
pub fn anonymous() -> CallerLayer {
    CallerLayer {
        key: None,
        roles: Vec::new(),
        in_outage: false,
        gate: gate(),
    }
}

/// A gate as it is by default, of a keyring that is nobody else's and holds no key.
#[track_caller]
fn gate() -> Gate {
    let builder = Keyring::builder(MemoryStore::new()).prefix("test");
    Gate::new(expect("a keyring", builder.capacity(1, 1).build_idle()))
}

#[track_caller]
fn expect<T, E: fmt::Display>(what: &str, made: Result<T, E>) -> T {
    match made {
        Ok(made) => made,
        Err(why) => panic!("a test caller without {what}: {why}"),
    }
}

impl CallerLayer {
    /// What the caller's key grants, wildcards included.
    ///
    /// # Panics
    ///
    /// If no key can be given one of these, or so many; or if the caller is anonymous.
    #[track_caller]
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let key = self.key_mut("scopes");
        match ScopeSet::parse(scopes) {
            Ok(scopes) => key.scopes = scopes,
            Err(why) => panic!("a scope that no test caller can hold: {why}"),
        }
        self
    }

    /// A role of the caller's key, besides those that it has, and what the application says that
    /// it grants: no keyring is asked.
    ///
    /// # Panics
    ///
    /// If there can be no such role, or if the caller is anonymous.
    #[track_caller]
    pub fn role(mut self, name: &str, grants: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let key = self.key_mut("role");
        let names = key.roles.iter().map(RoleName::as_str).chain([name]);
        key.roles = match RoleSet::parse(names) {
            Ok(roles) => roles,
            Err(why) => panic!("a role that no test caller can have: {why}"),
        };
        match (name.parse(), ScopeSet::parse(grants)) {
            (Ok(name), Ok(grants)) => self.roles.push((name, grants)),
            (Err(why), _) => panic!("a role that no test caller can have: {why}"),
            (_, Err(why)) => panic!("the role {name:?} of a test caller cannot grant this: {why}"),
        }
        self
    }

    /// What the caller's key is restricted to: of each kind these ids. Without a call it may be
    /// used on everything, and with none named on nothing.
    ///
    /// # Panics
    ///
    /// If no key can be restricted so, or if the caller is anonymous.
    #[track_caller]
    pub fn resources<K, I>(mut self, resources: impl IntoIterator<Item = (K, I)>) -> Self
    where
        K: AsRef<str>,
        I: IntoIterator<Item: AsRef<str>>,
    {
        let key = self.key_mut("resources");
        match Resources::new(resources) {
            Ok(resources) => key.resources = Some(resources),
            Err(why) => panic!("resources that no test caller can have: {why}"),
        }
        self
    }

    /// What a person called the key.
    ///
    /// # Panics
    ///
    /// If no key can be called this, or if the caller is anonymous.
    #[track_caller]
    pub fn name(mut self, name: &str) -> Self {
        let key = self.key_mut("name");
        match KeyName::parse(name) {
            Ok(name) => key.name = name,
            Err(why) => panic!("the name {name:?} of a test caller {why}"),
        }
        self
    }

    /// The environment that is spelled out in the key.
    ///
    /// # Panics
    ///
    /// If no environment can have this name, or if the caller is anonymous.
    #[track_caller]
    pub fn environment(mut self, environment: &str) -> Self {
        let key = self.key_mut("environment");
        match environment.parse::<Environment>() {
            Ok(environment) => key.environment = environment,
            Err(why) => panic!("the environment {environment:?} of a test caller: {why}"),
        }
        self
    }

    /// The id of the key, where a test has to know it.
    ///
    /// # Panics
    ///
    /// If it is no id of a key, or if the caller is anonymous.
    #[track_caller]
    pub fn key_id(mut self, id: &str) -> Self {
        let key = self.key_mut("id");
        match id.parse() {
            Ok(id) => key.id = id,
            Err(why) => panic!("the id {id:?} of a test caller: {why}"),
        }
        self
    }

    /// When the key's life ends, for handlers that show it. Nothing here looks at a clock: the
    /// caller is let in all the same.
    ///
    /// # Panics
    ///
    /// If the caller is anonymous.
    #[track_caller]
    pub fn expires_at(mut self, end: Timestamp) -> Self {
        self.key_mut("end").expires_at = Some(end);
        self
    }

    /// The caller is one whose key nobody could look up, let in under an outage grace: its
    /// [`Principal::is_judged_in_outage`] is `true`.
    ///
    /// # Panics
    ///
    /// If the caller is anonymous.
    #[track_caller]
    pub fn judged_in_outage(mut self) -> Self {
        self.key_mut("outage");
        self.in_outage = true;
        self
    }

    /// See [`ApiKeyLayer::realm`](crate::ApiKeyLayer::realm).
    ///
    /// # Panics
    ///
    /// If no header can carry it.
    #[track_caller]
    pub fn realm(mut self, realm: &str) -> Self {
        match Realm::new(realm) {
            Ok(realm) => self.gate.answers.in_realm(realm),
            Err(why) => panic!("{why}"),
        }
        self
    }

    /// See [`ApiKeyLayer::problem_types`](crate::ApiKeyLayer::problem_types).
    ///
    /// # Panics
    ///
    /// If it is not an absolute http or https URL.
    #[track_caller]
    pub fn problem_types(mut self, base: &str) -> Self {
        match ProblemTypes::at(base) {
            Ok(types) => self.gate.answers.with_types(types),
            Err(why) => panic!("{why}"),
        }
        self
    }

    /// See [`ApiKeyLayer::responder`](crate::ApiKeyLayer::responder).
    pub fn responder(mut self, responder: impl Responder) -> Self {
        self.gate.responder = Some(Arc::new(responder));
        self
    }

    /// See [`ApiKeyLayer::grpc`](crate::ApiKeyLayer::grpc).
    pub fn grpc(mut self) -> Self {
        self.gate.grpc = true;
        self
    }

    /// The caller as a value, for tests of functions that take one.
    ///
    /// # Panics
    ///
    /// If the caller is anonymous.
    #[must_use]
    #[track_caller]
    pub fn principal(&self) -> Principal {
        match self.found() {
            Some(principal) => principal,
            None => panic!("an anonymous caller is no principal"),
        }
    }

    fn found(&self) -> Option<Principal> {
        let record = self.key.clone()?;
        // There is no secret; this is what no secret has.
        let digest = KeyDigest::of(record.id.as_str().as_bytes());
        let found = FoundKey {
            record,
            secret_expires_at: None,
            secret_last_used_at: None,
        };
        let (usage, roles) = (Arc::new(Usage::default()), Roles::new(self.roles.clone()));
        let known = Arc::new(Known::new(found, digest, 0, Span::ENDLESS, usage, &roles));
        Some(if self.in_outage {
            Principal::in_outage(known)
        } else {
            Principal::new(known)
        })
    }

    #[track_caller]
    fn key_mut(&mut self, what: &str) -> &mut KeyRecord {
        match &mut self.key {
            Some(key) => key,
            None => panic!("an anonymous caller has no key, and so no {what}"),
        }
    }
}

impl<S> Layer<S> for CallerLayer {
    type Service = CallerService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        tracing::warn!("a test caller stands in for ApiKeyLayer: everybody is let in");
        CallerService {
            inner,
            principal: self.found(),
            gate: Arc::new(self.gate.clone()),
        }
    }
}

impl fmt::Debug for CallerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerLayer")
            .field("caller", &self.found())
            .finish_non_exhaustive()
    }
}

/// The service that [`CallerLayer`] makes. **IT LETS EVERYBODY IN.**
#[derive(Clone)]
pub struct CallerService<S> {
    inner: S,
    principal: Option<Principal>,
    gate: Arc<Gate>,
}

/// As [`ApiKeyService`](crate::layer::ApiKeyService) answers, so that one can take the place of
/// the other.
impl<S, B, R> Service<Request<B>> for CallerService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(Authentication {
            principal: self.principal.clone(),
            gate: Arc::clone(&self.gate),
        });
        ResponseFuture::behind(&self.gate, self.inner.call(request))
    }
}

impl<S: fmt::Debug> fmt::Debug for CallerService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerService")
            .field("inner", &self.inner)
            .field("caller", &self.principal)
            .finish_non_exhaustive()
    }
}
