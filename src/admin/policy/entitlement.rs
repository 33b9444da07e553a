//! Asking the application whether somebody is entitled to a key.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use tokio::time::timeout;
use tracing::Instrument as _;

use crate::admin::answer::Refused;
use crate::key::Environment;
use crate::scope::{RoleSet, ScopeSet};
use crate::store::{Owner, Provenance};

/// Says whether an owner is entitled to a key: by a plan, a payment, a contract.
///
/// A closure will do:
///
/// ```
/// use portcullis::admin::{Minting, Policy};
/// # async fn plan_of(_: &str) -> Result<String, std::io::Error> { Ok("team".into()) }
///
/// let policy = Policy::new().entitlement(async |minting: Minting| {
///     let plan = plan_of(minting.owner.as_str()).await?;
///     Ok::<_, std::io::Error>(plan != "free")
/// });
/// # let _ = policy;
/// ```
#[async_trait]
pub trait Entitlement: Send + Sync + 'static {
    /// Whether this key may be made. An error is logged and answered with 503, since nobody knows
    /// then; it must hold nothing secret.
    ///
    /// Nothing is made yet when this is asked, and it need not be made afterwards. The call is cut
    /// short at its deadline, and goes on if whoever asked for the key has left.
    async fn is_entitled(&self, minting: Minting) -> Result<bool, Box<dyn Error + Send + Sync>>;
}

#[async_trait]
impl<F, Answer, E> Entitlement for F
where
    F: Fn(Minting) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Result<bool, E>> + Send,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    async fn is_entitled(&self, minting: Minting) -> Result<bool, Box<dyn Error + Send + Sync>> {
        self(minting).await.map_err(Into::into)
    }
}

/// A key that somebody wants to have made. Whoever asks has been found to hold all of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Minting {
    /// Who asks.
    pub by: Provenance,
    /// Whose key it is to be.
    pub owner: Owner,
    /// Of which environment.
    pub environment: Environment,
    /// What it is to grant by itself.
    pub scopes: ScopeSet,
    /// What it is to grant besides.
    pub roles: RoleSet,
}

/// Whom to ask, and how long to wait.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) entitlement: Arc<dyn Entitlement>,
    pub(super) deadline: Duration,
}

impl Asking {
    /// Goes on only if the answer is yes.
    pub(super) async fn about(&self, minting: Minting) -> Result<(), Refused> {
        let entitlement = Arc::clone(&self.entitlement);
        // On a task of its own, so that a panic is an answer, too.
        let asked = async move { entitlement.is_entitled(minting).await };
        let mut asked = tokio::spawn(asked.in_current_span());
        let what = "nobody could say whether an owner is entitled to a key";
        match timeout(self.deadline, &mut asked).await {
            Ok(Ok(Ok(true))) => return Ok(()),
            Ok(Ok(Ok(false))) => {
                let refused = Refused::problem(StatusCode::FORBIDDEN, "entitlement_required");
                return Err(refused.because("the owner is not entitled to make keys"));
            }
            Ok(Ok(Err(error))) => {
                let error: &(dyn Error + 'static) = &*error;
                tracing::error!(error, "{what}");
            }
            Ok(Err(panic)) => {
                let error: &(dyn Error + 'static) = &panic;
                tracing::error!(error, "{what}");
            }
            Err(_) => {
                asked.abort();
                tracing::error!(deadline = ?self.deadline, "{what}: it took too long");
            }
        }
        Err(Refused::unavailable())
    }
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
