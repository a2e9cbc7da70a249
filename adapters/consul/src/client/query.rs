//! What is common to all questions.

use std::time::Duration;

use super::Index;

/// How true an answer has to be (<https://developer.hashicorp.com/consul/api-docs/features/consistency>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consistency {
    /// By the leader, which may be deposed without knowing it yet.
    #[default]
    Default,
    /// By a leader that has asked the others.
    Consistent,
    /// By any server; works without a leader.
    Stale,
}

/// That an answer may wait for something newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Newer than this.
    pub index: Index,
    /// For how long; Consul adds up to a sixteenth, and waits ten minutes at most.
    pub wait: Duration,
}

/// What is common to all questions. Texts that are empty say nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// The datacenter; the agent's own where empty.
    pub datacenter: String,
    /// The namespace (Enterprise); `*` for all where the question allows it.
    pub namespace: String,
    /// The admin partition (Enterprise).
    pub partition: String,
    /// An expression that what is listed has to satisfy.
    pub filter: String,
    /// How true the answer has to be.
    pub consistency: Consistency,
    /// Whether to wait for something newer.
    pub block: Option<Block>,
}

impl Query {
    /// For how long Consul may be silent.
    pub(super) fn silence(&self) -> Duration {
        self.block
            .map_or(Duration::ZERO, |block| block.wait + block.wait / 16)
    }

    /// As parameters of a URL.
    pub(super) fn parameters(&self) -> Vec<(&'static str, String)> {
        let texts = [
            ("dc", &self.datacenter),
            ("ns", &self.namespace),
            ("partition", &self.partition),
            ("filter", &self.filter),
        ];
        let mut all: Vec<_> = texts
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| (name, text.clone()))
            .collect();
        match self.consistency {
            Consistency::Default => {}
            Consistency::Consistent => all.push(("consistent", String::new())),
            Consistency::Stale => all.push(("stale", String::new())),
        }
        if let Some(Block { index, wait }) = self.block {
            all.push(("index", index.get().to_string()));
            all.push(("wait", format!("{}ms", wait.as_millis().max(1))));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_says_what_it_is_about_and_how_true_the_answer_has_to_be() {
        let check = |query: Query, expected: &[(&str, &str)]| {
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect();
            assert_eq!(query.parameters(), expected, "{query:?}");
        };
        check(Query::default(), &[]);
        let stale = Query {
            datacenter: "dc2".into(),
            namespace: "team".into(),
            partition: "part".into(),
            filter: "Service.Meta.a == \"b c\"".into(),
            consistency: Consistency::Stale,
            block: Some(Block {
                index: Index::new(0),
                wait: Duration::from_micros(5),
            }),
        };
        check(
            stale,
            &[
                ("dc", "dc2"),
                ("ns", "team"),
                ("partition", "part"),
                ("filter", "Service.Meta.a == \"b c\""),
                ("stale", ""),
                ("index", "1"),
                ("wait", "1ms"),
            ],
        );
        let consistent = Query {
            consistency: Consistency::Consistent,
            ..Query::default()
        };
        check(consistent, &[("consistent", "")]);
    }

    #[test]
    fn an_agent_may_be_silent_as_long_as_it_was_asked_to_wait() {
        let block = Block {
            index: Index::new(5),
            wait: Duration::from_secs(160),
        };
        let waiting = Query {
            block: Some(block),
            ..Query::default()
        };
        assert_eq!(waiting.silence(), Duration::from_secs(170));
        assert_eq!(Query::default().silence(), Duration::ZERO);
    }
}
