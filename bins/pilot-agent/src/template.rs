//! Configuration of Envoy by template: the part of Go's text/template that such templates use, and nothing that reaches
//! outside them.
//!
//! ```text
//! text ─ lex ─► tokens ─ parse ─► tree ─ evaluate, with data ─► text ─ envoy ─► checked configuration
//! ```
//!
//! There are fields and variables, `if`, `range`, `with`, pipelines, comparisons, trim markers and comments. What is not known is an
//! error with its place, never text that is passed through.

mod envoy;
mod evaluate;
mod functions;
mod lex;
mod parse;
mod tree;

use std::fmt;

use serde_json::{Map, Value};

pub use envoy::{Unusable, checked};

/// A place in a template, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// Where.
    pub place: Place,
    /// What, and what to do about it.
    pub problem: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column } = self.place;
        write!(f, "line {line}, column {column}: {}", self.problem)
    }
}

impl std::error::Error for TemplateError {}

impl Place {
    fn error<T>(self, problem: impl Into<String>) -> Result<T, TemplateError> {
        Err(TemplateError {
            place: self,
            problem: problem.into(),
        })
    }
}

/// The text that `template` makes of `data`.
///
/// # Errors
/// It has something that is not known, or asks for data that are not there.
pub fn render(template: &str, data: &Map<String, Value>) -> Result<String, TemplateError> {
    let tree = parse::parse(lex::lex(template)?)?;
    evaluate::evaluate(&tree, data)
}

#[cfg(test)]
mod tests;
