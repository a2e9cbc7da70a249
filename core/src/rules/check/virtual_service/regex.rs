//! Whether Envoy takes a regular expression: the syntax of RE2.
//!
//! What names of Unicode classes there are is left to Envoy.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

use crate::rules::at::At;

/// The longest that is accepted.
const LONGEST: usize = 1024;
/// As often as something may be repeated.
const MOST: u32 = 1000;
/// As deep as groups may stand in each other.
const DEEPEST: usize = 100;

/// How many groups it has; `None` where it is none, which is said.
pub(super) fn check(at: &At<'_>, pattern: &str) -> Option<u32> {
    if pattern.len() > LONGEST {
        at.error(format!(
            "has {} characters: the limit is {LONGEST}",
            pattern.len()
        ));
        return None;
    }
    match groups(pattern) {
        Ok(groups) => Some(groups),
        Err(why) => {
            at.error_hint(
                format!("is not a regular expression: {why}"),
                "the syntax is that of RE2",
            );
            None
        }
    }
}

/// How many groups a pattern has.
fn groups(pattern: &str) -> Result<u32, &'static str> {
    if pattern.is_empty() {
        return Err("it is empty");
    }
    if pattern.contains('\0') {
        return Err("it has a NUL in it");
    }
    let mut parser = Parser {
        rest: pattern.chars().peekable(),
        groups: 0,
        names: BTreeSet::new(),
        depth: 0,
    };
    parser.alternatives()?;
    match parser.rest.next() {
        Some(_) => Err("a ')' has no '('"),
        None => Ok(parser.groups),
    }
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    groups: u32,
    names: BTreeSet<String>,
    depth: usize,
}

/// What stands before an operator that repeats.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    Nothing,
    Something,
    Repetition,
}

type Parsed = Result<(), &'static str>;

impl Parser<'_> {
    fn eat(&mut self, letter: char) -> bool {
        self.rest.next_if_eq(&letter).is_some()
    }

    /// Up to the end, or a bracket that closes.
    fn alternatives(&mut self) -> Parsed {
        let mut before = Before::Nothing;
        while let Some(letter) = self.rest.next_if(|letter| *letter != ')') {
            before = match letter {
                '|' => Before::Nothing,
                '*' | '+' | '?' => repeated(before)?,
                '{' => match self.counts()? {
                    true => repeated(before)?,
                    false => Before::Something,
                },
                '(' => self.group(before)?,
                '[' => {
                    self.class()?;
                    Before::Something
                }
                '\\' => self.escape()?,
                _ => Before::Something,
            };
            if before == Before::Repetition {
                self.eat('?');
            }
        }
        Ok(())
    }

    /// Behind a `{`: whether it begins a repetition. What does not stands for itself.
    fn counts(&mut self) -> Result<bool, &'static str> {
        let mut ahead = self.rest.clone();
        let mut text = String::new();
        loop {
            match ahead.next() {
                Some('}') => break,
                Some(letter) if letter.is_ascii_digit() || letter == ',' => text.push(letter),
                _ => return Ok(false),
            }
        }
        let (low, high) = text.split_once(',').unwrap_or((&text, &text));
        if low.is_empty() || high.contains(',') {
            return Ok(false);
        }
        self.rest = ahead;
        let number = |text: &str| text.parse().ok().filter(|number: &u32| *number <= MOST);
        let bad = "a count is above 1000, or the lower one above the upper one";
        let low = number(low).ok_or(bad)?;
        if !high.is_empty() && number(high).is_none_or(|high| high < low) {
            return Err(bad);
        }
        Ok(true)
    }

    /// Behind a `(`.
    fn group(&mut self, before: Before) -> Result<Before, &'static str> {
        if self.eat('?') {
            let named = self.rest.peek() == Some(&'P') || self.rest.peek() == Some(&'<');
            if named {
                self.name()?;
                self.groups += 1;
            } else if self.flags()? {
                return Ok(before);
            }
        } else {
            self.groups += 1;
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("its groups are too deep");
        }
        self.alternatives()?;
        self.depth -= 1;
        match self.eat(')') {
            true => Ok(Before::Something),
            false => Err("a '(' has no ')'"),
        }
    }

    fn name(&mut self) -> Parsed {
        self.eat('P');
        if !self.eat('<') {
            return Err("a group has a form that RE2 does not know");
        }
        let mut name = String::new();
        while let Some(letter) = self
            .rest
            .next_if(|letter| letter.is_alphanumeric() || *letter == '_')
        {
            name.push(letter);
        }
        if name.is_empty() || !self.eat('>') {
            return Err("RE2 looks neither ahead nor behind, and names of groups are words");
        }
        match self.names.insert(name) {
            true => Ok(()),
            false => Err("two groups have the same name"),
        }
    }

    /// Behind `(?`: whether it ends there, or a group without number begins.
    fn flags(&mut self) -> Result<bool, &'static str> {
        let (mut some, mut negated) = (false, false);
        loop {
            match self.rest.next() {
                Some('i' | 'm' | 's' | 'U') => some = true,
                Some('-') if !negated => (negated, some) = (true, false),
                Some(':') if some || !negated => return Ok(false),
                Some(')') if some => return Ok(true),
                Some('=' | '!') => return Err("RE2 looks neither ahead nor behind"),
                _ => return Err("a group has a form that RE2 does not know"),
            }
        }
    }

    /// Behind a `[`.
    fn class(&mut self) -> Parsed {
        self.eat('^');
        let mut first = true;
        loop {
            let letter = self.rest.next().ok_or("a '[' has no ']'")?;
            if letter == ']' && !first {
                return Ok(());
            }
            first = false;
            if letter == '[' && self.rest.peek() == Some(&':') && self.named_class()? {
                continue;
            }
            let Some(low) = self.member(letter)? else {
                continue;
            };
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('-') && ahead.peek().is_some_and(|next| *next != ']') {
                self.rest = ahead;
                let letter = self.rest.next().ok_or("a '[' has no ']'")?;
                if self.member(letter)?.is_none_or(|high| high < low) {
                    return Err("a range of letters has no end, or one before its beginning");
                }
            }
        }
    }

    /// A letter within brackets; `None` where it stands for several.
    fn member(&mut self, letter: char) -> Result<Option<char>, &'static str> {
        if letter != '\\' {
            return Ok(Some(letter));
        }
        match self.rest.peek() {
            Some('d' | 'D' | 's' | 'S' | 'w' | 'W') => {
                self.rest.next();
                Ok(None)
            }
            Some('p' | 'P') => self.unicode_class().map(|()| None),
            _ => self.character().map(Some),
        }
    }

    /// `[:alpha:]`, within brackets.
    fn named_class(&mut self) -> Result<bool, &'static str> {
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print",
            "punct", "space", "upper", "word", "xdigit",
        ];
        let mut ahead = self.rest.clone();
        ahead.next();
        let mut name = String::new();
        for letter in ahead.by_ref() {
            if letter == ':' {
                break;
            }
            name.push(letter);
        }
        if ahead.next() != Some(']') {
            return Ok(false);
        }
        if !NAMES.contains(&name.strip_prefix('^').unwrap_or(&name)) {
            return Err("a class of letters is not known to RE2");
        }
        self.rest = ahead;
        Ok(true)
    }

    /// Behind a backslash, outside of brackets.
    fn escape(&mut self) -> Result<Before, &'static str> {
        match self.rest.peek() {
            Some('A' | 'z' | 'b' | 'B' | 'C' | 'd' | 'D' | 's' | 'S' | 'w' | 'W') => {
                self.rest.next();
            }
            Some('p' | 'P') => self.unicode_class()?,
            Some('Q') => {
                self.rest.next();
                while let Some(letter) = self.rest.next() {
                    if letter == '\\' && self.eat('E') {
                        break;
                    }
                }
            }
            _ => {
                self.character()?;
            }
        }
        Ok(Before::Something)
    }

    /// `pL`, `p{Greek}`, `p{^Greek}`.
    fn unicode_class(&mut self) -> Parsed {
        const BAD: &str = "a class of letters is not known to RE2";
        self.rest.next();
        if !self.eat('{') {
            let letter = self.rest.next().ok_or(BAD)?;
            return match "CLMNPSZ".contains(letter) {
                true => Ok(()),
                false => Err(BAD),
            };
        }
        self.eat('^');
        let mut some = false;
        while self
            .rest
            .next_if(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
            .is_some()
        {
            some = true;
        }
        match some && self.eat('}') {
            true => Ok(()),
            false => Err(BAD),
        }
    }

    /// The one character that an escape stands for.
    fn character(&mut self) -> Result<char, &'static str> {
        const BAD: &str = "a '\\' is followed by something that RE2 does not know";
        let letter = self.rest.next().ok_or("it ends with a '\\'")?;
        match letter {
            'a' => Ok('\u{7}'),
            'f' => Ok('\u{c}'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\u{b}'),
            'x' => self.hexadecimal().ok_or(BAD),
            '0'..='7' => self
                .octal(letter)
                .ok_or("it refers back to a group, which RE2 does not do"),
            _ if letter.is_ascii_punctuation() => Ok(letter),
            _ => Err(BAD),
        }
    }

    fn hexadecimal(&mut self) -> Option<char> {
        let mut digits = String::new();
        if self.eat('{') {
            while let Some(digit) = self.rest.next_if(char::is_ascii_hexdigit) {
                digits.push(digit);
            }
            if !self.eat('}') {
                return None;
            }
        } else {
            digits.extend(self.rest.next_if(char::is_ascii_hexdigit));
            digits.extend(self.rest.next_if(char::is_ascii_hexdigit));
            if digits.len() != 2 {
                return None;
            }
        }
        char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
    }

    /// `\0` to `\777`; a single digit other than 0 would be a group.
    fn octal(&mut self, first: char) -> Option<char> {
        let mut digits = String::from(first);
        while digits.len() < 3
            && let Some(digit) = self.rest.next_if(|digit| ('0'..='7').contains(digit))
        {
            digits.push(digit);
        }
        if digits.len() == 1 && first != '0' {
            return None;
        }
        char::from_u32(u32::from_str_radix(&digits, 8).ok()?)
    }
}

fn repeated(before: Before) -> Result<Before, &'static str> {
    match before {
        Before::Nothing => Err("nothing stands before an operator that repeats"),
        Before::Something => Ok(Before::Repetition),
        Before::Repetition => Err("an operator that repeats follows another one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_re2_takes() {
        for (pattern, expected) in [
            ("/api/v[0-9]+/.*", 0),
            ("(a)|(?P<name>b)|(?<other>c)|(?:d)", 3),
            ("(?i)abc", 0),
            ("(?i-s:a)(?-i)b", 0),
            (r"^(.*?;)?(user=jason)(;.*)?$", 3),
            (r"\d{3}-\w+\.\x41\x{1F600}\pL\p{Greek}\P{^Lu}", 0),
            ("a{,3}b{c{2}", 0),
            ("a{2,}?x{0,1000}", 0),
            ("[]a]|[^]]|[a-]|[-a]|[[:alpha:]_]", 0),
            (r"[\w.-]+[\]\-\t]", 0),
            (r"\Qa(b\E", 0),
            (r"\101\0", 0),
            ("|a||", 0),
            ("^*", 0),
            ("ü+", 0),
        ] {
            assert_eq!(groups(pattern), Ok(expected), "{pattern}");
        }
    }

    #[test]
    fn what_re2_refuses() {
        for pattern in [
            "",
            "*",
            "+a",
            "a**",
            "a|*",
            "(*a)",
            "a{2}{3}",
            "a*?+",
            "a{1001}",
            "a{3,2}",
            "(",
            "(a",
            "a)",
            "(?=a)",
            "(?!a)",
            "(?<=a)",
            "(?<!a)",
            "(?P=a)",
            "(?x)a",
            "(?P<a>x)(?P<a>y)",
            "(?P<>x)",
            "[a",
            "[]",
            "[b-a]",
            r"[a-\d]",
            "[[:nope:]]",
            r"\",
            r"\1",
            r"(a)\1",
            r"\Z",
            r"\q",
            r"\p{",
            r"\xg",
            r"[\b]",
            "a\0",
        ] {
            assert!(groups(pattern).is_err(), "{pattern:?}");
        }
    }
}
