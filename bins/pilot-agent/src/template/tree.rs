//! A template as a tree.

use super::Place;
use super::functions::Function;

/// A part of a template.
#[derive(Debug)]
pub(super) enum Node {
    /// Copied as it is.
    Text(String),
    /// `{{ pipeline }}`: its value is written.
    Write(Pipeline),
    /// `{{ $x := pipeline }}` or `{{ $x = pipeline }}`.
    Set {
        place: Place,
        name: String,
        /// Whether the variable is a new one.
        declares: bool,
        value: Pipeline,
    },
    /// `if`, `with` or `range`, with what `else` says.
    Branch {
        kind: Branch,
        /// Names after `range` or `with`.
        names: Vec<String>,
        value: Pipeline,
        then: Vec<Self>,
        otherwise: Vec<Self>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Branch {
    If,
    With,
    Range,
}

/// `a | b | c`: the value of each is the last argument of the next.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub place: Place,
    pub commands: Vec<Command>,
}

#[derive(Debug)]
pub(super) struct Command {
    pub place: Place,
    pub operation: Operation,
}

#[derive(Debug)]
pub(super) enum Operation {
    Call(Function, Vec<Operand>),
    Value(Operand),
}

#[derive(Debug)]
pub(super) struct Operand {
    pub place: Place,
    pub kind: OperandKind,
}

#[derive(Debug)]
pub(super) enum OperandKind {
    Field(Vec<String>),
    Variable(String, Vec<String>),
    String(String),
    Integer(i64),
    Bool(bool),
    Nil,
    Pipeline(Box<Pipeline>),
}
