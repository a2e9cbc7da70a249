//! How single values of flags are written: addresses and durations, in the spelling that Go programs taught people.

use std::fmt;
use std::time::Duration;

/// Where a listener binds: `:15010`, `15010`, `127.0.0.1:9876`, `localhost:9876`, `[::1]:9876`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddr {
    /// The host or address; `None` is every address of this machine.
    pub host: Option<String>,
    /// The port; 0 lets the system choose.
    pub port: u16,
}

impl ListenAddr {
    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.host.as_deref().is_some_and(|host| {
            host.eq_ignore_ascii_case("localhost")
                || host
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        })
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.as_deref() {
            None => write!(f, ":{}", self.port),
            Some(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            Some(host) => write!(f, "{host}:{}", self.port),
        }
    }
}

/// Reads an address to listen on.
///
/// # Errors
/// It is not one; the text says how to write it.
pub fn listen_addr(text: &str) -> Result<ListenAddr, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if bare.is_none() && host.contains(':') {
        return Err("an IPv6 address needs brackets, such as [::1]:15010".into());
    }
    let port = port
        .parse()
        .map_err(|_| "write it as :15010, 15010 or 127.0.0.1:15010".to_owned())?;
    let host = match bare.unwrap_or(host) {
        "" | "*" => None,
        host => Some(host.to_owned()),
    };
    Ok(ListenAddr { host, port })
}

/// Reads an address to listen on, or nothing where the listener is not wanted: `off` or the empty text.
///
/// # Errors
/// As [`listen_addr`].
pub fn optional_listen_addr(text: &str) -> Result<Option<ListenAddr>, String> {
    match text {
        "" | "off" => Ok(None),
        _ => listen_addr(text).map(Some),
    }
}

/// Reads a duration as Go writes it: `1h30m`, `10s`, `1.5s`, `100ms`, `0`.
///
/// # Errors
/// It is not one; the text says how to write it.
pub fn duration(text: &str) -> Result<Duration, String> {
    const ADVICE: &str = "write a number with its unit, such as 100ms, 10s, 5m or 1h30m";
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or(ADVICE)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let unit = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(ADVICE.into()),
        };
        let number: f64 = number.parse().map_err(|_| ADVICE)?;
        let part = Duration::try_from_secs_f64(number * unit).map_err(|_| ADVICE)?;
        total = total.checked_add(part).ok_or("it is too long")?;
        rest = tail;
    }
    if text.is_empty() {
        return Err(ADVICE.into());
    }
    Ok(total)
}

/// Reads a share of a whole: `0.5` or `50%`.
///
/// # Errors
/// It is not one; the text says how to write it.
pub fn fraction(text: &str) -> Result<f64, String> {
    let value = match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().map(|percent| percent / 100.0),
        None => text.parse(),
    };
    value
        .ok()
        .filter(|value| (0.0..=1.0).contains(value))
        .ok_or_else(|| "write a share between 0 and 1, such as 0.5 or 50%".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let at = |host: Option<&str>, port| {
            Ok(ListenAddr {
                host: host.map(str::to_owned),
                port,
            })
        };
        assert_eq!(listen_addr(":15010"), at(None, 15010));
        assert_eq!(listen_addr("15010"), at(None, 15010));
        assert_eq!(listen_addr("*:0"), at(None, 0));
        assert_eq!(listen_addr("127.0.0.1:9876"), at(Some("127.0.0.1"), 9876));
        assert_eq!(listen_addr("localhost:9876"), at(Some("localhost"), 9876));
        assert_eq!(listen_addr("[::1]:9876"), at(Some("::1"), 9876));
        for wrong in ["", ":", "a", ":70000", "::1:9876", "127.0.0.1"] {
            assert!(listen_addr(wrong).is_err(), "{wrong} was accepted");
        }
        assert_eq!(optional_listen_addr("off"), Ok(None));
        assert_eq!(optional_listen_addr(""), Ok(None));
    }

    #[test]
    fn addresses_are_shown_as_they_are_written() {
        for text in [":15010", "127.0.0.1:9876", "[::1]:9876", "localhost:0"] {
            assert_eq!(
                listen_addr(text).map(|at| at.to_string()),
                Ok(text.to_owned())
            );
        }
    }

    #[test]
    fn loopback() {
        for (text, expected) in [
            (":1", false),
            ("0.0.0.0:1", false),
            ("127.0.0.9:1", true),
            ("[::1]:1", true),
            ("localhost:1", true),
            ("example.org:1", false),
        ] {
            assert_eq!(
                listen_addr(text).map(|at| at.is_loopback()),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn durations() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("10s", 10_000),
            ("100ms", 100),
            ("1.5s", 1_500),
            ("1h30m", 5_400_000),
            ("1m0.5s", 60_500),
            ("2000us", 2),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for wrong in ["", "10", "s", "10 s", "-1s", "1d", "1s2", "..s"] {
            assert!(duration(wrong).is_err(), "{wrong} was accepted");
        }
    }

    #[test]
    fn fractions() {
        assert_eq!(fraction("50%"), Ok(0.5));
        assert_eq!(fraction("0.25"), Ok(0.25));
        for wrong in ["", "2", "-0.1", "150%", "NaN"] {
            assert!(fraction(wrong).is_err(), "{wrong} was accepted");
        }
    }
}
