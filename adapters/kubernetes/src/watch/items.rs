//! The items of a list, one by one while its text comes in: only one of them is held at a time.

/// How much of a list may stand around its items.
const MAX_ENVELOPE: usize = 1 << 20;

/// Cuts the text of a list into its items, and what stands around them.
///
/// It follows strings and brackets only. Whether what it cuts out is JSON is seen by who reads it.
#[derive(Debug)]
pub(super) struct Items {
    max: usize,
    /// The list without its items.
    envelope: Vec<u8>,
    /// The beginning of an item that the next text goes on with.
    begun: Vec<u8>,
    too_large: bool,
    depth: usize,
    string: bool,
    escaped: bool,
    /// Within the array of items.
    inside: bool,
}

/// One item.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    Text(&'a [u8]),
    /// It has more bytes than are read.
    TooLarge,
}

/// Why a text is no list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoList {
    /// Its brackets do not fit.
    Brackets,
    /// It has too much that is no item.
    TooLarge,
}

impl Items {
    /// Of a list that begins, whose items have up to `max` bytes.
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            envelope: Vec::new(),
            begun: Vec::new(),
            too_large: false,
            depth: 0,
            string: false,
            escaped: false,
            inside: false,
        }
    }

    /// Goes on with this text, and hands out every item that is complete.
    pub(super) fn feed(
        &mut self,
        text: &[u8],
        mut each: impl FnMut(Item<'_>),
    ) -> Result<(), NoList> {
        let mut from = 0;
        for (at, byte) in text.iter().enumerate() {
            if self.string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.string = false,
                    _ => {}
                }
                continue;
            }
            let piece = |to: usize| text.get(from..to).unwrap_or_default();
            match byte {
                b'"' => self.string = true,
                b'{' | b'[' => {
                    if self.depth == 1 && *byte == b'[' {
                        self.around(piece(at))?;
                        self.inside = names_items(&self.envelope);
                        from = at;
                        if self.inside {
                            self.around(b"[")?;
                            from += 1;
                        }
                    }
                    self.depth += 1;
                }
                b'}' | b']' => {
                    self.depth = self.depth.checked_sub(1).ok_or(NoList::Brackets)?;
                    if self.inside && self.depth == 2 {
                        self.item(piece(at + 1), &mut each);
                        from = at + 1;
                    } else if self.inside && self.depth == 1 {
                        self.item(piece(at), &mut each);
                        self.inside = false;
                        from = at;
                    }
                }
                b',' if self.inside && self.depth == 2 => {
                    self.item(piece(at), &mut each);
                    from = at + 1;
                }
                _ => {}
            }
        }
        let rest = text.get(from..).unwrap_or_default();
        if self.inside {
            self.begin(rest);
            Ok(())
        } else {
            self.around(rest)
        }
    }

    /// The list without its items, when all of its text was fed.
    pub(super) fn envelope(&self) -> &[u8] {
        &self.envelope
    }

    fn around(&mut self, text: &[u8]) -> Result<(), NoList> {
        if self.envelope.len() + text.len() > MAX_ENVELOPE {
            return Err(NoList::TooLarge);
        }
        self.envelope.extend_from_slice(text);
        Ok(())
    }

    fn begin(&mut self, text: &[u8]) {
        if self.begun.len() + text.len() > self.max {
            self.begun = Vec::new();
            self.too_large = true;
        }
        if !self.too_large {
            self.begun.extend_from_slice(text);
        }
    }

    /// An item ends with this text.
    fn item(&mut self, end: &[u8], each: &mut impl FnMut(Item<'_>)) {
        let whole = if self.begun.is_empty() && !self.too_large && end.len() <= self.max {
            end
        } else {
            self.begin(end);
            &self.begun
        };
        let whole = whole.trim_ascii();
        if self.too_large {
            each(Item::TooLarge);
        } else if !whole.is_empty() {
            each(Item::Text(whole));
        }
        self.begun.clear();
        self.too_large = false;
    }
}

/// Whether the next value is that of `items`.
fn names_items(envelope: &[u8]) -> bool {
    let key = envelope.trim_ascii_end().strip_suffix(b":");
    let before = key.and_then(|key| key.trim_ascii_end().strip_suffix(br#""items""#));
    before.is_some_and(|before| matches!(before.trim_ascii_end().last(), Some(b'{' | b',')))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts a text that comes in pieces of every size.
    fn check(text: &str, items: &[&str], envelope: &str) {
        for size in 1..=text.len() {
            let mut scanner = Items::new(40);
            let mut found = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                let take = |item: Item<'_>| match item {
                    Item::Text(text) => found.push(String::from_utf8(text.to_vec()).unwrap()),
                    Item::TooLarge => found.push("too large".into()),
                };
                scanner.feed(piece, take).unwrap();
            }
            assert_eq!(found, items, "in pieces of {size}");
            assert_eq!(
                String::from_utf8_lossy(scanner.envelope()),
                envelope,
                "in pieces of {size}"
            );
        }
    }

    #[test]
    fn items_are_cut_out_wherever_the_text_is_torn() {
        check(
            r#"{"metadata":{"resourceVersion":"5"},"items":[{"a":[1,2]},{"b":"]},\"{"}],"kind":"List"}"#,
            &[r#"{"a":[1,2]}"#, r#"{"b":"]},\"{"}"#],
            r#"{"metadata":{"resourceVersion":"5"},"items":[],"kind":"List"}"#,
        );
    }

    #[test]
    fn white_space_and_items_that_are_no_objects() {
        check(
            "{ \"items\" : [ {} , null,7\n, \"x,]\", [ 1 ] ] }\n",
            &["{}", "null", "7", "\"x,]\"", "[ 1 ]"],
            "{ \"items\" : [] }\n",
        );
        check(r#"{"items":[]}"#, &[], r#"{"items":[]}"#);
        check(
            r#"{"items":null,"x":[1]}"#,
            &[],
            r#"{"items":null,"x":[1]}"#,
        );
    }

    #[test]
    fn other_arrays_are_not_taken_for_the_items() {
        for text in [
            r#"{"metadata":{"items":[1,2]},"no":["items",[3]]}"#,
            r#"{"a\"items":[1]}"#,
            r#"{"a":"\"items\":","b":[1]}"#,
        ] {
            check(text, &[], text);
        }
    }

    #[test]
    fn an_item_that_is_too_large_costs_only_itself() {
        let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(40));
        check(
            &format!(r#"{{"items":[{{}},{large},{{}}]}}"#),
            &["{}", "too large", "{}"],
            r#"{"items":[]}"#,
        );
    }

    #[test]
    fn brackets_that_do_not_fit_and_endless_text_are_refused() {
        let mut scanner = Items::new(40);
        assert_eq!(scanner.feed(b"}", |_| {}), Err(NoList::Brackets));
        let mut scanner = Items::new(40);
        let endless = vec![b' '; MAX_ENVELOPE + 1];
        assert_eq!(scanner.feed(&endless, |_| {}), Err(NoList::TooLarge));
    }
}
