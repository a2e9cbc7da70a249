//! `crds`: the kinds of rules, for an API server that does not know them.

use std::io::Write;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use pilothouse_manifests::crds::{self, Crd};
use pilothouse_process::USAGE;
use serde_json::{Value, json};

/// Print the definitions of the kinds of rules, for a cluster that has none.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  pilotctl crds | kubectl apply --server-side -f -\n  pilotctl crds vs dr gw se -o json\n\nWhere Istio's definitions are installed, these are not needed: the objects are the same."
)]
pub struct CrdsArgs {
    /// Only these kinds, by any name that kubectl takes: VirtualService, virtualservices, vs.
    #[arg(value_name = "KIND")]
    pub kinds: Vec<String>,

    /// How to print them.
    #[arg(short, long, value_enum, default_value_t = Output::Yaml, value_name = "FORMAT")]
    pub output: Output,
}

/// How to print definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// YAML, a document for each.
    Yaml,
    /// JSON, a list of them.
    Json,
}

/// Prints them.
pub(crate) fn run(args: &CrdsArgs, out: &mut dyn Write, err: &mut dyn Write) -> Result<u8> {
    let all = crds::crds();
    for wanted in &args.kinds {
        if !all.iter().any(|crd| is_called(crd, wanted)) {
            let known: Vec<_> = all.iter().map(|crd| crd.kind).collect();
            writeln!(
                err,
                "pilotctl: {wanted:?} is not a kind of rule: one of {}",
                known.join(", ")
            )?;
            return Ok(USAGE);
        }
    }
    let is_wanted =
        |crd: &&Crd| args.kinds.is_empty() || args.kinds.iter().any(|name| is_called(crd, name));
    let wanted = all.iter().filter(is_wanted).map(|crd| &crd.document);
    match args.output {
        Output::Yaml => {
            for document in wanted {
                let text = serde_saphyr::to_string(document).context("writing YAML")?;
                write!(out, "---\n{}\n", text.trim_end_matches('\n'))?;
            }
        }
        Output::Json => {
            let items: Vec<&Value> = wanted.collect();
            let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
            writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
        }
    }
    Ok(0)
}

fn is_called(crd: &Crd, name: &str) -> bool {
    let names = [crd.kind, &crd.name, crd.plural];
    let mut all = names.iter().chain(crd.short_names);
    all.any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(kinds: &[&str], output: Output) -> (u8, String, String) {
        let kinds = kinds.iter().map(|&kind| kind.to_owned()).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(&CrdsArgs { kinds, output }, &mut out, &mut err).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (code, text(out), text(err))
    }

    fn names(documents: &[Value]) -> Vec<&str> {
        let names = documents.iter().map(|one| &one["metadata"]["name"]);
        names.filter_map(Value::as_str).collect()
    }

    #[test]
    fn yaml_and_json_say_the_same() {
        let (code, yaml, _) = print(&[], Output::Yaml);
        assert_eq!(code, 0);
        let documents: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
        let (_, json, _) = print(&[], Output::Json);
        let list: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(list["items"], json!(documents));
        assert_eq!(documents.len(), crds::crds().len());
        assert_eq!(print(&[], Output::Yaml).1, yaml, "it is always the same");
    }

    #[test]
    fn kinds_are_found_by_any_of_their_names() {
        let (code, json, _) = print(
            &[
                "VS",
                "gateways",
                "sidecars.networking.istio.io",
                "destinationrule",
            ],
            Output::Json,
        );
        let list: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(code, 0);
        assert_eq!(
            names(list["items"].as_array().unwrap()),
            [
                "destinationrules.networking.istio.io",
                "gateways.networking.istio.io",
                "sidecars.networking.istio.io",
                "virtualservices.networking.istio.io",
            ]
        );
    }

    #[test]
    fn an_unknown_kind_is_a_wrong_command_line() {
        let (code, out, err) = print(&["vs", "pods"], Output::Yaml);
        assert_eq!((code, out.as_str()), (USAGE, ""));
        assert!(
            err.starts_with(
                "pilotctl: \"pods\" is not a kind of rule: one of AuthorizationPolicy, "
            ),
            "{err}"
        );
    }
}
