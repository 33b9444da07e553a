//! Chance that repeats itself, to the last digit and on every machine.
//!
//! Only whole numbers are drawn and compared: logarithms differ in their last bit from one C
//! library to the next, and one bit is enough to send a run another way.

/// A seeded generator (`SplitMix64`).
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(mixed(seed))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        // The upper half of a product spreads evenly, and takes no division.
        let high = (self.next() >> 32) * u64::from(bound);
        u32::try_from(high >> 32).unwrap_or(u32::MAX)
    }

    /// A number from 0 up to 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        fraction(self.next())
    }

    /// How long it takes until something happens that happens once in a unit of time on average,
    /// by von Neumann's method: uniform numbers are drawn as long as they fall, and the first of
    /// an odd run is the fraction.
    pub(crate) fn wait(&mut self) -> f64 {
        let mut whole = 0_u32;
        loop {
            let first = self.next();
            let (mut last, mut odd) = (first, true);
            loop {
                let next = self.next();
                if next >= last {
                    break;
                }
                (last, odd) = (next, !odd);
            }
            if odd {
                return f64::from(whole) + fraction(first);
            }
            whole += 1;
        }
    }
}

/// Spreads a number over all 64 bits.
pub(crate) fn mixed(number: u64) -> u64 {
    let mut z = number ^ 0x5851_f42d_4c95_7f2d;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn fraction(number: u64) -> f64 {
    let upper = u32::try_from(number >> 32).unwrap_or(u32::MAX);
    f64::from(upper) / 4_294_967_296.0
}
