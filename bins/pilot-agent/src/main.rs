//! `pilot-agent`: the process beside every Envoy.

fn main() {}
