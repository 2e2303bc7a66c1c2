//! Which addresses everybody can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 addresses that are not of the public internet, as network and length of its prefix (IANA's registry
/// of special-purpose addresses), with what they are.
const SPECIAL_V4: [([u8; 4], u32, &str); 16] = [
    ([0, 0, 0, 0], 8, "this network"),
    ([10, 0, 0, 0], 8, "private"),
    ([100, 64, 0, 0], 10, "shared by a carrier"),
    ([127, 0, 0, 0], 8, "loopback"),
    ([168, 63, 129, 16], 32, "of a cloud's host"),
    ([169, 254, 0, 0], 16, "link-local"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 0, 0, 0], 24, "for protocols"),
    ([192, 0, 2, 0], 24, "for documents"),
    ([192, 88, 99, 0], 24, "a relay"),
    ([192, 168, 0, 0], 16, "private"),
    ([198, 18, 0, 0], 15, "for measuring"),
    ([198, 51, 100, 0], 24, "for documents"),
    ([203, 0, 113, 0], 24, "for documents"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved"),
];

/// The IPv6 addresses that are given out at all.
const GLOBAL_V6: (u16, u32) = (0x2000, 3);

/// Those of them that are not of the public internet, or that hide an IPv4 address.
const SPECIAL_V6: [([u16; 2], u32, &str); 4] = [
    ([0x2001, 0x0000], 23, "for protocols"),
    ([0x2001, 0x0db8], 32, "for documents"),
    ([0x2002, 0x0000], 16, "a relay"),
    ([0x3fff, 0x0000], 20, "for documents"),
];

/// What an address is that not everybody can reach; None for one of the public internet.
pub(crate) fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    let lies_in = |network: [u8; 4], length: u32| {
        (bits ^ Ipv4Addr::from(network).to_bits()).leading_zeros() >= length
    };
    SPECIAL_V4.iter().find(|(network, length, _)| lies_in(*network, *length)).map(|found| found.2)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    let lies_in = |network: [u16; 2], length: u32| {
        let [first, second] = network.map(u128::from);
        (bits ^ (first << 112 | second << 96)).leading_zeros() >= length
    };
    if address.is_loopback() {
        return Some("loopback");
    }
    // Also what maps or translates to IPv4 lies outside of what is given out.
    if !lies_in([GLOBAL_V6.0, 0], GLOBAL_V6.1) {
        return Some("not of the public internet");
    }
    SPECIAL_V6.iter().find(|(network, length, _)| lies_in(*network, *length)).map(|found| found.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_of_every_network_are_where_they_belong() {
        let public = [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "203.0.112.255",
            "223.255.255.255",
            "2600::1",
            "2a00:1450:4001::1",
            "2001:200::1",
            "2003::1",
            "3ffe::1",
        ];
        let special_ones = [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.0",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for text in public {
            assert_eq!(special(text.parse().expect("an address")), None, "{text}");
        }
        for text in special_ones {
            assert!(special(text.parse().expect("an address")).is_some(), "{text}");
        }
    }
}
