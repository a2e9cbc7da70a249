//! A template's text → tokens: what is copied, and what stands between `{{` and `}}`.

use super::{Place, TemplateError};

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub place: Place,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Copied as it is.
    Text(String),
    /// `{{`.
    Open,
    /// `}}`.
    Close,
    /// A name: of a keyword, a function or a constant.
    Word(String),
    /// `.a.b`; `.` alone is empty.
    Field(Vec<String>),
    /// `$x.a.b`; `$` alone has no name.
    Variable(String, Vec<String>),
    /// A quoted text.
    String(String),
    /// A number.
    Integer(i64),
    /// `|`, `(`, `)`, `,`, `:=` or `=`.
    Sign(&'static str),
}

/// Cuts a template up.
pub(super) fn lex(text: &str) -> Result<Vec<Token>, TemplateError> {
    let mut lexer = Lexer {
        rest: text,
        place: Place { line: 1, column: 1 },
        tokens: Vec::new(),
    };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    rest: &'a str,
    place: Place,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), TemplateError> {
        // Whether the action before has asked for white space to go.
        let mut trimmed = false;
        loop {
            let (text, action) = match self.rest.split_once("{{") {
                Some((text, _)) => (text, true),
                None => (self.rest, false),
            };
            let place = self.place;
            let size = text.len();
            let mut copied = if trimmed { text.trim_start() } else { text };
            let trim_before = self.rest.get(size..).is_some_and(opens_with_trim);
            if trim_before {
                copied = copied.trim_end();
            }
            if !copied.is_empty() {
                let kind = Kind::Text(copied.to_owned());
                self.tokens.push(Token { place, kind });
            }
            self.skip(size);
            if !action {
                return Ok(());
            }
            trimmed = self.action(trim_before)?;
        }
    }

    /// An action from its `{{`; whether it trims what follows.
    fn action(&mut self, trims: bool) -> Result<bool, TemplateError> {
        let open = self.place;
        self.skip(if trims { 3 } else { 2 });
        if self.rest.trim_start().starts_with("/*") {
            return self.comment(open);
        }
        self.tokens.push(Token {
            place: open,
            kind: Kind::Open,
        });
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            // A dash is a trim marker only behind white space; before a digit it is a sign.
            if blank > 0 && self.rest.trim_start().starts_with("-}}") {
                self.skip(blank);
                self.close(3);
                return Ok(true);
            }
            self.skip(blank);
            if self.rest.starts_with("}}") {
                self.close(2);
                return Ok(false);
            }
            let place = self.place;
            if self.rest.is_empty() {
                return open.error("this {{ has no }}");
            }
            let kind = self.token()?;
            self.tokens.push(Token { place, kind });
        }
    }

    fn close(&mut self, size: usize) {
        self.tokens.push(Token {
            place: self.place,
            kind: Kind::Close,
        });
        self.skip(size);
    }

    fn comment(&mut self, open: Place) -> Result<bool, TemplateError> {
        let Some(end) = self.rest.find("*/") else {
            return open.error("this comment has no */");
        };
        self.skip(end + 2);
        for (closing, trims) in [("}}", false), (" -}}", true)] {
            if self.rest.starts_with(closing) {
                self.skip(closing.len());
                return Ok(trims);
            }
        }
        self.place.error("a comment ends with */}} or with */ -}}")
    }

    fn token(&mut self) -> Result<Kind, TemplateError> {
        for sign in [":=", "|", "(", ")", ",", "="] {
            if self.rest.starts_with(sign) {
                self.skip(sign.len());
                return Ok(Kind::Sign(sign));
            }
        }
        let place = self.place;
        match self.rest.chars().next() {
            Some('.') => Ok(Kind::Field(self.fields()?)),
            Some('$') => {
                self.skip(1);
                let name = self.word();
                Ok(Kind::Variable(name, self.fields()?))
            }
            Some('"') => self.quoted(),
            Some('`') => self.raw(),
            Some(c) if c.is_ascii_digit() || matches!(c, '-' | '+') => self.number(),
            Some(c) if c.is_alphabetic() || c == '_' => Ok(Kind::Word(self.word())),
            Some(c) => place.error(format!("{c:?} is not understood here")),
            None => place.error("the template ends within an action"),
        }
    }

    /// `.a.b`, or nothing.
    fn fields(&mut self) -> Result<Vec<String>, TemplateError> {
        let mut fields = Vec::new();
        while self.rest.starts_with('.') {
            self.skip(1);
            let name = self.word();
            if name.is_empty() {
                if fields.is_empty() && !self.rest.starts_with('.') {
                    break;
                }
                return self.place.error("the name of a field is missing");
            }
            fields.push(name);
        }
        Ok(fields)
    }

    fn word(&mut self) -> String {
        let end = self
            .rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(self.rest.len());
        self.take(end)
    }

    fn quoted(&mut self) -> Result<Kind, TemplateError> {
        let place = self.place;
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find(|(_, c)| {
            let ends = !escaped && matches!(c, '"' | '\n');
            escaped = !escaped && *c == '\\';
            ends
        });
        let Some((end, '"')) = end else {
            return place.error("this text has no closing quote on its line");
        };
        let literal = self.take(end + 1);
        // What Go's escapes have in common with JSON's is what templates use.
        match serde_json::from_str(&literal) {
            Ok(text) => Ok(Kind::String(text)),
            Err(_) => place.error(format!("{literal} has an escape that is not understood")),
        }
    }

    fn raw(&mut self) -> Result<Kind, TemplateError> {
        let place = self.place;
        match self.rest.get(1..).and_then(|rest| rest.find('`')) {
            Some(size) => {
                let literal = self.take(size + 2);
                Ok(Kind::String(literal.trim_matches('`').to_owned()))
            }
            None => place.error("this text has no closing `"),
        }
    }

    fn number(&mut self) -> Result<Kind, TemplateError> {
        let place = self.place;
        let end = self
            .rest
            .find(|c: char| !c.is_alphanumeric() && !matches!(c, '+' | '-' | '.' | '_'))
            .unwrap_or(self.rest.len());
        let literal = self.take(end);
        match literal.parse() {
            Ok(number) => Ok(Kind::Integer(number)),
            Err(_) => place.error(format!(
                "{literal} is not understood; numbers are decimal and whole"
            )),
        }
    }

    fn take(&mut self, size: usize) -> String {
        let taken = self.rest.get(..size).unwrap_or(self.rest).to_owned();
        self.skip(size);
        taken
    }

    fn skip(&mut self, size: usize) {
        let (skipped, rest) = self.rest.split_at_checked(size).unwrap_or((self.rest, ""));
        for c in skipped.chars() {
            if c == '\n' {
                self.place.line += 1;
                self.place.column = 1;
            } else {
                self.place.column += 1;
            }
        }
        self.rest = rest;
    }
}

/// `{{-` and white space.
fn opens_with_trim(rest: &str) -> bool {
    rest.strip_prefix("{{-")
        .is_some_and(|rest| rest.starts_with(char::is_whitespace))
}
