//! Who of several replicas holds a lease, as a decision without I/O.
//!
//! The record of a lease names its holder and for how long it counts from each renewal. Nobody compares another's clock with
//! its own: a record counts for its duration from the moment at which *this* replica saw it differ from what it saw before. The
//! holder stops believing in its lease a good while before anybody else may take it.

use std::time::Duration;

use tokio::time::Instant;

/// How long things take; the defaults are those of Kubernetes' own components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// For how long a record counts.
    pub lease: Duration,
    /// For how long after a renewal its holder believes in it.
    pub renew: Duration,
    /// How often the holder renews, and others look.
    pub retry: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            renew: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// What a lease says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Record {
    /// Who holds it; empty: nobody.
    pub holder: String,
    /// For how long it counts.
    pub lasts: Duration,
    /// Since when it has this holder, by the holder's clock. For people.
    pub acquired: String,
    /// When it was renewed, by the holder's clock: that it differs is what counts.
    pub renewed: String,
    /// How often it has changed hands.
    pub transitions: i64,
}

/// One replica's view of a lease.
#[derive(Debug)]
pub(super) struct Election {
    me: String,
    times: Times,
    seen: Option<Seen>,
    /// When the last renewal that succeeded was asked for.
    renewed: Option<Instant>,
}

#[derive(Debug)]
struct Seen {
    record: Record,
    version: String,
    /// Since when the record has been as it is, as far as this replica knows.
    since: Instant,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Move {
    /// Nothing: it is another's.
    Wait,
    /// Create the lease, which is not there.
    Create(Record),
    /// Write this record in place of the one of this version, and only of that.
    Replace(Record, String),
}

impl Election {
    pub(super) fn new(me: impl Into<String>, times: Times) -> Self {
        Self {
            me: me.into(),
            times,
            seen: None,
            renewed: None,
        }
    }

    /// What the server has: a record and its version, or nothing.
    pub(super) fn observe(&mut self, found: Option<(Record, String)>, now: Instant) {
        let Some((record, version)) = found else {
            self.seen = None;
            self.renewed = None;
            return;
        };
        if record.holder != self.me {
            self.renewed = None;
        }
        let known = self.seen.as_ref().filter(|seen| seen.record == record);
        let since = known.map_or(now, |seen| seen.since);
        self.seen = Some(Seen {
            record,
            version,
            since,
        });
    }

    /// What to do at `now`, when the own clock says `time`.
    pub(super) fn next(&self, now: Instant, time: &str) -> Move {
        let Some(Seen {
            record,
            version,
            since,
        }) = &self.seen
        else {
            return Move::Create(self.mine(time, time, 0));
        };
        if record.holder == self.me {
            let mine = self.mine(&record.acquired, time, record.transitions);
            return Move::Replace(mine, version.clone());
        }
        if !record.holder.is_empty() && now < *since + record.lasts {
            return Move::Wait;
        }
        let mine = self.mine(time, time, record.transitions + 1);
        Move::Replace(mine, version.clone())
    }

    /// The server has accepted this record, as this version, after having been asked at `asked`.
    pub(super) fn wrote(&mut self, record: Record, version: String, asked: Instant) {
        self.renewed = (record.holder == self.me).then_some(asked);
        self.seen = Some(Seen {
            record,
            version,
            since: asked,
        });
    }

    /// Until when this replica may act as the holder; `None`: it is not.
    pub(super) fn leads_until(&self) -> Option<Instant> {
        Some(self.renewed? + self.times.renew)
    }

    /// What to write so that another can take the lease at once; `None`: it is not this replica's to give.
    pub(super) fn release(&self, time: &str) -> Option<(Record, String)> {
        let seen = self.seen.as_ref()?;
        self.renewed?;
        let record = Record {
            holder: String::new(),
            lasts: Duration::from_secs(1),
            renewed: time.to_owned(),
            ..seen.record.clone()
        };
        Some((record, seen.version.clone()))
    }

    fn mine(&self, acquired: &str, renewed: &str, transitions: i64) -> Record {
        Record {
            holder: self.me.clone(),
            lasts: self.times.lease,
            acquired: acquired.to_owned(),
            renewed: renewed.to_owned(),
            transitions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn election(me: &str) -> Election {
        Election::new(me, Times::default())
    }

    fn record(holder: &str, renewed: &str) -> Record {
        Record {
            holder: holder.into(),
            lasts: Duration::from_secs(15),
            acquired: "0".into(),
            renewed: renewed.into(),
            transitions: 3,
        }
    }

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_lease_that_is_not_there_is_created() {
        let start = Instant::now();
        let mut a = election("a");
        a.observe(None, start);
        let Move::Create(mine) = a.next(start, "7") else {
            panic!("there is none");
        };
        assert_eq!((&*mine.holder, mine.transitions), ("a", 0));
        assert_eq!(a.leads_until(), None, "not before the server agrees");
        a.wrote(mine, "1".into(), start);
        assert_eq!(a.leads_until(), Some(at(start, 10)));
    }

    #[test]
    fn anothers_lease_counts_from_when_it_was_seen_to_change() {
        let start = Instant::now();
        let mut a = election("a");
        // Its clock is years away, and does not matter.
        a.observe(Some((record("b", "1999"), "1".into())), start);
        assert_eq!(a.next(at(start, 14), "7"), Move::Wait);
        a.observe(Some((record("b", "1999"), "1".into())), at(start, 14));
        let taken = Record {
            transitions: 4,
            acquired: "7".into(),
            ..record("a", "7")
        };
        assert_eq!(a.next(at(start, 15), "7"), Move::Replace(taken, "1".into()));
        a.observe(Some((record("b", "1998"), "2".into())), at(start, 15));
        assert_eq!(a.next(at(start, 29), "7"), Move::Wait, "it was renewed");
    }

    #[test]
    fn a_lease_that_was_given_back_is_taken_at_once() {
        let start = Instant::now();
        let (mut a, mut b) = (election("a"), election("b"));
        b.observe(Some((record("b", "1"), "1".into())), start);
        assert_eq!(b.release("2"), None, "not renewed by this process");
        b.wrote(record("b", "2"), "2".into(), start);
        let (given, version) = b.release("3").unwrap();
        assert_eq!(version, "2");
        a.observe(Some((given, "3".into())), start);
        assert!(matches!(a.next(start, "4"), Move::Replace(_, version) if version == "3"));
    }

    #[test]
    fn who_is_overtaken_leads_no_more() {
        let start = Instant::now();
        let mut a = election("a");
        a.wrote(record("a", "1"), "1".into(), start);
        a.observe(Some((record("b", "9"), "2".into())), at(start, 1));
        assert_eq!(a.leads_until(), None);
        a.wrote(record("a", "1"), "3".into(), start);
        a.observe(None, at(start, 1));
        assert_eq!(a.leads_until(), None);
    }
}
