//! The answer as people read it: who is concerned, what it means, and every field.

use std::io::{self, Write};

use anstyle::Style;
use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::fields::{Field, fields};
use super::words::words;

const HEAD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

/// How many proxies are named.
const NAMED: usize = 8;

/// What discovery answers.
#[derive(Debug, Deserialize)]
struct Answer {
    connected: usize,
    changes: Vec<Change>,
    groups: Vec<Group>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Change {
    #[serde(rename = "type")]
    resource_type: String,
    name: String,
    before: Value,
    after: Value,
}

#[derive(Debug, Deserialize)]
struct Group {
    count: usize,
    namespaces: std::collections::BTreeMap<String, usize>,
    proxies: Vec<String>,
    changes: Vec<usize>,
}

/// The answer with what it means.
#[derive(Debug)]
pub(super) struct Told {
    answer: Answer,
    /// For each change.
    fields: Vec<Vec<Field>>,
    words: Vec<Vec<String>>,
}

impl Told {
    /// Reads an answer.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn of(answer: &Value) -> Result<Self> {
        let answer = Answer::deserialize(answer).context("it has another form")?;
        let changes = answer.changes.iter();
        let fields = changes
            .clone()
            .map(|change| match (&change.before, &change.after) {
                (Value::Null, _) | (_, Value::Null) => Vec::new(),
                (before, after) => fields(before, after),
            });
        let words = changes.map(|change| {
            let Change {
                resource_type,
                name,
                before,
                after,
            } = change;
            words(resource_type, name, before, after)
        });
        Ok(Self {
            fields: fields.collect(),
            words: words.collect(),
            answer,
        })
    }

    /// Whether any proxy gets something else.
    pub(super) fn differs(&self) -> bool {
        !self.answer.groups.is_empty()
    }

    /// For people.
    pub(super) fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        for warning in &self.answer.warnings {
            writeln!(out, "warning: {warning}")?;
        }
        let mut concerned = 0;
        for group in &self.answer.groups {
            concerned += group.count;
            let who = group.who();
            writeln!(out, "{HEAD}{who}{HEAD:#}: {}", group.names())?;
            for sentence in self.sentences(group) {
                writeln!(out, "  {sentence} for {who}")?;
            }
            writeln!(out)?;
            for place in &group.changes {
                self.change(*place, out)?;
            }
            writeln!(out)?;
        }
        let connected = self.answer.connected;
        if concerned == 0 {
            return writeln!(out, "nothing differs for {}", number(connected));
        }
        match connected - concerned.min(connected) {
            0 => Ok(()),
            same => writeln!(
                out,
                "nothing differs for {} other{}",
                same,
                if same == 1 { "" } else { "s" }
            ),
        }
    }

    /// For tools: the answer, with the fields of each change and the words for each group.
    pub(super) fn json(&self) -> Value {
        let answer = &self.answer;
        let changes = answer.changes.iter().zip(&self.fields);
        let changes: Vec<_> = changes
            .map(|(change, fields)| {
                json!({
                    "type": change.resource_type,
                    "name": change.name,
                    "fields": fields,
                    "before": change.before,
                    "after": change.after,
                })
            })
            .collect();
        let groups: Vec<_> = answer
            .groups
            .iter()
            .map(|group| {
                json!({
                    "count": group.count,
                    "namespaces": group.namespaces,
                    "proxies": group.proxies,
                    "changes": group.changes,
                    "words": self.sentences(group),
                })
            })
            .collect();
        json!({
            "connected": answer.connected,
            "warnings": answer.warnings,
            "changes": changes,
            "groups": groups,
        })
    }

    fn change(&self, place: usize, out: &mut dyn Write) -> io::Result<()> {
        let (Some(change), Some(fields)) = (self.answer.changes.get(place), self.fields.get(place))
        else {
            return Ok(());
        };
        let what = format!("{} {}", change.resource_type.to_uppercase(), change.name);
        match (&change.before, &change.after) {
            (Value::Null, _) => writeln!(out, "  {FAINT}{what}:{FAINT:#} is added"),
            (_, Value::Null) => writeln!(out, "  {FAINT}{what}:{FAINT:#} is removed"),
            _ => {
                for field in fields {
                    writeln!(out, "  {FAINT}{what}:{FAINT:#} {field}")?;
                }
                Ok(())
            }
        }
    }

    /// Each once: a rule of several ports changes as many resources.
    fn sentences(&self, group: &Group) -> Vec<&str> {
        let mut said: Vec<&str> = Vec::new();
        let all = group
            .changes
            .iter()
            .filter_map(|place| self.words.get(*place));
        // Routes first: they are what people mean.
        for rank in ["rds", "cds", "lds", "eds", "nds"] {
            let of_rank = group.changes.iter().zip(all.clone()).filter(|(place, _)| {
                let change = self.answer.changes.get(**place);
                change.is_some_and(|change| change.resource_type == rank)
            });
            for sentence in of_rank.flat_map(|(_, words)| words) {
                if !said.contains(&sentence.as_str()) {
                    said.push(sentence);
                }
            }
        }
        said
    }
}

impl Group {
    /// `12 proxies in ns shop`.
    fn who(&self) -> String {
        let namespaces: Vec<_> = self.namespaces.keys().map(String::as_str).collect();
        format!("{} in ns {}", number(self.count), namespaces.join(", "))
    }

    fn names(&self) -> String {
        let name = |id: &String| id.split('~').nth(2).unwrap_or(id).to_owned();
        let mut names: Vec<_> = self.proxies.iter().take(NAMED).map(name).collect();
        if self.proxies.len() > NAMED {
            names.push("…".to_owned());
        }
        names.join(", ")
    }
}

fn number(proxies: usize) -> String {
    format!("{proxies} prox{}", if proxies == 1 { "y" } else { "ies" })
}
