//! The form of a key: what it begins with, and how many characters of what follow.

use std::ops::RangeInclusive;

use super::alphabet;
use super::format::TAIL_BYTES;

/// What the body of a foreign key is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Alphabet {
    /// `0-9a-f`. Upper case is another key, which nobody has issued.
    Hex,
    /// `0-9A-Za-z`.
    Base62,
    /// `0-9A-Za-z_-`.
    Base64Url,
}

/// How many characters the body of a foreign key has: so many, or from so many to so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BodyLength {
    pub(super) least: usize,
    pub(super) most: usize,
}

impl From<usize> for BodyLength {
    fn from(exactly: usize) -> Self {
        let (least, most) = (exactly, exactly);
        Self { least, most }
    }
}

impl From<RangeInclusive<usize>> for BodyLength {
    fn from(range: RangeInclusive<usize>) -> Self {
        let (least, most) = range.into_inner();
        Self { least, most }
    }
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            Self::Base62 => byte.is_ascii_alphanumeric(),
            Self::Base64Url => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
        }
    }

    fn spells(self, bytes: &[u8]) -> bool {
        match self {
            Self::Base62 => alphabet::is_base62(bytes),
            _ => bytes.iter().all(|&byte| self.has(byte)),
        }
    }
}

/// The form of a key, be it ours or another's, its checksum apart.
#[derive(Clone, Copy)]
pub(super) struct Shape<'a> {
    pub(super) prefix: &'a str,
    pub(super) alphabet: Alphabet,
    pub(super) body: BodyLength,
}

impl<'a> Shape<'a> {
    /// That of our own keys that begin with `prefix`.
    pub(super) fn of_our_own(prefix: &'a str) -> Self {
        Self {
            prefix,
            alphabet: Alphabet::Base62,
            body: TAIL_BYTES.into(),
        }
    }

    pub(super) fn includes(&self, text: &[u8]) -> bool {
        text.strip_prefix(self.prefix.as_bytes())
            .is_some_and(|body| {
                let BodyLength { least, most } = self.body;
                (least..=most).contains(&body.len()) && self.alphabet.spells(body)
            })
    }

    /// Whether `text` is the prefix and from 1 to `most` characters more.
    pub(super) fn begins(&self, text: &str, most: usize) -> bool {
        text.strip_prefix(self.prefix).is_some_and(|shown| {
            (1..=most).contains(&shown.len()) && self.alphabet.spells(shown.as_bytes())
        })
    }

    /// Whether there is a text that has both forms.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.bytes(), other.bytes());
        let as_long = ours.start() <= theirs.end() && theirs.start() <= ours.end();
        // Behind both prefixes all alphabets have the digits in common.
        let prefixed = self.prefix.len().max(other.prefix.len());
        as_long && (0..prefixed).all(|at| self.agrees_at(other, at))
    }

    fn bytes(&self) -> RangeInclusive<usize> {
        let BodyLength { least, most } = self.body;
        self.prefix.len() + least..=self.prefix.len() + most
    }

    /// Whether both may have the same byte at `at`.
    fn agrees_at(&self, other: &Self, at: usize) -> bool {
        let fixed = |shape: &Self| shape.prefix.as_bytes().get(at).copied();
        match (fixed(self), fixed(other)) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (Some(ours), None) => other.alphabet.has(ours),
            (None, Some(theirs)) => self.alphabet.has(theirs),
            (None, None) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A prefix, an alphabet and a length.
    type Form = (&'static str, Alphabet, RangeInclusive<usize>);

    fn shape((prefix, alphabet, body): Form) -> Shape<'static> {
        let body = body.into();
        Shape {
            prefix,
            alphabet,
            body,
        }
    }

    #[test]
    fn two_forms_overlap_if_there_is_a_text_of_both() {
        use Alphabet::{Base62, Base64Url, Hex};
        let ours = ("acme_live_", Base62, 38..=38);
        let beside_ours = [
            ("the very same", ours.clone(), true),
            ("our digits at least", ("acme_live_", Hex, 30..=50), true),
            ("any environment", ("acme_", Base64Url, 43..=43), true),
            ("all that begins so", ("a", Base64Url, 32..=64), true),
            ("another length", ("acme_live_", Hex, 48..=48), false),
            ("shorter", ("acme_live_", Base62, 20..=37), false),
            ("no underscore", ("acme", Base62, 44..=44), false),
            ("not our letters", ("ac", Hex, 46..=46), false),
            ("another case", ("Acme_live_", Base62, 38..=38), false),
        ];
        let beside_ours = beside_ours.map(|(name, form, both)| (name, ours.clone(), form, both));
        let (x40, x_y_38) = (("x_", Base64Url, 40..=40), ("x_y_", Hex, 38..=38));
        let beside_each_other = [
            (
                "lengths that touch",
                x40.clone(),
                ("x_", Hex, 30..=40),
                true,
            ),
            ("a longer prefix", x40.clone(), x_y_38.clone(), true),
            ("lengths apart", x40.clone(), ("x_", Hex, 30..=39), false),
            ("of another whole length", x40, ("x_0", Hex, 40..=40), false),
            ("not of the alphabet", ("x_", Hex, 40..=40), x_y_38, false),
        ];
        let cases = beside_ours.into_iter().chain(beside_each_other);
        for (name, one, other, expected) in cases {
            let (one, other) = (shape(one), shape(other));
            assert_eq!(one.overlaps(&other), expected, "{name}");
            assert_eq!(
                other.overlaps(&one),
                expected,
                "{name}, the other way round"
            );
        }
    }

    /// Short forms over a small world: what is said agrees with trying every text.
    #[test]
    fn what_is_said_agrees_with_every_text_tried() {
        let prefixes = ["a", "ab", "_", "a_", "az", "a-"];
        let alphabets = [Alphabet::Hex, Alphabet::Base62, Alphabet::Base64Url];
        let lengths = [1..=1, 1..=2, 2..=3];
        let texts: Vec<Vec<u8>> = (1..=5_u32)
            .flat_map(|length| (0..6_u32.pow(length)).map(move |number| (length, number)))
            .map(|(length, number)| {
                let digit = |at| b"az_-0b"[(number / 6_u32.pow(at) % 6) as usize];
                (0..length).map(digit).collect()
            })
            .collect();
        let mut forms = Vec::new();
        for prefix in prefixes {
            for alphabet in alphabets {
                forms.extend(
                    lengths
                        .iter()
                        .cloned()
                        .map(|body| shape((prefix, alphabet, body))),
                );
            }
        }
        for one in &forms {
            let of_one = texts.iter().filter(|text| one.includes(text));
            let of_one: Vec<_> = of_one.collect();
            for other in &forms {
                let of_both = of_one.iter().any(|text| other.includes(text));
                let (ours, theirs) = ((one.prefix, one.body), (other.prefix, other.body));
                assert_eq!(one.overlaps(other), of_both, "{ours:?} {theirs:?}");
            }
        }
    }
}
