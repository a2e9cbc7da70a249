//! The words of CEL.

/// A word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name.
    Name(&'a str),
    /// A number or a text.
    Literal,
    /// A sign.
    Sign(&'a str),
}

const SIGNS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}",
];

/// The next word of `text` and what follows it; `None` at its end.
///
/// # Errors
/// No word begins so.
pub(super) fn next(text: &str) -> Result<Option<(Token<'_>, &str)>, String> {
    let mut text = text.trim_start();
    while let Some(comment) = text.strip_prefix("//") {
        let rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
        text = rest.trim_start();
    }
    let Some(first) = text.chars().next() else {
        return Ok(None);
    };
    if let Some(rest) = quoted(text)? {
        return Ok(Some((Token::Literal, rest)));
    }
    if first.is_ascii_digit() {
        return Ok(Some((Token::Literal, number(text))));
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let (name, rest) = split(text, |letter| {
            letter.is_ascii_alphanumeric() || letter == '_'
        });
        return Ok(Some((Token::Name(name), rest)));
    }
    for sign in SIGNS {
        if let Some(rest) = text.strip_prefix(sign) {
            return Ok(Some((Token::Sign(sign), rest)));
        }
    }
    Err(format!("{:?} is unexpected", first.to_string()))
}

/// What follows a text in quotes, if `text` begins with one.
fn quoted(text: &str) -> Result<Option<&str>, String> {
    let (prefix, own) = split(text, |letter| matches!(letter, 'r' | 'R' | 'b' | 'B'));
    let is_raw = prefix.contains(['r', 'R']);
    if prefix.len() > 2 {
        return Ok(None);
    }
    let long = ["\"\"\"", "'''"];
    let short = ["\"", "'"];
    let Some(quote) = long
        .into_iter()
        .chain(short)
        .find(|quote| own.starts_with(quote))
    else {
        return Ok(None);
    };
    let is_short = quote.len() == 1;
    let mut rest = own.strip_prefix(quote).unwrap_or_default();
    loop {
        if let Some(after) = rest.strip_prefix(quote) {
            return Ok(Some(after));
        }
        let mut letters = rest.chars();
        match letters.next() {
            None => return Err("it has a text without end".to_owned()),
            Some('\n') if is_short => return Err("it has a text without end".to_owned()),
            Some('\\') if !is_raw => {
                if letters
                    .next()
                    .is_none_or(|letter| !"abfnrtv\\?\"'`xXuU01234567".contains(letter))
                {
                    return Err("it has a text with an odd escape".to_owned());
                }
            }
            Some(_) => {}
        }
        rest = letters.as_str();
    }
}

/// What follows a number.
fn number(text: &str) -> &str {
    for prefix in ["0x", "0X"] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let (_, rest) = split(digits, |letter| letter.is_ascii_hexdigit());
            return rest.strip_prefix(['u', 'U']).unwrap_or(rest);
        }
    }
    let digits = |text| split(text, |letter: char| letter.is_ascii_digit()).1;
    let mut rest = digits(text);
    if let Some(fraction) = rest.strip_prefix('.')
        && fraction.starts_with(|letter: char| letter.is_ascii_digit())
    {
        rest = digits(fraction);
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        rest = digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    }
    rest.strip_prefix(['u', 'U']).unwrap_or(rest)
}

fn split(text: &str, within: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|letter| !within(letter)).unwrap_or(text.len());
    text.split_at(end)
}
