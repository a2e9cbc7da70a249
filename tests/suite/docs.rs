//! What the documentation says, compared with the programs: flags, command lines, links.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use pilothouse_process::collateral::reference;

/// The page of flags is what the programs' grammars say. `make goldens` writes it.
#[test]
fn flags() {
    let tables: String = programs().values().map(reference).collect();
    let expected = format!(
        "# Flags\n\nEvery flag of every command. Durations are written as in Go: `10s`, `1m30s`, `100ms`. Flags that Istio's programs have and that mean\n\
         nothing here are accepted with one warning that says why; an unknown flag is a usage error, with exit code 64.\n\n{}",
        tables.trim_end_matches('\n').to_owned() + "\n"
    );
    let page = root().join("docs/flags.md");
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        fs::write(&page, &expected).unwrap();
    }
    let found = fs::read_to_string(&page).unwrap();
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(
            found, expected,
            "docs/flags.md is old: `make goldens` writes it"
        );
    }
    assert_eq!(
        found.len(),
        expected.len(),
        "docs/flags.md is old: `make goldens` writes it"
    );
}

#[test]
fn command_lines_are_understood() {
    let mut seen = 0;
    for page in pages() {
        for line in commands(&fs::read_to_string(&page).unwrap()) {
            let error = misunderstood(&line);
            assert_eq!(error, None, "{}: {}", page.display(), line.join(" "));
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} command lines were found");
}

#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for (_, link) in text
            .match_indices("](")
            .map(|(at, _)| text.split_at(at + 2))
        {
            let target = link.split(')').next().unwrap();
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            if target.contains("://") {
                continue;
            }
            let file = if file.is_empty() {
                page.clone()
            } else {
                page.with_file_name(file)
            };
            let linked = fs::read_to_string(&file)
                .unwrap_or_else(|error| panic!("{}: {target}: {error}", page.display()));
            let found = anchor.is_empty() || headings(&linked).any(|known| known == anchor);
            assert!(found, "{}: {target} is no heading", page.display());
        }
    }
}

#[test]
fn command_lines_are_found_as_a_shell_reads_them() {
    let text = "```sh\n# pilotctl no\npilotctl validate -f 'a b' \\\n  --strict | head\nsetpriv x pilot-agent wait && pilotctl version > f\n```\n```yaml\npilotctl no\n```\n\
                ```console\n$ pilotctl version\npilotctl said\n```\n";
    let lines: Vec<_> = commands(text).iter().map(|line| line.join("|")).collect();
    assert_eq!(
        lines,
        [
            "pilotctl|validate|-f|a b|--strict",
            "pilot-agent|wait",
            "pilotctl|version",
            "pilotctl|version"
        ]
    );
}

/// What each program understands.
pub(crate) fn programs() -> BTreeMap<&'static str, Command> {
    [
        ("pilot-agent", pilot_agent::config::grammar()),
        ("pilot-discovery", pilot_discovery::config::grammar()),
        ("pilotctl", pilotctl::cli::CommandLine::command()),
    ]
    .into()
}

/// What the program says against a command line, its name first.
pub(crate) fn misunderstood(line: &[String]) -> Option<String> {
    let programs = programs();
    let grammar = programs.get(line.first()?.as_str())?.clone();
    let matches = grammar.try_get_matches_from(line);
    matches.err().map(|error| error.to_string())
}

/// Where the repository is.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<_> = fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    pages
}

/// As links to headings are written.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter_map(|line| {
        let heading = line.strip_prefix('#')?.trim_start_matches('#').trim();
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-'));
        Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
    })
}

/// The command lines of these programs in the shell blocks of a page.
fn commands(page: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut block: Option<&str> = None;
    let mut pending = String::new();
    for line in page.lines() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            block = if block.is_some() { None } else { Some(kind) };
            continue;
        }
        let line = match block {
            Some("sh") => line,
            Some("console") => line.strip_prefix("$ ").unwrap_or_default(),
            _ => continue,
        };
        match line.strip_suffix('\\') {
            Some(more) => pending.push_str(more),
            None => {
                pending.push_str(line);
                found.extend(programs_in(&words(&pending)));
                pending.clear();
            }
        }
    }
    found
}

/// The words of a line; operators are words of their own.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (None, '#') if words.last().is_some_and(String::is_empty) => break,
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, ' ') => words.push(String::new()),
            (_, c) => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A program is called where a command may stand, or by another command that takes one.
fn programs_in(words: &[String]) -> Vec<Vec<String>> {
    let names = programs();
    let starts = words
        .iter()
        .enumerate()
        .filter(|(_, word)| names.contains_key(word.as_str()));
    starts
        .map(|(start, _)| {
            let rest = words.iter().skip(start);
            rest.take_while(|word| !matches!(word.as_str(), "|" | "&&" | ">" | ";"))
                .cloned()
                .collect()
        })
        .collect()
}
