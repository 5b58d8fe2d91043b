//! The TCP connections that are established when the guard begins: they are let go on. Read from `/proc/thread-self/net`,
//! which is that of the calling thread's network namespace.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of a table that are read at most; some 150,000 connections.
const MOST: u64 = 24 << 20;

/// Remote end and local port of every established connection to one of `ports`; none of a family that this host lacks.
pub(super) fn established(ports: &[u16]) -> Vec<(SocketAddr, u16)> {
    ["tcp", "tcp6"].into_iter().flat_map(|name| parse(&read(name), ports)).collect()
}

fn read(name: &str) -> String {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(format!("/proc/thread-self/net/{name}"));
    // Without the table the connections have to be made again, with a knock.
    let _ = file.and_then(|file| file.take(MOST).read_to_string(&mut text));
    text
}

/// `sl local_address rem_address st …`; addresses as words in host order, state 01 is ESTABLISHED.
fn parse(table: &str, ports: &[u16]) -> Vec<(SocketAddr, u16)> {
    let line = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, remote, state) = (fields.next()?, fields.next()?, fields.next()?);
        let (local, remote) = (address(local)?, address(remote)?);
        (state == "01" && ports.contains(&local.port())).then_some((remote, local.port()))
    };
    table.lines().skip(1).filter_map(line).collect()
}

fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(address.get(8 * at..8 * at + 8)?, 16).ok()?.to_ne_bytes());
    let address = match address.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let mut bytes = [0; 16];
            bytes.iter_mut().zip(words.iter().flatten()).for_each(|(to, from)| *to = *from);
            IpAddr::from(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn established_connections_to_the_ports_are_found_and_others_not() {
        let v4 = "  sl  local_address rem_address   st tx_queue rx_queue\n\
            0: 0100370A:01BB 6400370A:C350 01 00000000:00000000 00:00000000\n\
            1: 0100370A:01BB 6400370A:C351 03 00000000:00000000 00:00000000\n\
            2: 0100370A:0050 6400370A:C352 01 00000000:00000000 00:00000000\n\
            torn";
        assert_eq!(parse(v4, &[443]), [("10.55.0.100:50000".parse().expect("an address"), 443)]);
        let v6 = "head\n0: 0000000000000000FFFF00000100370A:01BB 0000000000000000FFFF00006400370A:C350 01 0\n\
            1: 550000FD000000000000000001000000:01BB 550000FD000000000000000000010000:C351 01 0\n";
        let found = parse(v6, &[443]);
        assert_eq!(found[0], ("10.55.0.100:50000".parse().expect("an address"), 443));
        assert_eq!(found[1], ("[fd00:55::100]:50001".parse().expect("an address"), 443));
    }

    #[test]
    fn a_connection_of_this_process_is_among_them() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let client = std::net::TcpStream::connect(("127.0.0.1", port)).expect("connected");
        assert_eq!(established(&[port]), [(client.local_addr().expect("bound"), port)]);
    }
}
