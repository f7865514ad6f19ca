//! A bridge of its own for each engine, and the few packet filter rules that let it out.
//!
//! dockerd is told to leave iptables alone. All dockerds of a network namespace share the chains `DOCKER*`, and each
//! flushes them as it starts. From 28 on, what lets replies through to a bridge is in these chains: seen with 28.5.2, the
//! start of a second one left the first one's bridge with nothing but its MASQUERADE rule. Where some dockerd has set the
//! policy of FORWARD to DROP, which they do when they turn forwarding on, no reply passes then, and names no longer resolve.

use std::{net::Ipv4Addr, process::Command};

use anyhow::{Context, Result, anyhow};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::machine::{IP, IPTABLES};
use crate::command;

/// How an engine's containers reach the world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Network {
    /// At most 15 bytes, as all names of interfaces.
    pub(super) bridge: String,
    subnet: Ipv4Net,
}

impl Network {
    /// A name for the bridge of the run `id`, and a subnet that no interface and no route uses. Nothing is changed yet.
    ///
    /// # Errors
    /// When `ip` fails, or all subnets are taken.
    pub(super) fn choose(id: &str) -> Result<Network> {
        let subnet = choose_subnet(&taken()?, std::process::id())
            .context("all of 172.16.0.0/12 is taken by addresses and routes of this machine")?;
        Ok(Network { bridge: format!("ci-{id}"), subnet })
    }

    /// Creates the bridge and the rules.
    ///
    /// # Errors
    /// When `ip` or `iptables` fails; [`Network::remove`] takes back what was done until then.
    pub(super) fn create(&self) -> Result<()> {
        let gateway = Ipv4Net::new(self.gateway(), self.subnet.prefix_len())?.to_string();
        ip(&["link", "add", &self.bridge, "type", "bridge"])?;
        ip(&["address", "add", &gateway, "dev", &self.bridge])?;
        ip(&["link", "set", &self.bridge, "up"])?;
        for rule in self.rules() {
            // First in its chain: other dockerds set the policy of FORWARD to DROP and append their own.
            command::run(&mut rule.command("--insert"))?;
        }
        Ok(())
    }

    /// Removes what is there of bridge and rules.
    ///
    /// # Errors
    /// When `ip` or `iptables` fails.
    pub(super) fn remove(&self) -> Result<()> {
        for rule in self.rules() {
            while command::succeeds(&mut rule.command("--check"))? {
                command::run(&mut rule.command("--delete"))?;
            }
        }
        if command::succeeds(Command::new(IP.program).args(["link", "show", &self.bridge]))? {
            ip(&["link", "delete", &self.bridge])?;
        }
        Ok(())
    }

    fn gateway(&self) -> Ipv4Addr {
        self.subnet.hosts().next().unwrap_or(self.subnet.addr())
    }

    fn rules(&self) -> [Rule; 3] {
        let (bridge, subnet) = (self.bridge.as_str(), self.subnet.to_string());
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        [
            Rule { table: "filter", chain: "FORWARD", matches: words(&["-i", bridge, "-j", "ACCEPT"]) },
            Rule {
                table: "filter",
                chain: "FORWARD",
                matches: words(&[
                    "-o",
                    bridge,
                    "-m",
                    "conntrack",
                    "--ctstate",
                    "RELATED,ESTABLISHED",
                    "-j",
                    "ACCEPT",
                ]),
            },
            Rule {
                table: "nat",
                chain: "POSTROUTING",
                matches: words(&["-s", &subnet, "!", "-o", bridge, "-j", "MASQUERADE"]),
            },
        ]
    }
}

struct Rule {
    table: &'static str,
    chain: &'static str,
    matches: Vec<String>,
}

impl Rule {
    fn command(&self, action: &str) -> Command {
        let mut command = Command::new(IPTABLES.program);
        command.args(["--wait", "--table", self.table, action, self.chain]).args(&self.matches);
        command
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    command::run(Command::new(IP.program).args(arguments))
}

/// Every subnet that an address or a route of the machine speaks of; the default route aside.
fn taken() -> Result<Vec<Ipv4Net>> {
    let addresses = command::output(Command::new(IP.program).args(["-json", "-4", "address", "show"]))?;
    let routes =
        command::output(Command::new(IP.program).args(["-json", "-4", "route", "show", "table", "all"]))?;
    parse_taken(&addresses, &routes)
}

#[derive(Deserialize)]
struct Interface {
    #[serde(default)]
    addr_info: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    local: Ipv4Addr,
    prefixlen: u8,
}

#[derive(Deserialize)]
struct Route {
    dst: String,
}

/// From what `ip -json` prints.
fn parse_taken(addresses: &str, routes: &str) -> Result<Vec<Ipv4Net>> {
    let interfaces: Vec<Interface> =
        serde_json::from_str(addresses).context("cannot understand `ip address show`")?;
    let routes: Vec<Route> = serde_json::from_str(routes).context("cannot understand `ip route show`")?;
    let mut taken = Vec::new();
    for address in interfaces.iter().flat_map(|interface| &interface.addr_info) {
        taken.push(Ipv4Net::new(address.local, address.prefixlen)?.trunc());
    }
    for route in routes.iter().filter(|route| route.dst != "default") {
        let destination = match route.dst.parse::<Ipv4Net>() {
            Ok(net) => net,
            Err(_) => route.dst.parse::<Ipv4Addr>().map(Ipv4Net::from).map_err(|_| {
                anyhow!("cannot understand the destination `{}` of `ip route show`", route.dst)
            })?,
        };
        if destination.prefix_len() > 0 {
            taken.push(destination);
        }
    }
    Ok(taken)
}

/// A /24 out of 172.16.0.0/12 that overlaps with none of `taken`. `seed` spreads the choices of those who choose at the
/// same time. 172.30 comes first, far from where a dockerd starts to look for subnets (172.17).
fn choose_subnet(taken: &[Ipv4Net], seed: u32) -> Option<Ipv4Net> {
    let net = |a, b, c, d, length| Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length);
    let first: Vec<_> = net(172, 30, 0, 0, 16).subnets(24).into_iter().flatten().collect();
    let (before, after) = first.split_at(seed as usize % first.len());
    let others = net(172, 16, 0, 0, 12).subnets(24).into_iter().flatten();
    let is_free = |net: &Ipv4Net| !taken.iter().any(|other| other.contains(net) || net.contains(other));
    after.iter().chain(before).copied().chain(others).find(is_free)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nets(texts: &[&str]) -> Vec<Ipv4Net> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn reads_addresses_and_routes_of_ip() {
        let addresses = r#"[{"ifname":"lo","addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8}]},{},
            {"ifname":"eth0","addr_info":[{"family":"inet","local":"192.0.2.2","prefixlen":24}]}]"#;
        let routes = r#"[{"dst":"default","gateway":"192.0.2.1"},{"dst":"172.30.0.0/24","dev":"b"},
            {"type":"local","dst":"127.0.0.1"},{"dst":"0.0.0.0/0"}]"#;
        assert_eq!(
            parse_taken(addresses, routes).unwrap(),
            nets(&["127.0.0.0/8", "192.0.2.0/24", "172.30.0.0/24", "127.0.0.1/32"])
        );
    }

    #[test]
    fn subnets_begin_at_the_seed_and_go_round() {
        let net = |text: &str| text.parse().ok();
        assert_eq!(choose_subnet(&[], 256 + 7), net("172.30.7.0/24"));
        assert_eq!(choose_subnet(&nets(&["172.30.255.0/25"]), 255), net("172.30.0.0/24"));
        assert_eq!(choose_subnet(&nets(&["172.30.255.1/32"]), 255), net("172.30.0.0/24"));
    }

    #[test]
    fn subnets_avoid_what_is_larger_too() {
        assert_eq!(
            choose_subnet(&nets(&["172.30.0.0/15", "172.16.0.0/13"]), 0),
            "172.24.0.0/24".parse().ok()
        );
        assert_eq!(choose_subnet(&nets(&["172.0.0.0/8"]), 0), None);
    }

    proptest! {
        #[test]
        fn a_chosen_subnet_overlaps_with_nothing(
            taken in prop::collection::vec((0_u32..1 << 20, 12_u8..=32), 0..40),
            seed: u32,
        ) {
            let base = u32::from(Ipv4Addr::new(172, 16, 0, 0));
            let taken: Vec<_> = taken
                .into_iter()
                .map(|(offset, length)| Ipv4Net::new_assert(Ipv4Addr::from(base + offset), length).trunc())
                .collect();
            if let Some(chosen) = choose_subnet(&taken, seed) {
                let addresses = |net: &Ipv4Net| (net.network(), net.broadcast());
                let (first, last) = addresses(&chosen);
                prop_assert!(taken.iter().map(addresses).all(|(begin, end)| end < first || last < begin));
            }
        }
    }

    #[test]
    fn rules_name_bridge_and_subnet() {
        let network = Network { bridge: "ci-abcdef".into(), subnet: "172.30.4.0/24".parse().unwrap() };
        let rules =
            network.rules().map(|rule| format!("{} {} {}", rule.table, rule.chain, rule.matches.join(" ")));
        insta::assert_snapshot!(rules.join("\n"), @r"
        filter FORWARD -i ci-abcdef -j ACCEPT
        filter FORWARD -o ci-abcdef -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        nat POSTROUTING -s 172.30.4.0/24 ! -o ci-abcdef -j MASQUERADE
        ");
    }
}
