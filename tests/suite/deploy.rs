//! What is shipped beside the programs: units, images, packages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::docs::{misunderstood, programs, root};

#[test]
fn units_are_confined_and_start_what_is_understood() {
    for (name, user) in [
        ("pilot-discovery", ("DynamicUser", "yes")),
        ("pilot-agent", ("User", "istio-proxy")),
    ] {
        let unit =
            fs::read_to_string(root().join(format!("deploy/systemd/{name}.service"))).unwrap();
        let settings: BTreeSet<_> = unit
            .lines()
            .filter_map(|line| line.split_once('='))
            .collect();
        for expected in [
            user,
            ("NoNewPrivileges", "yes"),
            ("PrivateTmp", "yes"),
            ("ProtectHome", "yes"),
            ("ProtectSystem", "strict"),
            ("RestrictSUIDSGID", "yes"),
            ("SystemCallArchitectures", "native"),
        ] {
            assert!(
                settings.contains(&expected),
                "{name}: {expected:?} is missing"
            );
        }
        assert!(unit.contains("\nCapabilityBoundingSet="), "{name}");
        assert!(
            unit.contains(&format!("\nDocumentation=man:{name}(1)\n")),
            "{name}"
        );
        let runs: Vec<_> = settings
            .iter()
            .filter(|(key, _)| key.starts_with("Exec"))
            .map(|(_, line)| started(line))
            .collect();
        assert!(
            runs.iter().any(|line| line[0] == name),
            "{name} starts something else"
        );
        for line in runs {
            assert_eq!(misunderstood(&line), None, "{name}: {line:?}");
        }
    }
}

/// The command line of a unit, without the variable at its end.
fn started(line: &str) -> Vec<String> {
    let words = line.trim_start_matches('+').split(' ');
    let mut words: Vec<_> = words
        .filter(|word| !word.starts_with('$'))
        .map(str::to_owned)
        .collect();
    let program = words[0].strip_prefix("/usr/bin/").unwrap();
    assert!(programs().contains_key(program), "{program}");
    words[0] = program.to_owned();
    words
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no"]);
    for name in ["pilot-discovery", "pilot-agent"] {
        let unit = root().join(format!("deploy/systemd/{name}.service"));
        // The programs need not be there.
        let text = fs::read_to_string(unit)
            .unwrap()
            .replace("/usr/bin/pilot-discovery", "/bin/true")
            .replace("/usr/bin/pilot-agent", "/bin/true");
        let copy = dir.path().join(format!("{name}.service"));
        fs::write(&copy, text).unwrap();
        command.arg(copy);
    }
    match command.output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let ours: Vec<_> = said
                .lines()
                .filter(|line| line.contains("pilot-"))
                .collect();
            assert!(output.status.success() && ours.is_empty(), "{said}");
        }
        Err(error) => skipped("the units are not verified", &error.to_string()),
    }
}

/// In CI nothing may be missing.
#[expect(clippy::print_stderr, reason = "whoever looks at the tests is to know")]
fn skipped(what: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}: {why}");
    eprintln!("{what}: systemd-analyze cannot be run: {why}");
}

#[test]
fn images_are_small_and_run_as_nobody_in_particular() {
    for name in programs().keys() {
        let path = root().join(format!("deploy/docker/{name}.Dockerfile"));
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once(' '))
            .collect();
        let arguments: BTreeMap<_, _> = lines
            .iter()
            .filter(|(word, _)| *word == "ARG")
            .filter_map(|(_, argument)| argument.split_once('='))
            .collect();
        let of = |wanted: &str| -> Vec<&str> {
            let all = lines.iter().filter(|(word, _)| *word == wanted);
            all.map(|(_, rest)| *rest).collect()
        };
        let stages: BTreeSet<_> = of("FROM")
            .iter()
            .filter_map(|from| from.split_once(" AS "))
            .map(|(_, stage)| stage)
            .collect();
        let last = *of("FROM").last().unwrap();
        let base = match last
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'))
        {
            Some(argument) => arguments[argument],
            None => last,
        };
        assert!(
            base.starts_with("gcr.io/distroless/") && base.ends_with(":nonroot"),
            "{base}"
        );
        for from in of("FROM").iter().chain(arguments.values()) {
            let image = from.split(' ').next().unwrap();
            let pinned = image.starts_with("${") || image.contains(':');
            assert!(pinned && !image.ends_with(":latest"), "{name}: {image}");
        }
        for copy in of("COPY") {
            if let Some(from) = copy.strip_prefix("--from=") {
                let stage = from.split(' ').next().unwrap();
                assert!(stages.contains(stage), "{name}: there is no stage {stage}");
            }
        }
        let [user] = *of("USER") else {
            panic!("{name} has not one user")
        };
        let (uid, gid) = user.split_once(':').unwrap();
        assert!(
            uid.parse::<u32>().unwrap() > 0 && gid.parse::<u32>().unwrap() > 0,
            "{user}"
        );

        let list = |text: &str| serde_json::from_str::<Vec<String>>(text).unwrap();
        let mut line = list(of("ENTRYPOINT")[0]);
        assert_eq!(line, [format!("/usr/local/bin/{name}")]);
        line = vec![(*name).to_owned()];
        line.extend(
            of("CMD")
                .first()
                .map(|words| list(words))
                .unwrap_or_default(),
        );
        if line.len() > 1 {
            assert_eq!(misunderstood(&line), None, "{line:?}");
        }
    }
}

/// What packages take from the repository is there.
#[test]
fn packages_have_what_they_name() {
    for name in programs().keys() {
        let package = root().join("bins").join(name);
        let text = fs::read_to_string(package.join("Cargo.toml")).unwrap();
        let (_, metadata) = text.split_once("[package.metadata.deb]").unwrap();
        let metadata = metadata.split("\n[").next().unwrap();
        let mut sources = 0;
        for text in metadata.split('"').skip(1).step_by(2) {
            if text.starts_with("../../deploy") || text.starts_with("../../LICENSE") {
                assert!(package.join(text).exists(), "{name}: {text} is not there");
                sources += 1;
            }
        }
        assert!(sources > 0 && metadata.contains(&format!("\"target/release/{name}\"")));
        if let Some((_, unit)) = metadata.split_once("unit-name = \"") {
            let unit = unit.split('"').next().unwrap();
            let file = root().join(format!("deploy/systemd/{unit}.service"));
            assert!(file.exists(), "{}", file.display());
        }
    }
}

#[test]
fn scripts_can_be_read() {
    for (shell, script) in [("bash", "deploy/dist"), ("sh", "deploy/debian/postinst")] {
        let path = root().join(script);
        let read = Command::new(shell).arg("-n").arg(&path).status().unwrap();
        assert!(read.success(), "{script}");
        assert!(is_executable(&path), "{script} cannot be run");
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o111 == 0o111
}
