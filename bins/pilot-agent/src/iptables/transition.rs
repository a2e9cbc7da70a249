//! From what is there to what is wanted: the input of `iptables-restore --noflush` that changes one table in one step and
//! touches nothing that is not ours.

use std::fmt::Write as _;

use super::ruleset::{Rules, Table};

/// The text that turns `seen` into `wanted`; none where they are the same.
pub(super) fn restore(table: Table, seen: &Rules, wanted: &Rules) -> Option<String> {
    let mut leaving = seen.jumps.clone();
    // A jump that stays keeps its place among the rules of others.
    let arriving: Vec<_> = wanted
        .jumps
        .iter()
        .filter(|jump| match leaving.iter().position(|seen| seen == *jump) {
            Some(index) => {
                leaving.remove(index);
                false
            }
            None => true,
        })
        .collect();
    if seen.chains == wanted.chains && leaving.is_empty() && arriving.is_empty() {
        return None;
    }
    let stale = |chain| !wanted.chains.contains_key(chain);
    let mut text = format!("*{table}\n");
    // Naming a chain makes it, or empties it.
    for chain in wanted
        .chains
        .keys()
        .chain(seen.chains.keys().filter(|c| stale(*c)))
    {
        line(&mut text, format_args!(":{chain} - [0:0]"));
    }
    for (from, rule) in leaving {
        line(&mut text, format_args!("-D {from} {rule}"));
    }
    for (chain, rules) in &wanted.chains {
        for rule in rules {
            line(&mut text, format_args!("-A {chain} {rule}"));
        }
    }
    for (from, rule) in arriving {
        line(&mut text, format_args!("-A {from} {rule}"));
    }
    for chain in seen.chains.keys().filter(|chain| stale(*chain)) {
        line(&mut text, format_args!("-X {chain}"));
    }
    text.push_str("COMMIT\n");
    Some(text)
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    writeln!(text, "{line}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iptables::rule::Rule;
    use crate::iptables::ruleset::{Chain, Ruleset};

    fn rules(chains: &[(Chain, Rule)], jumps: &[(&str, Chain)]) -> Rules {
        let mut ruleset = Ruleset::default();
        for (chain, rule) in chains {
            ruleset.add(Table::Nat, *chain, rule.clone());
        }
        for (from, chain) in jumps {
            ruleset.call(Table::Nat, from, Rule::to(chain));
        }
        ruleset.table(Table::Nat)
    }

    fn check(seen: &Rules, wanted: &Rules, expected: Option<&str>) {
        let expected = expected.map(|lines| format!("*nat\n{lines}COMMIT\n"));
        assert_eq!(restore(Table::Nat, seen, wanted), expected);
    }

    #[test]
    fn each_step_is_one_text() {
        let none = Rules::default();
        let one = rules(
            &[(Chain::Output, Rule::skip())],
            &[("OUTPUT", Chain::Output)],
        );
        let other = rules(
            &[
                (Chain::Output, Rule::to("X")),
                (Chain::Inbound, Rule::skip()),
            ],
            &[("OUTPUT", Chain::Output), ("PREROUTING", Chain::Inbound)],
        );
        check(&none, &none, None);
        check(&one, &one, None);
        check(
            &none,
            &one,
            Some(":ISTIO_OUTPUT - [0:0]\n-A ISTIO_OUTPUT -j RETURN\n-A OUTPUT -j ISTIO_OUTPUT\n"),
        );
        check(
            &one,
            &other,
            Some(
                ":ISTIO_INBOUND - [0:0]\n:ISTIO_OUTPUT - [0:0]\n-A ISTIO_INBOUND -j RETURN\n-A ISTIO_OUTPUT -j X\n\
                 -A PREROUTING -j ISTIO_INBOUND\n",
            ),
        );
        check(
            &other,
            &one,
            Some(
                ":ISTIO_OUTPUT - [0:0]\n:ISTIO_INBOUND - [0:0]\n-D PREROUTING -j ISTIO_INBOUND\n-A ISTIO_OUTPUT -j RETURN\n\
                 -X ISTIO_INBOUND\n",
            ),
        );
        check(
            &one,
            &none,
            Some(":ISTIO_OUTPUT - [0:0]\n-D OUTPUT -j ISTIO_OUTPUT\n-X ISTIO_OUTPUT\n"),
        );
    }

    /// What was half done, or done twice, is mended.
    #[test]
    fn odd_states_are_mended() {
        let one = rules(
            &[(Chain::Output, Rule::skip())],
            &[("OUTPUT", Chain::Output)],
        );
        let twice = rules(
            &[(Chain::Output, Rule::skip())],
            &[("OUTPUT", Chain::Output), ("OUTPUT", Chain::Output)],
        );
        let half = rules(&[(Chain::Output, Rule::skip())], &[]);
        check(
            &twice,
            &one,
            Some(":ISTIO_OUTPUT - [0:0]\n-D OUTPUT -j ISTIO_OUTPUT\n-A ISTIO_OUTPUT -j RETURN\n"),
        );
        check(
            &half,
            &one,
            Some(":ISTIO_OUTPUT - [0:0]\n-A ISTIO_OUTPUT -j RETURN\n-A OUTPUT -j ISTIO_OUTPUT\n"),
        );
    }
}
