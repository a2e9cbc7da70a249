//! Reads a dump once from end to end, and keeps of it only the sections that are wanted.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::Section;

type Sections = BTreeMap<Section, Vec<Value>>;

/// The wanted sections; `None` if the JSON is something else than a dump.
pub(super) fn sections(
    bytes: &[u8],
    wanted: &[Section],
) -> Result<Option<Sections>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let found = Whole(wanted).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(found)
}

/// The object with `configs`.
struct Whole<'a>(&'a [Section]);
/// The list of sections.
struct Configs<'a>(&'a [Section]);
/// One section.
struct Config<'a>(&'a [Section]);

/// Passes over whatever it is, as long as it is JSON.
macro_rules! other_values {
    ($none:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a value")
        }
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($none)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($none)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($none)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($none)
        }
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($none)
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($none)
        }
    };
}

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = Option<Sections>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = Option<Sections>;

    other_values!(None);

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = fields.next_key::<String>()? {
            if key == "configs" {
                found = fields.next_value_seed(Configs(self.0))?;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

impl<'de> DeserializeSeed<'de> for Configs<'_> {
    type Value = Option<Sections>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Configs<'_> {
    type Value = Option<Sections>;

    other_values!(None);

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut sections = Sections::new();
        while let Some(found) = items.next_element_seed(Config(self.0))? {
            if let Some((section, value)) = found {
                sections.entry(section).or_default().push(value);
            }
        }
        Ok(Some(sections))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl<'de> DeserializeSeed<'de> for Config<'_> {
    type Value = Option<(Section, Value)>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Config<'_> {
    type Value = Option<(Section, Value)>;

    other_values!(None);

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut kept = Map::new();
        let mut section = None;
        while let Some(key) = fields.next_key::<String>()? {
            if key == "@type" {
                let url: Value = fields.next_value()?;
                let name = url.as_str().and_then(|url| url.rsplit('.').next());
                section = self
                    .0
                    .iter()
                    .find(|section| Some(section.message()) == name);
                if section.is_none() {
                    while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                    return Ok(None);
                }
            } else {
                // The type may come later.
                kept.insert(key, fields.next_value()?);
            }
        }
        Ok(section.map(|section| (*section, Value::Object(kept))))
    }
}
