//! From JSON to the fields that mean something: absent and `null` are the same, everywhere, and what is not asked for is skipped.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use pilothouse_core::model::Labels;
use pilothouse_core::registry::Problem;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Where an object is read from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'de> {
    /// JSON.
    Text(&'de str),
    /// What has been read already.
    Fields(&'de Map<String, Value>),
}

impl<'de> Source<'de> {
    /// The object; or which field is wrong, and how.
    pub(super) fn decode<T: Deserialize<'de>>(self) -> Result<T, Vec<Problem>> {
        let read = match self {
            Self::Text(text) => serde_json::from_str(text),
            Self::Fields(fields) => T::deserialize(fields),
        };
        read.map_err(|error| vec![self.explain::<T>(error)])
    }

    /// Paths cost time, and only an object that cannot be read needs one: it is read again.
    fn explain<T: Deserialize<'de>>(self, error: serde_json::Error) -> Problem {
        let traced = match self {
            Self::Text(text) => {
                let mut deserializer = serde_json::Deserializer::from_str(text);
                serde_path_to_error::deserialize::<_, T>(&mut deserializer)
            }
            Self::Fields(fields) => serde_path_to_error::deserialize::<_, T>(fields),
        };
        let (path, error) = match traced {
            Err(error) => (error.path().to_string(), error.into_inner()),
            Ok(_) => (String::new(), error),
        };
        let path = if path == "." { String::new() } else { path };
        let what = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        Problem::error(path, what.strip_suffix(&place).unwrap_or(&what))
    }
}

/// What may be `null`, and is its default then.
pub(super) fn nullable<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A text, borrowed where it can be. Empty where there is none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Text<'a>(Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// A list; an element that is `null` keeps its place and is none.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct List<T>(Vec<Option<T>>);

impl<T> List<T> {
    /// The elements, each with its place.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        let places = self.0.iter().enumerate();
        places.filter_map(|(index, element)| Some((index, element.as_ref()?)))
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Texts by name, such as a selector.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Texts<'a>(Vec<(Text<'a>, Text<'a>)>);

impl Texts<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn to_labels(&self) -> Labels {
        self.0
            .iter()
            .map(|(key, value)| (&**key, &**value))
            .collect()
    }
}

/// A port of a pod: its number, or its name there.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Target<'a> {
    /// Not said.
    #[default]
    Absent,
    /// A number.
    Number(i64),
    /// A name.
    Name(Text<'a>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor(PhantomData))
    }
}

struct TextVisitor<'a>(PhantomData<&'a str>);

impl<'de: 'a, 'a> Visitor<'de> for TextVisitor<'a> {
    type Value = Text<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'a>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'a>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Text<'a>, E> {
        Ok(Text::default())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(List(all))
    }

    fn visit_unit<E>(self) -> Result<List<T>, E> {
        Ok(List::default())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor(PhantomData))
    }
}

struct TextsVisitor<'a>(PhantomData<&'a str>);

impl<'de: 'a, 'a> Visitor<'de> for TextsVisitor<'a> {
    type Value = Texts<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("texts by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Texts<'a>, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            all.push(entry);
        }
        Ok(Texts(all))
    }

    fn visit_unit<E>(self) -> Result<Texts<'a>, E> {
        Ok(Texts::default())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Target<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TargetVisitor(PhantomData))
    }
}

struct TargetVisitor<'a>(PhantomData<&'a str>);

impl<'de: 'a, 'a> Visitor<'de> for TargetVisitor<'a> {
    type Value = Target<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a name of a port")
    }

    fn visit_i64<E>(self, number: i64) -> Result<Target<'a>, E> {
        Ok(Target::Number(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Target<'a>, E> {
        Ok(Target::Number(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Target<'a>, E> {
        Ok(Target::Name(Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Target<'a>, E> {
        Ok(Target::Name(Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_unit<E>(self) -> Result<Target<'a>, E> {
        Ok(Target::Absent)
    }
}
