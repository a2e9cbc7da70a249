//! What becomes of a question: an answer from the table, or a question to somebody else. Pure.

use std::time::Duration;

use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::table::{Found, Local, NameTable};

/// What is asked.
pub(super) struct Question<'a> {
    /// The name as the client wrote it.
    pub(super) name: &'a Name,
    pub(super) record_type: RecordType,
    pub(super) class: DNSClass,
}

/// What becomes of it.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// These records, of which there may be none, are the answer.
    Answer(Vec<Record>),
    /// Somebody else knows; the name is one of the mesh, and so it exists whatever they say.
    ForwardKnown,
    /// Somebody else knows.
    Forward,
    /// There is no table, and the name may be in it.
    Early,
}

/// Decides on a question. `outside` are names that are never the mesh's, `turn` tells which address comes first.
pub(super) fn answer(
    question: &Question<'_>,
    names: Option<&NameTable>,
    local: Local<'_>,
    outside: &[String],
    turn: usize,
    ttl: Duration,
) -> Verdict {
    let text = question.name.to_ascii().to_ascii_lowercase();
    let name = text.strip_suffix('.').unwrap_or(&text);
    if question.class != DNSClass::IN || is_outside(name, outside) {
        return Verdict::Forward;
    }
    let is_address = matches!(question.record_type, RecordType::A | RecordType::AAAA);
    let Some(names) = names else {
        return if is_address {
            Verdict::Early
        } else {
            Verdict::Forward
        };
    };
    match names.find(name, local) {
        None => Verdict::Forward,
        Some(_) if !is_address => Verdict::ForwardKnown,
        Some(found) => Verdict::Answer(records(question, found, turn, ttl)),
    }
}

/// Names of addresses, and those that the agent's owner has said are not the mesh's.
fn is_outside(name: &str, outside: &[String]) -> bool {
    name.is_empty()
        || name == "arpa"
        || name.ends_with(".arpa")
        || outside.iter().any(|other| other.eq_ignore_ascii_case(name))
}

fn records(question: &Question<'_>, found: Found<'_>, turn: usize, ttl: Duration) -> Vec<Record> {
    let ttl = u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX);
    let canonical = found.without_search.and_then(|name| {
        let mut name = Name::from_ascii(name).ok()?;
        name.set_fqdn(true);
        Some(name)
    });
    let owner = canonical.as_ref().unwrap_or(question.name);
    let record = |data| Record::from_rdata(owner.clone(), ttl, data);
    let mut addresses: Vec<Record> = match question.record_type {
        RecordType::AAAA => {
            let all = found.addresses.v6.iter();
            all.map(|ip| record(RData::AAAA(AAAA(*ip)))).collect()
        }
        _ => {
            let all = found.addresses.v4.iter();
            all.map(|ip| record(RData::A(A(*ip)))).collect()
        }
    };
    if let Some(first) = turn.checked_rem(addresses.len()) {
        addresses.rotate_left(first);
    }
    let alias = canonical.clone().map(|target| {
        let data = RData::CNAME(CNAME(target));
        Record::from_rdata(question.name.clone(), ttl, data)
    });
    alias.into_iter().chain(addresses).collect()
}

#[cfg(test)]
mod tests {
    use pilothouse_xds::name_table::{self, NameInfo};
    use prost::Message as _;

    use super::*;

    fn table() -> NameTable {
        let info = |ips: &[&str]| NameInfo {
            ips: ips.iter().map(|&ip| ip.into()).collect(),
            ..NameInfo::default()
        };
        let table = [
            (
                "a.com".to_owned(),
                info(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
            ),
            ("six.com".to_owned(), info(&["fd00::1"])),
            ("*.wild.com".to_owned(), info(&["10.0.0.9"])),
        ]
        .into();
        NameTable::from_resource(&name_table::NameTable { table }.encode_to_vec()).unwrap()
    }

    fn ask(name: &str, record_type: RecordType, names: Option<&NameTable>, turn: usize) -> Verdict {
        let name = Name::from_ascii(name).unwrap();
        let question = Question {
            name: &name,
            record_type,
            class: DNSClass::IN,
        };
        let local = Local {
            namespace: "",
            search: &["lan".to_owned()],
        };
        let outside = ["discovery.com".to_owned()];
        answer(
            &question,
            names,
            local,
            &outside,
            turn,
            Duration::from_secs(30),
        )
    }

    #[test]
    fn names_of_the_table_are_answered() {
        let table = table();
        let check = |name: &str, record_type, turn, expected: &[&str]| {
            let Verdict::Answer(records) = ask(name, record_type, Some(&table), turn) else {
                panic!("{name} is not answered")
            };
            let found: Vec<String> = records.iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{name} {record_type}");
        };
        let a = |owner: &str, last: u8| format!("{owner} 30 IN A 10.0.0.{last}");
        let a = |owner: &str, order: [u8; 3]| order.map(|last| a(owner, last));
        let as_str = |all: &[String; 3]| all.clone();
        for (turn, order) in [(0, [1, 2, 3]), (1, [2, 3, 1]), (5, [3, 1, 2])] {
            let expected = as_str(&a("a.com.", order));
            check(
                "a.com.",
                RecordType::A,
                turn,
                &expected.each_ref().map(|s| s.as_str()),
            );
        }
        // As it was written.
        check(
            "Six.COM.",
            RecordType::AAAA,
            7,
            &["Six.COM. 30 IN AAAA fd00::1"],
        );
        check("six.com.", RecordType::A, 0, &[]);
        check("a.com.", RecordType::AAAA, 0, &[]);
        check(
            "x.wild.com.lan.",
            RecordType::A,
            0,
            &[
                "x.wild.com.lan. 30 IN CNAME x.wild.com.",
                "x.wild.com. 30 IN A 10.0.0.9",
            ],
        );
        check(
            "a.com.lan.",
            RecordType::AAAA,
            0,
            &["a.com.lan. 30 IN CNAME a.com."],
        );
    }

    #[test]
    fn other_questions_are_for_others() {
        let table = table();
        let check = |name: &str, record_type, with: Verdict, without: Verdict| {
            assert_eq!(
                ask(name, record_type, Some(&table), 0),
                with,
                "{name} {record_type}"
            );
            assert_eq!(
                ask(name, record_type, None, 0),
                without,
                "{name} {record_type}, early"
            );
        };
        use RecordType::{A, AAAA, HTTPS, PTR, TXT};
        use Verdict::{Early, Forward, ForwardKnown};
        check("b.com.", A, Forward, Early);
        check("b.com.", AAAA, Forward, Early);
        check("b.com.", TXT, Forward, Forward);
        check("a.com.", HTTPS, ForwardKnown, Forward);
        check("discovery.com.", A, Forward, Forward);
        check("1.0.0.10.in-addr.arpa.", PTR, Forward, Forward);
        check("1.0.0.10.in-addr.arpa.", A, Forward, Forward);
        check(".", A, Forward, Forward);
        // Labels with dots in them are not two labels.
        check("a\\.com.", A, Forward, Early);
    }
}
