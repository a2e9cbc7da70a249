//! The reference of flags, as Markdown.

use std::fmt::Write;

use clap::{Arg, Command};

/// A section for each command that is not hidden, with a table of its flags; those of all commands stand with the program.
pub fn reference(grammar: &Command) -> String {
    let mut text = String::new();
    let mut grammar = grammar.clone();
    grammar.build();
    section(&grammar, grammar.get_name(), &mut text);
    text
}

fn section(command: &Command, path: &str, text: &mut String) {
    let level = if path.contains(' ') { "###" } else { "##" };
    let _ = writeln!(text, "{level} {path}\n");
    if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
        let _ = writeln!(text, "{}\n", about.to_string().trim_end());
    }
    let top = !path.contains(' ');
    let shown: Vec<_> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version"))
        .filter(|arg| top || !arg.is_global_set())
        .collect();
    if !shown.is_empty() {
        text.push_str("| flag | default | |\n|---|---|---|\n");
        for arg in shown {
            row(arg, text);
        }
        text.push('\n');
    }
    let shown = |sub: &&Command| !sub.is_hide_set() && sub.get_name() != "help";
    for sub in command.get_subcommands().filter(shown) {
        section(sub, &format!("{path} {}", sub.get_name()), text);
    }
}

fn row(arg: &Arg, text: &mut String) {
    let values: Vec<_> = match arg.get_value_names() {
        _ if !arg.get_action().takes_values() => Vec::new(),
        Some(names) => names.iter().map(ToString::to_string).collect(),
        None => vec![arg.get_id().to_string()],
    };
    let long = arg.get_long().map(|long| format!("--{long}"));
    let short = arg.get_short().map(|short| format!("-{short}"));
    let names: Vec<_> = short.into_iter().chain(long).collect();
    let words: Vec<_> = (!names.is_empty())
        .then(|| names.join(", "))
        .into_iter()
        .chain(values)
        .collect();
    let flag = words.join(" ");
    let defaults: Vec<_> = arg
        .get_default_values()
        .iter()
        .filter(|_| arg.get_action().takes_values())
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    let mut what = one_line(&arg.get_help().map(ToString::to_string).unwrap_or_default());
    let choices: Vec<_> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set() && arg.get_action().takes_values())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !choices.is_empty() && choices != ["`true`", "`false`"] {
        let _ = write!(what, " One of {}.", choices.join(", "));
    }
    let aliases: Vec<_> = arg
        .get_all_aliases()
        .unwrap_or_default()
        .iter()
        .map(|alias| format!("`--{alias}`"))
        .collect();
    if !aliases.is_empty() {
        let _ = write!(what, " Also {}.", aliases.join(", "));
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(what, " From `{}`.", variable.to_string_lossy());
    }
    let _ = writeln!(
        text,
        "| `{}` | {} | {} |",
        flag.replace('|', "\\|"),
        defaults.join(", "),
        what.trim()
    );
}

/// A cell has one line, and ends as a sentence does.
fn one_line(help: &str) -> String {
    let line = help
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|");
    match line.chars().last() {
        Some(last) if !matches!(last, '.' | '?' | '!') => line + ".",
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_flags_are_listed() {
        let grammar = Command::new("prog")
            .about("Does it")
            .arg(Arg::new("all").long("all").global(true).help("Everywhere"))
            .subcommand(
                Command::new("serve")
                    .about("Serves.")
                    .arg(
                        Arg::new("port")
                            .short('p')
                            .long("port")
                            .alias("portNumber")
                            .default_value("80")
                            .value_name("N|NAME")
                            .help("Which\nport"),
                    )
                    .arg(Arg::new("form").value_parser(["a", "b"]).help("How"))
                    .arg(Arg::new("no").long("no").hide(true)),
            )
            .subcommand(Command::new("secret").hide(true));
        assert_eq!(
            reference(&grammar),
            "## prog

Does it

| flag | default | |
|---|---|---|
| `--all all` |  | Everywhere. |

### prog serve

Serves.

| flag | default | |
|---|---|---|
| `-p, --port N\\|NAME` | `80` | Which port. Also `--portNumber`. |
| `form` |  | How. One of `a`, `b`. |

"
        );
    }
}
