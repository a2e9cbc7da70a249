//! The files that a command line names.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use pilothouse_core::mesh::{MeshConfig, VirtualServiceMerge};
use pilothouse_core::registry::{Origin, Problem, Value};
use pilothouse_static::{DEFAULT_DOMAIN, File, Finding, Names};
use pilothouse_xds::patch;

use super::messages::{Message, Messages};

/// Which files.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Files")]
pub struct SourceArgs {
    /// A file, or a directory with all its files; `-` for the standard input. May be given several times.
    #[arg(short, long = "filename", required = true, num_args = 1.., value_name = "FILE|DIR")]
    pub filenames: Vec<PathBuf>,

    /// What names of services end with, NAME.NAMESPACE.svc.DOMAIN, as discovery's --domain.
    #[arg(long, default_value = DEFAULT_DOMAIN, value_name = "DOMAIN")]
    pub domain: String,

    /// The file of mesh-wide settings, as discovery's --mesh-config.
    #[arg(long, alias = "meshConfig", value_name = "FILE")]
    pub mesh_config: Option<PathBuf>,

    /// Which VirtualServices for one host merge on sidecars, as discovery's --virtual-service-merge.
    #[arg(
        long,
        default_value = "off",
        value_name = "SCOPE",
        value_parser = PossibleValuesParser::new(VirtualServiceMerge::NAMES)
            .try_map(|name| VirtualServiceMerge::named(&name).ok_or("is not known")),
    )]
    pub virtual_service_merge: VirtualServiceMerge,
}

/// What is in them.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// The files, in the order in which they are named.
    pub(super) files: Vec<File>,
    /// The defaults where no file of mesh config is named, or it cannot be used.
    pub(super) mesh_config: MeshConfig,
    /// What is wrong with mesh config, and with what could not be read at all.
    findings: Vec<Finding>,
}

impl Sources {
    /// Reads everything. A file that cannot be read is told like any other problem, so that one run tells all of them.
    ///
    /// # Errors
    /// The standard input cannot be read.
    pub(super) fn read(args: &SourceArgs, input: &mut dyn Read) -> Result<Self> {
        let mut sources = Self::default();
        let mut seen = BTreeSet::new();
        let names = Names::new(&args.domain);
        for path in &args.filenames {
            let files = if path == Path::new("-") {
                let mut text = String::new();
                input
                    .read_to_string(&mut text)
                    .context("cannot read the standard input")?;
                vec![pilothouse_static::read_manifests("<stdin>", &text, &names)]
            } else if path.is_dir() {
                match pilothouse_static::read(path, &names) {
                    Ok(files) => files,
                    Err(error) => sources.unreadable(path, &error),
                }
            } else {
                match pilothouse_static::read_file(path, &names) {
                    Ok(file) => vec![file],
                    Err(error) => sources.unreadable(path, &error),
                }
            };
            // A file that is named twice is one file.
            let new = files
                .into_iter()
                .filter(|file| seen.insert(file.name.clone()));
            sources.files.extend(new);
        }
        if let Some(path) = &args.mesh_config {
            match pilothouse_static::read_mesh_config(path) {
                Ok((config, findings)) => {
                    sources.mesh_config = config.unwrap_or_default();
                    sources.findings.extend(findings);
                }
                Err(error) => {
                    sources.unreadable(path, &error);
                }
            }
        }
        sources.mesh_config.virtual_service_merge = args.virtual_service_merge;
        Ok(sources)
    }

    fn unreadable(&mut self, path: &Path, error: &dyn std::error::Error) -> Vec<File> {
        let what = match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        self.findings.push(Finding {
            key: None,
            at: Origin::new(path.display().to_string()),
            problems: vec![Problem::error("", what)],
        });
        Vec::new()
    }

    /// Everything that can be said about the files one by one.
    pub(super) fn messages(&self) -> Messages {
        let mut messages = Messages::default();
        for finding in &self.findings {
            messages.add_finding(finding);
        }
        for file in &self.files {
            for finding in file.findings.iter().chain(&file.checked) {
                messages.add_finding(finding);
            }
            for object in &file.objects {
                if let Value::Rule(rule) = &object.value {
                    for problem in patch::check(&object.meta, rule) {
                        let key = Some(&object.meta.key);
                        messages.add(Message::new(&object.origin, key, &problem));
                    }
                }
            }
            for unknown in &file.unknown {
                messages.add(Message::unknown_kind(unknown));
            }
        }
        messages
    }

    /// How many objects could be read.
    pub(super) fn objects(&self) -> usize {
        self.files.iter().map(|file| file.objects.len()).sum()
    }
}
