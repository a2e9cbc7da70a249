//! Where in an object something is wrong: reading and checking both write their problems here.

use std::cell::RefCell;
use std::fmt;

use super::schema::Schema;
use crate::registry::{Problem, Severity};

/// More problems than this are counted instead of listed: an object of odd shape must not fill a log.
const MAX_PROBLEMS: usize = 100;

/// The problems of one object.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: RefCell<Vec<Problem>>,
    beyond: RefCell<(usize, Option<Severity>)>,
    /// There while readers are asked what they read: the newest answer.
    asked: Option<RefCell<Option<Schema>>>,
}

impl Report {
    /// One for readers that are asked what they read.
    pub(crate) fn asking() -> Self {
        Self {
            asked: Some(RefCell::default()),
            ..Self::default()
        }
    }

    /// The place that all others are below; `name` is empty where the object has no field around its content.
    pub(crate) fn root<'a>(&'a self, name: &'a str) -> At<'a> {
        At {
            report: self,
            parent: None,
            step: Step::Field(name),
        }
    }

    /// All problems in the order in which they were found.
    pub(crate) fn finish(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        if let (count, Some(severity)) = self.beyond.into_inner() {
            let what = format!("has {count} more problems");
            problems.push(Problem {
                severity,
                ..Problem::error("", what)
            });
        }
        problems
    }

    fn add(&self, problem: Problem) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < MAX_PROBLEMS {
            problems.push(problem);
        } else {
            let (count, worst) = *self.beyond.borrow();
            let worst = worst.map_or(problem.severity, |worst| worst.min(problem.severity));
            *self.beyond.borrow_mut() = (count + 1, Some(worst));
        }
    }
}

/// A place in an object: a field, an element of a list, an entry of a map.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'a> {
    report: &'a Report,
    parent: Option<&'a At<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl At<'_> {
    /// A field of the object here.
    pub(crate) fn field<'b>(&'b self, name: &'b str) -> At<'b> {
        self.below(Step::Field(name))
    }

    /// An element of the list here.
    pub(crate) fn index(&self, index: usize) -> At<'_> {
        self.below(Step::Index(index))
    }

    /// An entry of the map here.
    pub(crate) fn key<'b>(&'b self, key: &'b str) -> At<'b> {
        self.below(Step::Key(key))
    }

    /// What is here keeps the object from being used.
    pub(crate) fn error(&self, what: impl Into<String>) {
        self.report.add(Problem::error(self.to_string(), what));
    }

    /// The same, with advice.
    pub(crate) fn error_hint(&self, what: impl Into<String>, hint: impl Into<String>) {
        self.report
            .add(Problem::error(self.to_string(), what).hint(hint));
    }

    /// The author should look at what is here.
    pub(crate) fn warning(&self, what: impl Into<String>) {
        self.report.add(Problem::warning(self.to_string(), what));
    }

    /// The same, with advice.
    pub(crate) fn warning_hint(&self, what: impl Into<String>, hint: impl Into<String>) {
        self.report
            .add(Problem::warning(self.to_string(), what).hint(hint));
    }

    /// Whether the reader is asked what it reads, and has no value to read.
    pub(crate) fn is_asked(&self) -> bool {
        self.report.asked.is_some()
    }

    /// Answers, if the reader is asked what it reads; tells whether it is.
    pub(crate) fn asks(&self, answer: impl FnOnce() -> Schema) -> bool {
        if let Some(asked) = &self.report.asked {
            asked.replace(Some(answer()));
        }
        self.is_asked()
    }

    /// What the reader that was asked last has answered.
    pub(crate) fn answered(&self) -> Schema {
        let asked = self.report.asked.as_ref();
        asked.and_then(RefCell::take).unwrap_or(Schema::Any)
    }

    fn below<'b>(&'b self, step: Step<'b>) -> At<'b> {
        At {
            report: self.report,
            parent: Some(self),
            step,
        }
    }
}

/// The path as people write it: `spec.ports[0].number`, `spec.labels["acme.io/tier"]`.
impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        let at_start = self
            .parent
            .is_none_or(|parent| parent.parent.is_none() && parent.is_empty());
        match self.step {
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Field(name) | Step::Key(name) if is_plain(name) => {
                write!(f, "{}{name}", if at_start { "" } else { "." })
            }
            Step::Field("") => Ok(()),
            Step::Field(name) | Step::Key(name) => write!(f, "[{:?}]", super::spec::excerpt(name)),
        }
    }
}

impl At<'_> {
    fn is_empty(&self) -> bool {
        matches!(self.step, Step::Field(""))
    }
}

fn is_plain(name: &str) -> bool {
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::is_fatal;

    #[test]
    fn paths_read_as_people_write_them() {
        let report = Report::default();
        let spec = report.root("spec");
        assert_eq!(spec.to_string(), "spec");
        assert_eq!(
            spec.field("ports").index(1).field("number").to_string(),
            "spec.ports[1].number"
        );
        assert_eq!(
            spec.field("labels").key("app").to_string(),
            "spec.labels.app"
        );
        assert_eq!(
            spec.field("labels").key("acme.io/x").to_string(),
            r#"spec.labels["acme.io/x"]"#
        );
        assert_eq!(spec.key("").to_string(), r#"spec[""]"#);
        let whole = report.root("");
        assert_eq!(whole.to_string(), "");
        assert_eq!(whole.field("a").field("b").to_string(), "a.b");
    }

    #[test]
    fn problems_beyond_the_limit_are_counted_and_keep_their_severity() {
        let report = Report::default();
        for index in 0..MAX_PROBLEMS + 2 {
            report.root("spec").index(index).warning("odd");
        }
        report.root("spec").error("bad");
        let problems = report.finish();
        assert_eq!(problems.len(), MAX_PROBLEMS + 1);
        assert_eq!(
            problems.last(),
            Some(&Problem::error("", "has 3 more problems"))
        );
        assert!(is_fatal(&problems));
        assert!(!is_fatal(&problems[..5]));
    }
}
