//! How many bytes of bodies wait at a time, where anybody may send them.
//!
//! Each body has its limit, and of connections there can be any number. What counts is what has
//! come, and not what was announced: whoever sends slowly, or nothing at all, holds next to
//! nothing of what all share. The memory behind them may be up to twice as much: it grows by
//! doubling.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::admin::answer::Refused;
use crate::admin::body;

/// What a body takes up before its first byte has come.
const LEAST: usize = body::AHEAD;

/// Room for so many bytes.
#[derive(Debug)]
pub(super) struct Room(Arc<Semaphore>);

/// What one body takes of it, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Semaphore>,
    held: OwnedSemaphorePermit,
    /// How many more bytes may come before there has to be more room.
    ahead: usize,
}

impl Room {
    pub(super) fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes)))
    }

    /// Refused where there is no room left: nobody waits for it, since who waits takes room too.
    pub(super) fn place(&self) -> Result<Place, Refused> {
        Ok(Place {
            held: take(&self.0, LEAST)?,
            room: Arc::clone(&self.0),
            ahead: LEAST,
        })
    }
}

impl Place {
    /// So many bytes have come.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Refused> {
        let more = bytes.saturating_sub(self.ahead);
        if more > 0 {
            self.held.merge(take(&self.room, more)?);
        }
        self.ahead = self.ahead.saturating_sub(bytes);
        Ok(())
    }
}

fn take(room: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Refused> {
    let permits = u32::try_from(bytes).map_err(|_| Refused::overloaded())?;
    let held = Arc::clone(room).try_acquire_many_owned(permits);
    held.map_err(|_| Refused::overloaded())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_counts_until_it_is_let_go() {
        let room = Room::of(3 * LEAST);
        let mut one = room.place().unwrap();
        one.grow(LEAST - 1).unwrap();
        one.grow(1).unwrap();
        assert_eq!(room.0.available_permits(), 2 * LEAST, "that was ahead");
        one.grow(LEAST + 1).unwrap();
        assert!(room.place().is_err(), "too little is left");
        assert!(one.grow(LEAST).is_err());
        one.grow(LEAST - 1).unwrap();
        assert_eq!(room.0.available_permits(), 0);
        drop(one);
        assert_eq!(room.0.available_permits(), 3 * LEAST);
        assert!(room.place().is_ok());
    }

    #[test]
    fn no_number_of_bytes_wraps_around() {
        let room = Room::of(LEAST);
        let mut place = room.place().unwrap();
        assert!(place.grow(usize::MAX).is_err());
    }
}
