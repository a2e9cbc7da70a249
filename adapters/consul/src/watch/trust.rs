//! Whether an answer is the truth about the catalog.
//!
//! Consul may answer from a server that has lost its leader, with what it knew long ago; and a catalog that was restored from a
//! snapshot answers with an index from before. None of this may take anything away from the mesh. That it leaves out what a token may
//! not see is looked at in [`rights`](super::rights).

use std::time::Duration;

use crate::client::Answer;

/// What to make of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trust {
    /// It is the truth.
    Full,
    /// It may be; what it takes away is to be confirmed.
    Doubtful(String),
    /// It says nothing about the catalog.
    None(String),
}

/// Judges an answer: `loses` says whether something that is known is not in it, `went_back` whether its index is lower than the one before.
pub(super) fn judge<T>(
    answer: &Answer<T>,
    max_stale: Duration,
    loses: bool,
    went_back: bool,
) -> Trust {
    if !answer.known_leader {
        return Trust::None("the server that answered knows no leader".into());
    }
    if answer.last_contact > max_stale {
        return Trust::None(format!(
            "the server that answered has not heard of the leader for {:?}, and {max_stale:?} are believed",
            answer.last_contact
        ));
    }
    if went_back && loses {
        return Trust::Doubtful(
            "Consul's index went back: its catalog was restored or began anew".into(),
        );
    }
    Trust::Full
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_may_be_old_or_partial_takes_nothing_away() {
        const STALE: Duration = Duration::from_secs(5);
        let answer = Answer {
            value: (),
            index: None,
            known_leader: true,
            last_contact: Duration::ZERO,
            filtered: false,
        };
        let check = |answer: &Answer<()>, loses, went_back, expected: &str| {
            let trust = match judge(answer, STALE, loses, went_back) {
                Trust::Full => "full",
                Trust::Doubtful(_) => "doubtful",
                Trust::None(_) => "none",
            };
            assert_eq!(trust, expected, "{answer:?} {loses} {went_back}");
        };
        check(&answer, true, false, "full");
        check(&answer, false, true, "full");
        check(&answer, true, true, "doubtful");
        let leaderless = Answer {
            known_leader: false,
            ..answer.clone()
        };
        check(&leaderless, false, false, "none");
        let old = Answer {
            last_contact: STALE * 2,
            ..answer
        };
        check(&old, false, false, "none");
    }
}
