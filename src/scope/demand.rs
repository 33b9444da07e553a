//! What a route asks for.

use std::{fmt, sync::Arc};

use super::{InvalidScope, Scope, ScopeSet};

/// The scopes that a route asks for: all of them, or any one of them.
///
/// There is at least one, and none has a wildcard; they are sorted and each is there once. A demand
/// that nobody could ever meet is a mistake in the program, so the constructors panic where it is
/// written instead of refusing every request later. Cloning is cheap.
///
/// ```
/// use portcullis::scope::{Demand, ScopeSet};
///
/// let held = ScopeSet::parse(["reports:read"])?;
/// assert!(Demand::any(["reports:write", "reports:read"]).met_by(&held));
/// assert!(!Demand::all(["reports:write", "reports:read"]).met_by(&held));
/// # Ok::<(), portcullis::scope::InvalidScope>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Demand {
    rule: Rule,
    scopes: Arc<[Scope]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    All,
    Any,
}

impl Demand {
    /// Asks for this one scope.
    ///
    /// # Panics
    ///
    /// If `scope` is not a plain [`Scope`].
    ///
    /// ```
    /// use portcullis::scope::{Demand, ScopeSet};
    ///
    /// assert!(Demand::one("reports:read").met_by(&ScopeSet::parse(["reports:*"])?));
    /// # Ok::<(), portcullis::scope::InvalidScope>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn one(scope: &str) -> Self {
        Self::all([scope])
    }

    /// Asks for every one of these scopes.
    ///
    /// # Panics
    ///
    /// If one of them is not a plain [`Scope`], or there is none.
    #[track_caller]
    #[must_use]
    pub fn all(scopes: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self::new(Rule::All, parse(scopes))
    }

    /// Asks for at least one of these scopes.
    ///
    /// # Panics
    ///
    /// If one of them is not a plain [`Scope`], or there is none.
    #[track_caller]
    #[must_use]
    pub fn any(scopes: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self::new(Rule::Any, parse(scopes))
    }

    #[track_caller]
    #[expect(
        clippy::panic,
        reason = "documented: an impossible demand is a mistake at the caller's line"
    )]
    fn new(rule: Rule, scopes: Result<Vec<Scope>, InvalidScope>) -> Self {
        let mut scopes = match scopes {
            Ok(scopes) if scopes.is_empty() => {
                panic!(
                    "impossible demand: the list of scopes `[]` is empty; name at least one scope"
                )
            }
            Ok(scopes) => scopes,
            Err(why) => panic!("impossible demand: {why}"),
        };
        scopes.sort_unstable();
        scopes.dedup();
        Self {
            rule,
            scopes: scopes.into(),
        }
    }

    /// Whether someone who holds `granted` may pass. Does not allocate.
    #[must_use]
    pub fn met_by(&self, granted: &ScopeSet) -> bool {
        match self.rule {
            Rule::All => self.scopes.iter().all(|scope| granted.allows(scope)),
            Rule::Any => self.scopes.iter().any(|scope| granted.allows(scope)),
        }
    }

    /// The scopes that are named, sorted: all that is needed, or the alternatives.
    ///
    /// ```
    /// use portcullis::scope::Demand;
    ///
    /// let demand = Demand::all(["b", "a", "b"]);
    /// assert!(demand.scopes().iter().map(|scope| scope.as_str()).eq(["a", "b"]));
    /// ```
    #[must_use]
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// The value of `scope` in a challenge: the scopes, sorted, with a space between them.
    ///
    /// A scope has neither `"` nor `\`, so the value can be quoted as it is.
    pub(crate) fn challenge_value(&self) -> String {
        let names: Vec<&str> = self.scopes.iter().map(Scope::as_str).collect();
        names.join(" ")
    }
}

/// A function of its own, so that a panic is raised outside any closure: only there does it report
/// the caller's line.
fn parse(scopes: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Vec<Scope>, InvalidScope> {
    scopes
        .into_iter()
        .map(|scope| scope.as_ref().parse())
        .collect()
}

impl fmt::Debug for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = match self.rule {
            Rule::All => "all",
            Rule::Any => "any",
        };
        write!(f, "Demand({rule} of {})", self.challenge_value())
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, panic, sync::Once};

    use super::Demand;
    use crate::scope::ScopeSet;

    #[test]
    fn a_demand_is_met_by_these_grants_only() {
        let (all, any) = (Demand::all(["b:x", "a"]), Demand::any(["b:x", "a"]));
        let cases = [
            ("nothing meets nothing", "", false, false),
            ("one of two meets any", "a", false, true),
            ("the other one, too", "b:x", false, true),
            ("both meet all", "a b:x", true, true),
            ("a wildcard counts", "a b:*", true, true),
            ("the full wildcard counts", "*", true, true),
            ("something else does not", "c", false, false),
        ];
        for (sentence, held, meets_all, meets_any) in cases {
            let held = ScopeSet::from_stored(held).unwrap();
            assert_eq!(all.met_by(&held), meets_all, "{sentence}");
            assert_eq!(any.met_by(&held), meets_any, "{sentence}");
        }
        let everything = ScopeSet::from_stored("*").unwrap();
        assert!(
            !Demand::one("keys:read").met_by(&everything),
            "reserved scopes are named or not held"
        );
    }

    #[test]
    fn a_challenge_names_the_scopes_sorted_and_once() {
        let demand = Demand::any(["b", "keys:read", "a", "b"]);
        assert_eq!(demand.challenge_value(), "a b keys:read");
        let names = demand.scopes().iter().map(AsRef::as_ref);
        assert_eq!(names.collect::<Vec<&str>>(), ["a", "b", "keys:read"]);
        assert_eq!(format!("{demand:?}"), "Demand(any of a b keys:read)");
        assert_eq!(format!("{:?}", Demand::one("a")), "Demand(all of a)");
    }

    #[test]
    fn an_impossible_demand_panics_and_says_what_would_be_possible() {
        type Case = (fn() -> Demand, &'static str);
        let cases: [Case; 5] = [
            (|| Demand::one("a b"), "`a b` has the character ` `"),
            (|| Demand::any(["a", "a:*"]), "`a:*` has a wildcard"),
            (|| Demand::all(["keys:x"]), "`keys:x` is in the reserved"),
            (|| Demand::all([""; 0]), "name at least one scope"),
            (|| Demand::any([""; 0]), "name at least one scope"),
        ];
        for (build, expected) in cases {
            let (said, ..) = panic_of(build);
            assert!(said.starts_with("impossible demand: "), "{said}");
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn an_impossible_demand_blames_the_line_where_it_is_written() {
        let cases: [(fn() -> Demand, u32); 4] = [
            (|| Demand::one("*"), line!()),
            (|| Demand::all(["*"]), line!()),
            (|| Demand::any(["*"]), line!()),
            (|| Demand::any([""; 0]), line!()),
        ];
        for (build, line) in cases {
            let (said, blamed_file, blamed_line) = panic_of(build);
            assert_eq!((&*blamed_file, blamed_line), (file!(), line), "{said}");
        }
    }

    /// What a panic says, and the file and line that it blames.
    type Panic = (String, String, u32);

    /// The panic of `build`.
    fn panic_of(build: fn() -> Demand) -> Panic {
        thread_local! {
            static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) };
        }
        static HOOK: Once = Once::new();
        // Tests share the process: the hook stays, notes for its own thread only, and passes on.
        HOOK.call_once(|| {
            let next = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                let said = info.payload_as_str().unwrap_or_default().to_owned();
                let place = info.location().map(|at| (at.file().to_owned(), at.line()));
                LAST.set(place.map(|(file, line)| (said, file, line)));
                next(info);
            }));
        });
        let caught = panic::catch_unwind(build);
        assert!(caught.is_err(), "{caught:?} is no impossible demand");
        LAST.take().unwrap()
    }
}
