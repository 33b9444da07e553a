//! From the answer to a revocation to the first refusal: how long it took, on the replica that
//! answered and on the others.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use crate::runner::history::{
    Answer, By, Change, History, Moment, Outcome, Request, SecretNumber, What,
};

/// Times, from the shortest to the longest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

/// What a history says about the speed of revocations, and about how much went on in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) requests: usize,
    pub(crate) accepted: usize,
    pub(crate) unavailable: usize,
    pub(crate) lost: usize,
    pub(crate) changes: usize,
    pub(crate) in_doubt: usize,
    pub(crate) here: Times,
    pub(crate) elsewhere: Times,
    /// How long after the acknowledgement the last request was sent that was still let in, where
    /// there was one.
    pub(crate) lived_on: Times,
}

impl Figures {
    pub(crate) fn of(history: &History) -> Self {
        let answers = |wanted: &Answer| {
            let requests = history.requests.iter();
            requests.filter(|request| request.answer == *wanted).count()
        };
        let doubts = |change: &&Change| change.outcome == Outcome::InDoubt;
        let mut figures = Self {
            requests: history.requests.len(),
            accepted: answers(&Answer::Accepted),
            unavailable: answers(&Answer::Unavailable),
            lost: answers(&Answer::Lost),
            changes: history.changes.len(),
            in_doubt: history.changes.iter().filter(doubts).count(),
            here: Times::default(),
            elsewhere: Times::default(),
            lived_on: Times::default(),
        };
        figures.measure(history);
        figures
    }

    fn measure(&mut self, history: &History) {
        let mut opened: HashMap<_, SecretNumber> = HashMap::new();
        let mut by_secret: HashMap<SecretNumber, Vec<&Request>> = HashMap::new();
        for request in &history.requests {
            by_secret.entry(request.secret).or_default().push(request);
        }
        for change in &history.changes {
            match change.what {
                What::Create(Some(secret)) | What::Rotate(Some(secret)) => {
                    opened.insert(change.key, secret);
                }
                What::Revoke if change.outcome == Outcome::Acknowledged => {
                    let requests = opened.get(&change.key).and_then(|s| by_secret.get(s));
                    let requests = requests.map_or(&[][..], Vec::as_slice);
                    let accepted = last_accepted(requests);
                    let late = accepted.values().filter(|&&sent| sent > change.ended);
                    let late = late.map(|sent| sent.saturating_sub(change.ended));
                    self.lived_on.0.extend(late);
                    for (replica, time) in refusals(change, requests, &accepted) {
                        if change.by == By::Replica(replica) {
                            self.here.0.push(time);
                        } else {
                            self.elsewhere.0.push(time);
                        }
                    }
                }
                _ => {}
            }
        }
        self.here.0.sort_unstable();
        self.elsewhere.0.sort_unstable();
        self.lived_on.0.sort_unstable();
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.accepted += other.accepted;
        self.unavailable += other.unavailable;
        self.lost += other.lost;
        self.changes += other.changes;
        self.in_doubt += other.in_doubt;
        for (ours, theirs) in [
            (&mut self.here, &other.here),
            (&mut self.elsewhere, &other.elsewhere),
            (&mut self.lived_on, &other.lived_on),
        ] {
            ours.0.extend_from_slice(&theirs.0);
            ours.0.sort_unstable();
        }
    }
}

/// When each replica was sent the last request that it let in.
fn last_accepted(requests: &[&Request]) -> HashMap<usize, Moment> {
    let mut accepted = HashMap::new();
    for request in requests {
        if request.answer == Answer::Accepted {
            let last = accepted.entry(request.replica).or_insert(request.sent);
            *last = (*last).max(request.sent);
        }
    }
    accepted
}

/// For each replica that was asked afterwards, the time from the acknowledgement to the answer of
/// the first refusal after the last acceptance.
fn refusals(
    change: &Change,
    requests: &[&Request],
    accepted: &HashMap<usize, Moment>,
) -> HashMap<usize, Duration> {
    let mut refused: HashMap<usize, Duration> = HashMap::new();
    for request in requests {
        let last = accepted.get(&request.replica);
        let after = last.is_none_or(|&last| request.sent > last);
        if request.answer == Answer::Refused && request.answered >= change.begun && after {
            let time = request.answered.saturating_sub(change.ended);
            let first = refused.entry(request.replica).or_insert(time);
            *first = (*first).min(time);
        }
    }
    refused
}

impl Times {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that so many in a thousand do not exceed.
    pub(crate) fn permille(&self, permille: usize) -> Duration {
        let rank = (self.0.len() * permille).div_ceil(1000);
        self.0
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn max(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        write!(
            f,
            "{:6}  p50 {:8.1}  p90 {:8.1}  p99 {:8.1}  max {:8.1} ms",
            self.len(),
            ms(self.permille(500)),
            ms(self.permille(900)),
            ms(self.permille(990)),
            ms(self.max())
        )
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            requests,
            accepted,
            unavailable,
            lost,
            changes,
            in_doubt,
            here,
            elsewhere,
            lived_on,
        } = self;
        writeln!(
            f,
            "  {requests} requests: {accepted} accepted, {unavailable} times 503, {lost} lost; \
             {changes} changes, {in_doubt} in doubt"
        )?;
        writeln!(f, "  revoked here      {here}")?;
        writeln!(f, "  revoked elsewhere {elsewhere}")?;
        write!(f, "  lived on          {lived_on}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rank_is_the_nearest_one_above() {
        let times = Times((1..=200).map(Duration::from_millis).collect());
        assert_eq!(times.permille(500), Duration::from_millis(100));
        assert_eq!(times.permille(990), Duration::from_millis(198));
        assert_eq!(times.max(), Duration::from_millis(200));
        assert_eq!(Times::default().permille(990), Duration::ZERO);
    }

    #[test]
    fn figures_are_added_up() {
        let times =
            |millis: &[u64]| Times(millis.iter().copied().map(Duration::from_millis).collect());
        let of = |requests, millis| Figures {
            requests,
            elsewhere: times(millis),
            ..Figures::default()
        };
        let mut figures = of(3, &[1, 5]);
        figures.add(&of(4, &[2, 9]));
        assert_eq!(figures.requests, 7);
        assert_eq!(figures.elsewhere.0, times(&[1, 2, 5, 9]).0);
    }
}
