//! How a replica follows the history: one sync after another, begun by a poll, a nudge, or a write
//! of its own that finds others before it.

use std::collections::VecDeque;

/// Who wants a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The task that keeps in step.
    Follower,
    /// A write of this replica's own, at this revision, that has not been answered yet.
    Write(u64),
}

/// What the task that keeps in step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// The next poll, unless a nudge comes first. Polls that were overtaken are told by number.
    Poll,
    /// The end of the gap in which nudges are gathered.
    Gap,
    /// Its sync.
    Sync,
}

/// What is to happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    SyncAfterGap,
    Poll(u32),
}

#[derive(Debug)]
pub(crate) struct Following {
    rest: Rest,
    poll: u32,
    /// A nudge came that nobody was waiting for.
    nudged: bool,
    /// One sync at a time; the first of these is under way.
    askers: VecDeque<Asker>,
    /// Up to where change rows were applied.
    pub(crate) applied: u64,
    /// Up to where all changes are known of, be it by a write of one's own.
    pub(crate) seamless: u64,
}

impl Following {
    pub(crate) fn new() -> Self {
        Self {
            rest: Rest::Poll,
            poll: 0,
            nudged: false,
            askers: VecDeque::new(),
            applied: 0,
            seamless: 0,
        }
    }

    pub(crate) fn nudge(&mut self) -> Option<Next> {
        if self.rest != Rest::Poll {
            self.nudged = true;
            return None;
        }
        self.rest = Rest::Gap;
        Some(Next::SyncAfterGap)
    }

    pub(crate) fn is_due(&self, poll: u32) -> bool {
        self.rest == Rest::Poll && self.poll == poll
    }

    /// Whether the sync can be sent at once.
    pub(crate) fn ask(&mut self, asker: Asker) -> bool {
        if asker == Asker::Follower {
            self.rest = Rest::Sync;
        }
        self.askers.push_back(asker);
        self.askers.len() == 1
    }

    /// The sync under way is done: for whom?
    pub(crate) fn done(&mut self) -> Option<Asker> {
        self.askers.pop_front()
    }

    /// A write behind it in the queue, for which that sync did as well.
    pub(crate) fn settled(&mut self) -> Option<Asker> {
        let seamless = self.seamless;
        self.askers
            .pop_front_if(|asker| matches!(*asker, Asker::Write(revision) if revision <= seamless))
    }

    /// Whether somebody waits for another one.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.askers.is_empty()
    }

    /// The task's sync is done.
    pub(crate) fn rest(&mut self) -> Next {
        if std::mem::take(&mut self.nudged) {
            self.rest = Rest::Gap;
            return Next::SyncAfterGap;
        }
        self.rest = Rest::Poll;
        self.poll += 1;
        Next::Poll(self.poll)
    }
}
