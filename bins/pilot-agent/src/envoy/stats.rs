//! Envoy's `/stats` page: lines of `name: value`.

/// The counters and gauges of a page.
pub(crate) fn stats(page: &str) -> impl Iterator<Item = (&str, u64)> {
    page.lines().filter_map(|line| {
        // Names may have colons, values of histograms are no numbers.
        let (name, value) = line.rsplit_once(": ")?;
        Some((name, value.parse().ok()?))
    })
}

/// One of them; what was never touched is not on the page, which is 0.
pub(crate) fn stat(page: &str, name: &str) -> u64 {
    stats(page)
        .find(|(found, _)| *found == name)
        .map_or(0, |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_page() {
        let page = "a.b: 3\ncluster.outbound|80||[::1]:9.x: 1\nh: P0(nan,1.0) P25(nan,2)\n\nserver.state: 0\n";
        assert_eq!(
            stats(page).collect::<Vec<_>>(),
            [
                ("a.b", 3),
                ("cluster.outbound|80||[::1]:9.x", 1),
                ("server.state", 0)
            ]
        );
        assert_eq!((stat(page, "a.b"), stat(page, "none")), (3, 0));
    }
}
