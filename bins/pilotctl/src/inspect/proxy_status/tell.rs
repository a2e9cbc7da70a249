//! The state of proxies as people read it: a table, then what is wrong.

use std::io::{self, Write};

use super::super::table::{Cell, Table, Tone, visible};
use super::difference::{Changed, Difference};
use super::report::{Object, Proxy, Type};

/// The types in the order of the columns.
const TYPES: [&str; 4] = ["cds", "lds", "eds", "rds"];
/// The fields of a resource that are shown; JSON has all.
const SHOWN: usize = 10;

/// A line for each proxy.
pub(super) fn all(proxies: &[Proxy], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&[
        "NAME",
        "CLUSTER",
        "CDS",
        "LDS",
        "EDS",
        "RDS",
        "DISCOVERY",
        "VERSION",
    ]);
    for proxy in proxies {
        let [cds, lds, eds, rds] = TYPES.map(|kind| state(proxy.types.get(kind)));
        table.row([
            Cell::from(proxy.name.as_str()),
            Cell::or_dash(&proxy.cluster),
            cds,
            lds,
            eds,
            rds,
            Cell::from(proxy.discovery.as_str()),
            Cell::or_dash(&proxy.version),
        ]);
    }
    table.write(out)?;
    errors(proxies, out)
}

/// A line for each type of one proxy, and how its Envoy differs.
pub(super) fn one(
    proxies: &[Proxy],
    differences: Option<&[Difference]>,
    out: &mut dyn Write,
) -> io::Result<()> {
    for (n, proxy) in proxies.iter().enumerate() {
        if n > 0 {
            writeln!(out)?;
        }
        let version = match proxy.version.as_str() {
            "" => "of unknown version".to_owned(),
            version => format!("Envoy {version}"),
        };
        writeln!(
            out,
            "{} ({}), connected to {}",
            visible(&proxy.id),
            visible(&version),
            visible(&proxy.discovery)
        )?;
        let mut table = Table::new(&[
            "TYPE",
            "STATUS",
            "SENT",
            "ACKNOWLEDGED",
            "VERSION",
            "REJECTIONS",
        ]);
        for kind in TYPES {
            let Some(report) = proxy.types.get(kind) else {
                continue;
            };
            let ago = |seconds: Option<f64>| match seconds {
                Some(seconds) => format!("{} ago", age(seconds)),
                None => "-".to_owned(),
            };
            table.row([
                Cell::from(kind.to_uppercase()),
                state(Some(report)),
                ago(report.sent_seconds_ago).into(),
                ago(report.acknowledged_seconds_ago).into(),
                Cell::or_dash(report.version.as_deref().unwrap_or_default()),
                report.rejections.to_string().into(),
            ]);
        }
        table.write(out)?;
    }
    errors(proxies, out)?;
    if let Some(differences) = differences {
        writeln!(out)?;
        for difference in differences {
            compared(difference, out)?;
        }
    }
    Ok(())
}

fn state(report: Option<&Type>) -> Cell {
    let Some(report) = report else {
        return Cell::from("-");
    };
    match report.status.as_str() {
        "SYNCED" => Cell::new("SYNCED", Tone::Good),
        "STALE" => match report.stale_seconds {
            Some(seconds) => Cell::new(&format!("STALE ({})", age(seconds)), Tone::Waiting),
            None => Cell::new("STALE", Tone::Waiting),
        },
        "NOT SENT" => Cell::new("NOT SENT", Tone::Faint),
        "ERROR" => Cell::new("ERROR", Tone::Bad),
        other => Cell::from(other),
    }
}

/// What proxies refuse. What several refuse for the same reason stands there once.
fn errors(proxies: &[Proxy], out: &mut dyn Write) -> io::Result<()> {
    let mut said: Vec<(Vec<String>, Vec<&str>)> = Vec::new();
    for proxy in proxies {
        for (kind, report) in &proxy.types {
            for lines in lines(kind, report) {
                match said.iter_mut().find(|(known, _)| *known == lines) {
                    Some((_, names)) => {
                        if !names.contains(&proxy.name.as_str()) {
                            names.push(&proxy.name);
                        }
                    }
                    None => said.push((lines, vec![&proxy.name])),
                }
            }
        }
    }
    for (lines, names) in said {
        let mut lines = lines.iter();
        let what = lines.next().map(String::as_str).unwrap_or_default();
        writeln!(out, "\n{} {}", Tone::Bad.paint("ERROR"), visible(what))?;
        writeln!(out, "  refused by: {}", visible(&names.join(", ")))?;
        for line in lines {
            writeln!(out, "  {}", visible(line))?;
        }
    }
    Ok(())
}

fn lines(kind: &str, report: &Type) -> Vec<Vec<String>> {
    let kind = kind.to_uppercase();
    if let Some(error) = &report.error {
        return vec![vec![
            format!("{kind}: the resource that is refused is being looked for"),
            format!("message: {error}"),
        ]];
    }
    let refused = report.refused.iter().map(|refused| {
        let mut lines = vec![
            format!("{kind} {}", refused.resource),
            format!("message: {}", refused.message),
        ];
        lines.extend(refused.objects.iter().map(made_from));
        lines
    });
    refused.collect()
}

fn made_from(object: &Object) -> String {
    let place: Vec<_> = [object.origin.as_str(), object.registry.as_str()]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    match place.as_slice() {
        [] => format!("made from: {}", object.object),
        place => format!("made from: {} ({})", object.object, place.join(", ")),
    }
}

fn compared(difference: &Difference, out: &mut dyn Write) -> io::Result<()> {
    let noun = difference.of;
    if difference.is_none() {
        return writeln!(
            out,
            "{noun} {} ({})",
            Tone::Good.paint("match"),
            difference.compared
        );
    }
    writeln!(out, "{noun} {}:", Tone::Bad.paint("do not match"))?;
    for name in &difference.missing {
        writeln!(out, "  - {}: Envoy does not have it", visible(name))?;
    }
    for name in &difference.extra {
        writeln!(
            out,
            "  + {}: Envoy has it, and discovery does not",
            visible(name)
        )?;
    }
    for (name, changes) in &difference.different {
        writeln!(out, "  ~ {}:", visible(name))?;
        for Changed {
            path,
            discovery,
            envoy,
        } in changes.iter().take(SHOWN)
        {
            let of = |value: &Option<serde_json::Value>| match value {
                None => "nothing".to_owned(),
                Some(value) => shortened(&visible(&value.to_string())),
            };
            writeln!(
                out,
                "      {}: discovery has {}, Envoy has {}",
                visible(path),
                of(discovery),
                of(envoy)
            )?;
        }
        if let Some(more) = changes.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            writeln!(out, "      and {more} more (all: -o json)")?;
        }
    }
    Ok(())
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(120) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

/// A time as kubectl has it: its largest unit.
fn age(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole seconds of a time that has passed; a cast saturates"
    )]
    let seconds = seconds as u64;
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::dump::{Dump, Section};
    use super::super::difference;
    use super::*;

    fn plain(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    fn page() -> serde_json::Value {
        let exchange =
            |seconds: f64| json!({ "nonce": "n", "version": "0a", "seconds_ago": seconds });
        let kind = |kind: &str, status: &str| {
            json!({ "type": kind, "status": status, "sent": exchange(65.4), "acknowledged": exchange(65.0),
                "unacknowledged": 0, "rejections": 0, "error": null, "refused": [] })
        };
        let synced = |name: &str| {
            let types = TYPES.map(|of| kind(of, "SYNCED"));
            json!({ "proxy": format!("sidecar~10.0.0.1~{name}.shop~shop.svc"), "stream": name, "cluster": "east", "version": "1.40.0",
                "types": types })
        };
        let mut late = synced("late");
        late["cluster"] = json!("");
        late["version"] = json!(null);
        late["types"][1]["status"] = json!("STALE");
        late["types"][1]["unacknowledged"] = json!(1);
        late["types"][2]["status"] = json!("STALE");
        late["types"][3] = json!({ "type": "rds", "status": "NOT SENT", "sent": null, "acknowledged": null, "refused": [] });
        let mut bad = synced("bad");
        bad["types"][1]["status"] = json!("ERROR");
        bad["types"][1]["refused"] = json!([{ "name": "127.0.0.1_80", "message": "cannot bind:\nAddress already in use",
            "causes": [
                { "service": "shop/web", "objects": [{ "object": "ServiceEntry shop/web", "origin": "web.yaml:1", "registry": "Static/default" }] },
                { "rule": "Sidecar shop/gone", "objects": [] },
                { "mesh_config": true },
            ] }]);
        let mut too = bad.clone();
        too["proxy"] = json!("sidecar~10.0.0.2~bad-too.shop~shop.svc");
        let mut searched = synced("searched");
        searched["types"][0]["status"] = json!("ERROR");
        searched["types"][0]["error"] = json!({ "message": "is bad", "seconds_ago": 1.0 });
        json!([synced("good"), late, bad, too, searched, { "proxy": 7, "types": "odd" }])
    }

    #[test]
    fn a_table_and_what_is_wrong() {
        let proxies = Proxy::all(&page(), "127.0.0.1:9876");
        insta::assert_snapshot!(plain(|out| all(&proxies, out)));
    }

    #[test]
    fn one_proxy() {
        let proxies = Proxy::all(&page(), "127.0.0.1:9876");
        let late: Vec<_> = proxies
            .into_iter()
            .filter(|proxy| proxy.name == "late.shop")
            .collect();
        insta::assert_snapshot!(plain(|out| one(&late, None, out)));
    }

    #[test]
    fn an_envoy_that_differs() {
        let dump = |configs: serde_json::Value| {
            let text = json!({ "configs": configs }).to_string();
            Dump::read(text.as_bytes(), &Section::RESOURCES, "it").unwrap()
        };
        let cluster = |name: &str, more: serde_json::Value| json!({ "cluster": { "name": name, "more": more } });
        let listener = json!({ "name": "l", "active_state": { "listener": { "name": "l", "rds": { "route_config_name": "80" } } } });
        let route = |name: &str, port: u16| json!({ "route_config": { "name": name, "hosts": [{ "port": port }] } });
        let endpoint = |ip: &str, weight: u16| {
            json!({ "load_balancing_weight": weight,
            "endpoint": { "address": { "socket_address": { "address": ip, "port_value": 80 } } } })
        };
        let assignment = |name: &str, endpoints: serde_json::Value| {
            json!({ "endpoint_config": {
            "cluster_name": name, "endpoints": [{ "lb_endpoints": endpoints }] } })
        };
        let twelve = |of: u16| (0..12).map(|n| n * of).collect::<serde_json::Value>();
        let discovery = dump(json!([
            { "@type": "x.ClustersConfigDump", "dynamic_active_clusters": [cluster("a", twelve(1)), cluster("b", json!(1))] },
            { "@type": "x.ListenersConfigDump", "dynamic_listeners": [listener] },
            // Nothing names the second.
            { "@type": "x.RoutesConfigDump", "dynamic_route_configs": [route("80", 1), route("90", 1)] },
            { "@type": "x.EndpointsConfigDump", "dynamic_endpoint_configs": [
                assignment("a", json!([endpoint("10.0.0.1", 1), endpoint("10.0.0.2", 1)])) ] },
        ]));
        let envoy = dump(json!([
            { "@type": "x.ClustersConfigDump",
                "static_clusters": [cluster("own", json!(null))],
                "dynamic_active_clusters": [cluster("a", twelve(2)), cluster("c\u{1b}", json!(1))],
                "dynamic_warming_clusters": [cluster("b", json!(1))] },
            { "@type": "x.ListenersConfigDump", "dynamic_listeners": [listener] },
            { "@type": "x.RoutesConfigDump", "dynamic_route_configs": [route("80", 2)] },
            { "@type": "x.EndpointsConfigDump", "dynamic_endpoint_configs": [
                assignment("a", json!([endpoint("10.0.0.3", 1), endpoint("10.0.0.2", 5)])),
                assignment("finds-its-own", json!([endpoint("10.0.0.9", 1)])) ] },
        ]));
        let differences = difference::between(&discovery, &envoy);
        insta::assert_snapshot!(plain(|out| one(&[], Some(&differences), out)));
    }

    #[test]
    fn ages() {
        for (seconds, expected) in [
            (0.0, "0s"),
            (119.9, "119s"),
            (120.0, "2m"),
            (7200.0, "2h"),
            (200_000.0, "2d"),
            (-1.0, "0s"),
        ] {
            assert_eq!(age(seconds), expected);
        }
    }
}
