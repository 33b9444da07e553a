//! Whether a key may be made, after all that comes before has been found to be in order.

use std::net::IpAddr;

use super::Rules;
use super::entitlement::Minting;
use crate::admin::answer::Refused;
use crate::keyring::{Caller, Foreseen, Keyring, MadeElsewhere, Making, NewKey, WriteError};
use crate::store::Refusal;

/// Why a key was not made.
#[derive(Debug)]
pub(in crate::admin) enum NotMade {
    /// The keyring says so.
    Write(WriteError),
    /// The policy says so.
    Policy(Refused),
}

impl From<WriteError> for NotMade {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl Rules {
    /// Goes on only if this key may be made. To be asked right before it is: the limit counts it.
    ///
    /// Where the application or a rate has a say, this takes a transaction of its own, so that they
    /// are asked neither before it is known that everything else is in order, nor about a caller
    /// whom they do not bind. The number of keys is judged in it, for the order of answers, and
    /// again where the key is made, for good.
    pub(in crate::admin) async fn permit(
        &self,
        keyring: &Keyring,
        caller: &Caller,
        new: &NewKey,
        elsewhere: Option<&MadeElsewhere>,
        making: &Making,
        address: Option<IpAddr>,
    ) -> Result<(), NotMade> {
        if self.asking.is_none() && self.mint_limit.is_none() {
            return Ok(());
        }
        let foreseen = keyring.foresee(caller, new, elsewhere, making).await?;
        let Foreseen::Bound {
            owner,
            environment,
            limit_reached,
        } = foreseen
        else {
            return Ok(());
        };
        if let Some(asking) = &self.asking {
            let minting = Minting {
                by: caller.provenance(),
                owner: owner.clone(),
                environment,
                scopes: new.scopes.clone(),
                roles: new.roles.clone(),
            };
            asking.about(minting).await.map_err(NotMade::Policy)?;
        }
        if limit_reached {
            return Err(NotMade::Write(WriteError::Refused(
                Refusal::KeyLimitReached,
            )));
        }
        match &self.mint_limit {
            Some(limit) => limit.count(&owner, address).map_err(NotMade::Policy),
            None => Ok(()),
        }
    }

    /// One of many keys was not made, for another reason than this limit. Whether the caller is
    /// bound by it goes by what the gate knows: nothing is allowed by that.
    pub(in crate::admin) fn count_refused(
        &self,
        caller: &Caller,
        address: Option<IpAddr>,
    ) -> Result<(), Refused> {
        match (&self.mint_limit, caller.confined_to()) {
            (Some(limit), Some(owner)) => limit.count(owner, address),
            _ => Ok(()),
        }
    }
}
