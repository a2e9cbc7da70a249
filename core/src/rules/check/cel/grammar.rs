//! The grammar of CEL, by recursive descent.
//!
//! ```text
//! expr = or ["?" or ":" expr]     binary operators, by how tightly they bind: || && relations + - * / %
//! unary = "!"* | "-"*  member     member = primary ("." name ["(" list ")"] | "[" expr "]" | "{" fields "}")*
//! ```

use std::collections::BTreeSet;

use super::token::{self, Token};

/// How deep expressions may be nested.
const DEEPEST: usize = 32;

/// What an expression speaks of.
#[derive(Debug, Default)]
pub(super) struct Parsed<'a> {
    /// The functions that it calls.
    pub(super) calls: BTreeSet<&'a str>,
    /// The names with which values begin, variables of its own apart.
    pub(super) roots: BTreeSet<&'a str>,
}

/// Reads an expression.
///
/// # Errors
/// Why it is none.
pub(super) fn parse(text: &str) -> Result<Parsed<'_>, String> {
    let mut parser = Parser {
        rest: text,
        next: None,
        depth: 0,
        variables: Vec::new(),
        parsed: Parsed::default(),
    };
    parser.advance()?;
    parser.expression()?;
    match parser.next {
        None => Ok(parser.parsed),
        Some(_) => Err(parser.unexpected()),
    }
}

struct Parser<'a> {
    rest: &'a str,
    next: Option<Token<'a>>,
    depth: usize,
    /// What macros call the elements that they look at.
    variables: Vec<&'a str>,
    parsed: Parsed<'a>,
}

/// From what binds loosest.
const BINARY: [&[&str]; 5] = [
    &["||"],
    &["&&"],
    &["==", "!=", "<=", ">=", "<", ">", "in"],
    &["+", "-"],
    &["*", "/", "%"],
];

/// Macros whose first parameter is a variable.
const MACROS: [&str; 5] = ["all", "exists", "exists_one", "filter", "map"];

/// Words that are no names.
const LITERALS: [&str; 3] = ["true", "false", "null"];

impl<'a> Parser<'a> {
    fn expression(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("it is nested too deeply".to_owned());
        }
        self.binary(&BINARY)?;
        if self.takes("?")? {
            self.binary(&BINARY)?;
            self.expect(":")?;
            self.expression()?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn binary(&mut self, levels: &[&[&str]]) -> Result<(), String> {
        let Some((operators, tighter)) = levels.split_first() else {
            return self.unary();
        };
        self.binary(tighter)?;
        while self.is_any(operators) {
            self.advance()?;
            self.binary(tighter)?;
        }
        Ok(())
    }

    fn unary(&mut self) -> Result<(), String> {
        for sign in ["!", "-"] {
            while self.takes(sign)? {}
        }
        self.member().map(|_| ())
    }

    /// Returns whether it is a field of something.
    fn member(&mut self) -> Result<bool, String> {
        self.primary()?;
        let mut is_field = false;
        loop {
            if self.takes(".")? {
                let name = self.name()?;
                is_field = !self.takes("(")?;
                if !is_field {
                    self.call(name)?;
                }
            } else if self.takes("[")? {
                self.expression()?;
                self.expect("]")?;
                is_field = false;
            } else {
                return Ok(is_field);
            }
        }
    }

    fn primary(&mut self) -> Result<(), String> {
        match self.next {
            Some(Token::Literal) => self.advance(),
            Some(Token::Name(word)) if LITERALS.contains(&word) => self.advance(),
            Some(Token::Sign(".")) => {
                self.advance()?;
                self.named()
            }
            Some(Token::Name(word)) if word != "in" => self.named(),
            Some(Token::Sign("(")) => {
                self.advance()?;
                self.expression()?;
                self.expect(")")
            }
            Some(Token::Sign("[")) => {
                self.advance()?;
                self.list("]", |_| Ok(()))
            }
            Some(Token::Sign("{")) => {
                self.advance()?;
                self.list("}", |parser| {
                    parser.expect(":")?;
                    parser.expression()
                })
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A name: a function that is called, or where a value begins.
    fn named(&mut self) -> Result<(), String> {
        let name = self.name()?;
        if self.takes("(")? {
            return self.call(name);
        }
        if !self.variables.contains(&name) {
            self.parsed.roots.insert(name);
        }
        Ok(())
    }

    /// The parameters of a function, behind its bracket.
    fn call(&mut self, name: &'a str) -> Result<(), String> {
        self.parsed.calls.insert(name);
        if name == "has" {
            return match self.member()? {
                true => self.expect(")"),
                false => Err(
                    "has() takes a field, such as request.host; of a map, write 'key' in map"
                        .to_owned(),
                ),
            };
        }
        let variable = match self.next {
            Some(Token::Name(variable)) if MACROS.contains(&name) => Some(variable),
            _ => None,
        };
        self.variables.extend(variable);
        self.list(")", |_| Ok(()))?;
        if variable.is_some() {
            self.variables.pop();
        }
        Ok(())
    }

    /// Expressions up to `end`, `then` behind each.
    fn list(
        &mut self,
        end: &str,
        then: impl Fn(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        while !self.takes(end)? {
            self.expression()?;
            then(self)?;
            if !self.takes(",")? {
                return self.expect(end);
            }
        }
        Ok(())
    }

    fn name(&mut self) -> Result<&'a str, String> {
        match self.next {
            Some(Token::Name(name)) => {
                self.advance()?;
                Ok(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn is_any(&self, signs: &[&str]) -> bool {
        match self.next {
            Some(Token::Sign(sign) | Token::Name(sign)) => signs.contains(&sign),
            _ => false,
        }
    }

    fn takes(&mut self, sign: &str) -> Result<bool, String> {
        let is_next = self.next == Some(Token::Sign(sign));
        if is_next {
            self.advance()?;
        }
        Ok(is_next)
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        match self.takes(sign)? {
            true => Ok(()),
            false => Err(self.unexpected()),
        }
    }

    fn advance(&mut self) -> Result<(), String> {
        let next = token::next(self.rest)?;
        self.next = next.map(|(token, _)| token);
        self.rest = next.map_or("", |(_, rest)| rest);
        Ok(())
    }

    fn unexpected(&self) -> String {
        match self.next {
            None => "something is missing at its end".to_owned(),
            Some(Token::Literal) => "a number or text is unexpected".to_owned(),
            Some(Token::Name(word) | Token::Sign(word)) => format!("{word:?} is unexpected"),
        }
    }
}
