//! Which key a request comes with.
//!
//! Zipf's law with exponent 1, in steps: half of the keys are the rarest and get as many requests,
//! taken together, as the next quarter, as the next eighth, and so on down to the one key that
//! gets as many by itself. Sums over a hundred million keys are then sums over 27 octaves.

use super::chance::Chance;

/// Keys that are equally popular.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Octave {
    pub(crate) first: u32,
    pub(crate) keys: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Popularity(Vec<Octave>);

impl Popularity {
    pub(crate) fn of(keys: u32) -> Self {
        let mut octaves = Vec::new();
        let mut end = keys;
        while end > 0 {
            let first = end / 2;
            let keys = end - first;
            octaves.push(Octave { first, keys });
            end = first;
        }
        Self(octaves)
    }

    pub(crate) fn draw(&self, chance: &mut Chance) -> u32 {
        let octaves = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        let octave = self.0[chance.below(octaves) as usize];
        octave.first + chance.below(octave.keys)
    }

    /// The octaves, each with the share of all requests that one key of it gets.
    pub(crate) fn octaves(&self) -> impl Iterator<Item = (Octave, f64)> + '_ {
        let octaves = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0
            .iter()
            .map(move |&octave| (octave, 1.0 / f64::from(octaves) / f64::from(octave.keys)))
    }
}
