//! What a listener does, in a line for each chain.

use serde_json::Value as Json;

/// For each chain: what it takes, then `→`, then where that goes; `else` stands before the chain for the rest.
pub(crate) fn outline(listener: &Json) -> Vec<String> {
    let chains = listener["filter_chains"].as_array().into_iter().flatten();
    let mut lines: Vec<String> = chains.map(chain).collect();
    lines.extend(
        listener
            .get("default_filter_chain")
            .map(|rest| format!("else {}", chain(rest))),
    );
    lines
}

fn chain(chain: &Json) -> String {
    let matching = &chain["filter_chain_match"];
    let mut words = Vec::new();
    let texts = |key: &str| -> Vec<String> {
        let values = matching[key].as_array().into_iter().flatten();
        values
            .filter_map(|value| value.as_str().map(str::to_owned))
            .collect()
    };
    for range in matching["prefix_ranges"].as_array().into_iter().flatten() {
        words.push(format!(
            "{}/{}",
            range["address_prefix"].as_str().unwrap(),
            range["prefix_len"]
        ));
    }
    if let Some(port) = matching["destination_port"].as_u64() {
        words.push(format!(":{port}"));
    }
    words.extend(
        texts("server_names")
            .into_iter()
            .map(|name| format!("sni={name}")),
    );
    words.extend(matching["transport_protocol"].as_str().map(str::to_owned));
    words.extend(texts("application_protocols"));
    format!(
        "{} → {}",
        words.join(" "),
        destination(&chain["filters"][0]["typed_config"])
    )
    .trim_start()
    .to_owned()
}

fn destination(filter: &Json) -> String {
    if let Some(cluster) = filter["cluster"].as_str() {
        return cluster.to_owned();
    }
    if let Some(route) = filter["rds"]["route_config_name"].as_str() {
        return format!("routes {route}");
    }
    let host = &filter["route_config"]["virtual_hosts"][0];
    let cluster = host["routes"][0]["route"]["cluster"].as_str().unwrap();
    format!("{} {cluster}", host["name"].as_str().unwrap())
}
