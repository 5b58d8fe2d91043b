//! Which worker owns a tunnel address: its last word mod the number of workers, for good. Pure.
//!
//! The eBPF program that steers the queues computes the same; the two must never disagree.

use std::net::IpAddr;

use ringwall_actors::ports::SessionAddresses;

/// The worker on whose queue the kernel puts packets to `address`.
pub(super) fn of(address: IpAddr, workers: usize) -> usize {
    let word = match address {
        IpAddr::V4(v4) => u32::from(v4),
        IpAddr::V6(v6) => {
            let [.., a, b, c, d] = v6.octets();
            u32::from_be_bytes([a, b, c, d])
        }
    };
    word as usize % workers
}

/// The worker that carries a session: the owner of its first address. The pools are made so that both agree; if they
/// do not, the other address's worker passes its packets on.
pub(super) fn of_session(addresses: SessionAddresses, workers: usize) -> usize {
    addresses.iter().next().map_or(0, |address| of(address, workers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_agree_on_equal_last_words() {
        let v4: IpAddr = "10.9.1.3".parse().expect("an address");
        let v6: IpAddr = "fd00::a09:103".parse().expect("an address");
        for workers in 1..9 {
            assert_eq!(of(v4, workers), of(v6, workers));
            assert!(of(v4, workers) < workers);
        }
        assert_eq!(of(v4, 4), 3);
    }
}
