//! Tokens → a tree: texts and actions. What stands within an action is in `pipeline`.

mod pipeline;

use std::iter::Peekable;
use std::vec::IntoIter;

use super::lex::{Kind, Token};
use super::tree::{Branch, Node, Pipeline};
use super::{Place, TemplateError};

/// How deep actions may stand within one another, so that no template exhausts the stack.
const DEEPEST: usize = 64;

/// Reads a whole template.
pub(super) fn parse(tokens: Vec<Token>) -> Result<Vec<Node>, TemplateError> {
    let end = tokens
        .last()
        .map_or(Place { line: 1, column: 1 }, |token| token.place);
    let mut parser = Parser {
        tokens: tokens.into_iter().peekable(),
        end,
        depth: 0,
    };
    let (nodes, stop) = parser.nodes()?;
    match stop {
        None => Ok(nodes),
        Some(stop) => stop
            .place
            .error(format!("there is nothing open for {{{{{}}}}}", stop.word)),
    }
}

struct Parser {
    tokens: Peekable<IntoIter<Token>>,
    /// Where the last token stands.
    end: Place,
    depth: usize,
}

/// What ended a list: `else` or `end`, of which the word has been taken.
struct Stop {
    place: Place,
    word: &'static str,
}

impl Parser {
    fn nodes(&mut self) -> Result<(Vec<Node>, Option<Stop>), TemplateError> {
        let mut nodes = Vec::new();
        while let Some(token) = self.tokens.next() {
            match token.kind {
                Kind::Text(text) => nodes.push(Node::Text(text)),
                // The lexer begins every action with its opening.
                _ => match self.action(token.place)? {
                    Action::Node(node) => nodes.push(node),
                    Action::Stop(stop) => return Ok((nodes, Some(stop))),
                },
            }
        }
        Ok((nodes, None))
    }

    fn action(&mut self, open: Place) -> Result<Action, TemplateError> {
        let Some(Token { place, kind }) = self.tokens.peek().cloned() else {
            return open.error("this action is empty");
        };
        let Kind::Word(word) = &kind else {
            return self.write_or_set(place).map(Action::Node);
        };
        let branch = match word.as_str() {
            "if" => Branch::If,
            "with" => Branch::With,
            "range" => Branch::Range,
            "end" => {
                self.tokens.next();
                self.close("end")?;
                return Ok(Action::Stop(Stop { place, word: "end" }));
            }
            "else" => {
                self.tokens.next();
                return Ok(Action::Stop(Stop {
                    place,
                    word: "else",
                }));
            }
            "define" | "template" | "block" | "break" | "continue" => {
                return place.error(format!(
                    "{word} is not supported; actions are if, else, range, with, end and values"
                ));
            }
            _ => return self.write_or_set(place).map(Action::Node),
        };
        self.tokens.next();
        self.branch(place, branch).map(Action::Node)
    }

    fn write_or_set(&mut self, place: Place) -> Result<Node, TemplateError> {
        let first = self.tokens.peek().cloned();
        if let Some(Token {
            kind: Kind::Variable(name, fields),
            ..
        }) = first
            && fields.is_empty()
            && !name.is_empty()
        {
            let variable = self.tokens.next();
            let declares = match self.tokens.peek().map(|token| &token.kind) {
                Some(Kind::Sign(":=")) => Some(true),
                Some(Kind::Sign("=")) => Some(false),
                _ => None,
            };
            if let Some(declares) = declares {
                self.tokens.next();
                let value = self.pipeline()?;
                self.close("this action")?;
                return Ok(Node::Set {
                    place,
                    name,
                    declares,
                    value,
                });
            }
            let value = self.pipeline_after(variable)?;
            self.close("this action")?;
            return Ok(Node::Write(value));
        }
        let value = self.pipeline()?;
        self.close("this action")?;
        Ok(Node::Write(value))
    }

    /// After the word.
    fn branch(&mut self, place: Place, kind: Branch) -> Result<Node, TemplateError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return place.error(format!(
                "actions stand more than {DEEPEST} deep in one another"
            ));
        }
        let (names, value) = self.condition(place, kind)?;
        self.close("this action")?;
        let (then, stop) = self.nodes()?;
        let otherwise = match stop {
            None => return place.error("this has no {{end}}"),
            Some(stop) if stop.word == "end" => Vec::new(),
            Some(_) => self.otherwise(place)?,
        };
        self.depth -= 1;
        Ok(Node::Branch {
            kind,
            names,
            value,
            then,
            otherwise,
        })
    }

    /// After `else`: another condition, whose `end` is that of the first, or the rest up to `end`.
    fn otherwise(&mut self, open: Place) -> Result<Vec<Node>, TemplateError> {
        if let Some(Token { place, kind }) = self.tokens.peek().cloned()
            && let Kind::Word(word) = kind
        {
            let kind = match word.as_str() {
                "if" => Branch::If,
                "with" => Branch::With,
                _ => {
                    return place.error(format!(
                        "else {word} is not supported; write else, else if or else with"
                    ));
                }
            };
            self.tokens.next();
            return Ok(vec![self.branch(place, kind)?]);
        }
        self.close("else")?;
        match self.nodes()? {
            (nodes, Some(Stop { word: "end", .. })) => Ok(nodes),
            (_, Some(second)) => second.place.error("a second else"),
            (_, None) => open.error("this has no {{end}}"),
        }
    }

    /// `$x := ` or `$i, $x := ` where that may stand, and the value.
    fn condition(
        &mut self,
        place: Place,
        kind: Branch,
    ) -> Result<(Vec<String>, Pipeline), TemplateError> {
        let mut names = Vec::new();
        let mut first = None;
        if let Some(Token {
            kind: Kind::Variable(name, fields),
            ..
        }) = self.tokens.peek().cloned()
            && fields.is_empty()
            && !name.is_empty()
        {
            first = self.tokens.next();
            names.push(name);
            if kind == Branch::Range && self.sign(",") {
                match self.tokens.next().map(|token| token.kind) {
                    Some(Kind::Variable(name, fields)) if fields.is_empty() => names.push(name),
                    _ => return place.error("range takes $index, $element := LIST"),
                }
            }
            if self.sign(":=") {
                return Ok((names, self.pipeline()?));
            }
            if names.len() > 1 {
                return place.error("range takes $index, $element := LIST");
            }
            names.clear();
        }
        Ok((names, self.pipeline_after(first)?))
    }

    fn sign(&mut self, sign: &'static str) -> bool {
        self.tokens
            .next_if(|token| token.kind == Kind::Sign(sign))
            .is_some()
    }

    fn close(&mut self, what: &str) -> Result<(), TemplateError> {
        match self.tokens.next() {
            Some(Token {
                kind: Kind::Close, ..
            }) => Ok(()),
            Some(other) => other.place.error(format!("{what} should end here")),
            None => self.end.error(format!("{what} does not end")),
        }
    }
}

enum Action {
    Node(Node),
    Stop(Stop),
}
