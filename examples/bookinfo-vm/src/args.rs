//! The command line.

use std::net::SocketAddr;

use hyper::Uri;

const USAGE: &str = "usage: bookinfo-vm NAME VERSION LISTEN [--sidecar ADDRESS] [URL ...]";

/// What the service is and whom it calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) listen: SocketAddr,
    /// The HTTP proxy port of its sidecar.
    pub(crate) sidecar: Option<SocketAddr>,
    pub(crate) upstreams: Vec<Uri>,
}

impl Args {
    /// Reads the words after the program's name; an error is what to print.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let wrong = |what: &str, word: &str| format!("bookinfo-vm: {word:?} is no {what}\n{USAGE}");
        let address = |word: &str| {
            word.parse()
                .map_err(|_| wrong("address of the form IP:PORT", word))
        };
        let (mut plain, mut sidecar) = (Vec::new(), None);
        let mut words = words;
        while let Some(word) = words.next() {
            if word == "--sidecar" {
                let value = words
                    .next()
                    .ok_or_else(|| format!("bookinfo-vm: --sidecar needs an address\n{USAGE}"))?;
                sidecar = Some(address(&value)?);
            } else {
                plain.push(word);
            }
        }
        let [name, version, listen, urls @ ..] = plain.as_slice() else {
            return Err(USAGE.to_owned());
        };
        let url = |text: &String| {
            text.parse::<Uri>()
                .ok()
                .filter(|url| url.scheme_str() == Some("http") && url.host().is_some())
                .ok_or_else(|| wrong("URL of the form http://HOST:PORT/PATH", text))
        };
        Ok(Self {
            name: name.clone(),
            version: version.clone(),
            listen: address(listen)?,
            sidecar,
            upstreams: urls.iter().map(url).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn all_words() {
        let expected = Args {
            name: "page".to_owned(),
            version: "v1".to_owned(),
            listen: "127.0.1.1:9080".parse().unwrap(),
            sidecar: Some("127.0.0.1:18001".parse().unwrap()),
            upstreams: vec!["http://reviews.bookinfo.mesh:9080/".parse().unwrap()],
        };
        assert_eq!(
            parse(
                "page v1 127.0.1.1:9080 --sidecar 127.0.0.1:18001 http://reviews.bookinfo.mesh:9080/"
            ),
            Ok(expected)
        );
    }

    #[test]
    fn wrong_words_are_named() {
        for (line, culprit) in [
            ("page v1", "usage"),
            ("page v1 here", "here"),
            ("a b 1.2.3.4:5 --sidecar", "--sidecar"),
            ("a b 1.2.3.4:5 ftp://x/", "ftp://x/"),
            ("a b 1.2.3.4:5 /path", "/path"),
        ] {
            assert!(parse(line).unwrap_err().contains(culprit), "{line}");
        }
    }
}
