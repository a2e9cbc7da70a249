//! Machines of a test's own: network namespaces with addresses of both versions of IP, on one switch.
//!
//! Nothing leaves them: the switch stands in a namespace of its own without a way out. A test's own sockets can stand in a machine, too
//! ([`Machine::connect`], [`Machine::listen`]), and programs run there as whoever is wanted ([`Machine::command`]). Everything is gone when
//! the [`Network`] is dropped; what a killed test has left is removed by the next one that makes a network.

mod forward;
mod leftovers;
mod machine;

pub use forward::Forward;
pub use machine::{Machine, User};

use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};

/// The interface by which a machine reaches the others.
pub const INTERFACE: &str = "eth0";

/// A switch, and the machines on it.
#[derive(Debug)]
pub struct Network {
    prefix: String,
    switch: Namespace,
    machines: u8,
}

/// A network namespace, deleted when dropped together with what still runs in it.
#[derive(Debug)]
struct Namespace(String);

impl Network {
    /// A switch without machines.
    pub fn create() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        check_tools()?;
        leftovers::remove()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{}{number}", leftovers::prefix(std::process::id()));
        let switch = Namespace::create(&format!("{prefix}-switch"))?;
        let name = &switch.0;
        ip(&["-n", name, "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", name, "link", "set", "br0", "up"])?;
        Ok(Self {
            prefix,
            switch,
            machines: 0,
        })
    }

    /// One more machine, with an address of each version of IP.
    pub fn machine(&mut self, name: &str) -> Result<Machine> {
        ensure!(self.machines < u8::MAX - 1, "the network is full");
        self.machines += 1;
        let number = self.machines;
        let namespace = Namespace::create(&format!("{}-{name}", self.prefix))?;
        let (switch, inside) = (self.switch.0.as_str(), namespace.0.as_str());
        let port = format!("port{number}");
        ip(&[
            "-n", switch, "link", "add", &port, "type", "veth", "peer", "name", INTERFACE, "netns",
            inside,
        ])?;
        ip(&["-n", switch, "link", "set", &port, "master", "br0", "up"])?;
        let v4 = Ipv4Addr::new(10, 77, 0, number);
        let v6 = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, number.into());
        ip(&["-n", inside, "link", "set", "lo", "up"])?;
        ip(&[
            "-n",
            inside,
            "addr",
            "add",
            &format!("{v4}/24"),
            "dev",
            INTERFACE,
        ])?;
        // Nobody else can have the address: it can be used at once.
        ip(&[
            "-n",
            inside,
            "addr",
            "add",
            &format!("{v6}/64"),
            "dev",
            INTERFACE,
            "nodad",
        ])?;
        // Addresses that come by themselves come late.
        ip(&[
            "-n",
            inside,
            "link",
            "set",
            INTERFACE,
            "addrgenmode",
            "none",
        ])?;
        ip(&["-n", inside, "link", "set", INTERFACE, "up"])?;
        // Virtual addresses have to be routed somewhere, so that they come to where rules are applied.
        ip(&["-n", inside, "route", "add", "default", "dev", INTERFACE])?;
        ip(&[
            "-n", inside, "-6", "route", "add", "default", "dev", INTERFACE,
        ])?;
        Machine::new(namespace, v4, v6)
    }
}

impl Namespace {
    fn create(name: &str) -> Result<Self> {
        ip(&["netns", "add", name])?;
        Ok(Self(name.to_owned()))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        leftovers::delete(&self.0);
    }
}

/// Runs `ip`.
fn ip(args: &[&str]) -> Result<String> {
    run(Command::new("ip").args(args))
}

/// Runs a program to its end; what it prints is the answer.
fn run(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("running {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}: {}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&output.stdout)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Fails, with what to do, where there can be no machines.
pub fn check_tools() -> Result<()> {
    for (program, package) in [("ip", "iproute2"), ("setpriv", "util-linux")] {
        let found = Command::new(program).arg("--version").output();
        ensure!(
            found.is_ok(),
            "{program} is missing: install the package {package}"
        );
    }
    let status =
        std::fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    let is_root = status
        .lines()
        .any(|line| line.split_whitespace().take(2).eq(["Uid:", "0"]));
    ensure!(is_root, "only root can make network namespaces");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;
    use crate::backend::Backend;
    use crate::http;

    const SOON: Duration = Duration::from_secs(10);

    /// Whether there can be machines here; in CI there must be.
    fn possible() -> bool {
        match check_tools() {
            Ok(()) => true,
            Err(error) if std::env::var_os("CI").is_some() => panic!("{error:#}"),
            Err(error) => {
                eprintln!("skipped: {error:#}");
                false
            }
        }
    }

    #[tokio::test]
    async fn machines_reach_each_other_and_nothing_else() {
        if !possible() {
            return;
        }
        let mut network = Network::create().unwrap();
        let (one, two) = (
            network.machine("one").unwrap(),
            network.machine("two").unwrap(),
        );
        for ip in [IpAddr::from(two.v4()), two.v6().into()] {
            let listener = two.listen((ip, 80).into()).unwrap();
            let _backend = Backend::start_on("two", listener).unwrap();
            let stream = one.connect((ip, 80).into(), SOON).await.unwrap();
            let answer = http::get_over(stream, "two", "/", SOON).await.unwrap();
            assert_eq!(answer.body, "two");
        }
        let outside = "192.0.2.1:80".parse().unwrap();
        assert!(
            one.connect(outside, Duration::from_millis(50))
                .await
                .is_err()
        );
        assert!(one.connect((two.v4(), 81).into(), SOON).await.is_err());
    }

    #[tokio::test]
    async fn programs_run_as_somebody_with_a_resolver_of_their_own() {
        if !possible() {
            return;
        }
        let mut network = Network::create().unwrap();
        let machine = network.machine("one").unwrap();
        machine.set_resolver("nameserver 192.0.2.53\n").unwrap();
        let text = machine
            .run(
                User::Application,
                &[
                    "sh",
                    "-c",
                    "id -u; cat /etc/resolv.conf; grep CapEff /proc/self/status",
                ],
            )
            .await
            .unwrap();
        assert_eq!(
            text,
            "1000\nnameserver 192.0.2.53\nCapEff:\t0000000000000000\n"
        );
        let text = machine.run(User::Proxy, &["id", "-u"]).await.unwrap();
        assert_eq!(text, "1337\n");
        let resolver = std::path::PathBuf::from(format!("/etc/netns/{}", machine.namespace()));
        assert!(resolver.exists());
        drop(machine);
        assert!(!resolver.exists());
    }

    /// No process has a number as high as this; the first one is always there.
    #[test]
    fn what_a_killed_test_has_left_is_removed() {
        if !possible() {
            return;
        }
        let left = Namespace::create(&format!("{}0-left", leftovers::prefix(u32::MAX))).unwrap();
        let used = Namespace::create(&format!("{}0-used", leftovers::prefix(1))).unwrap();
        let _network = Network::create().unwrap();
        let all = ip(&["netns", "list"]).unwrap();
        assert!(!all.contains(&left.0) && all.contains(&used.0), "{all}");
    }

    #[test]
    fn a_namespace_goes_with_what_runs_in_it() {
        if !possible() {
            return;
        }
        let mut network = Network::create().unwrap();
        let machine = network.machine("one").unwrap();
        let name = machine.namespace().to_owned();
        let mut child = machine
            .command(User::Application, "sleep")
            .arg("60")
            .spawn()
            .unwrap();
        drop(machine);
        assert!(!child.wait().unwrap().success());
        assert!(!ip(&["netns", "list"]).unwrap().contains(&name));
    }
}
