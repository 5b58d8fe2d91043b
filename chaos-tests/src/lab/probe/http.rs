//! The smallest HTTP client that a probe needs: one request, one connection, everything limited.
//!
//! Speaks HTTP/1.0 on purpose: the answer ends with the connection and is never chunked.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::lab::namespace::Namespace;

/// Bodies of test pages, health and metrics are far smaller; a download has a probe of its own.
const LARGEST_ANSWER: u64 = 4 << 20;

/// `http://<address>[:<port>]<path>`; only literal addresses, since the lab has no names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Where to connect.
    pub address: SocketAddr,
    /// What to ask for, from the slash on.
    pub path: String,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// The body as text.
    pub body: String,
    /// From the start of the connection to the last byte.
    pub(crate) took: Duration,
}

impl Url {
    /// Parses the text form.
    #[cfg(test)]
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let rest = text.strip_prefix("http://").with_context(|| format!("'{text}' does not begin with http://"))?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        let address = authority.parse().or_else(|_| format!("{authority}:80").parse());
        let address = address.with_context(|| format!("'{authority}' is no address"))?;
        Ok(Self { address, path: path.to_owned() })
    }

    /// The page at an address.
    pub fn of(address: impl Into<SocketAddr>, path: &str) -> Self {
        Self { address: address.into(), path: path.to_owned() }
    }

    pub(super) fn request(&self) -> String {
        format!("GET {} HTTP/1.0\r\nHost: {}\r\nUser-Agent: ringwall-lab\r\n\r\n", self.path, self.address)
    }
}

/// Gets a page from inside a namespace.
pub fn http_get(from: &Namespace, url: &Url, timeout: Duration) -> Result<HttpReply> {
    let get = || {
        let start = Instant::now();
        let stream = TcpStream::connect_timeout(&url.address, timeout).context("connect")?;
        exchange(stream, url, start, timeout)
    };
    from.enter(get)?.with_context(|| format!("get http://{}{} in {}", url.address, url.path, from.name()))
}

/// Sends the request on an open connection and reads the whole answer.
pub(super) fn exchange(mut stream: TcpStream, url: &Url, start: Instant, timeout: Duration) -> Result<HttpReply> {
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(url.request().as_bytes()).context("send the request")?;
    let mut answer = Vec::new();
    stream.take(LARGEST_ANSWER + 1).read_to_end(&mut answer).context("read the answer")?;
    ensure!(answer.len() as u64 <= LARGEST_ANSWER, "the answer is longer than {LARGEST_ANSWER} bytes");
    let (status, body) = parse_answer(&answer)?;
    Ok(HttpReply { status, body, took: start.elapsed() })
}

/// Splits an answer into its status and its body.
fn parse_answer(answer: &[u8]) -> Result<(u16, String)> {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { bail!("no complete answer: '{text}'") };
    Ok((parse_status(head)?, body.to_owned()))
}

/// The status code of the first line.
pub(super) fn parse_status(head: &str) -> Result<u16> {
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    status.with_context(|| format!("no status in '{}'", head.lines().next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_literal_addresses_of_both_families() {
        let v4 = Url::parse("http://10.20.0.10/page").unwrap();
        assert_eq!((v4.address.to_string().as_str(), v4.path.as_str()), ("10.20.0.10:80", "/page"));
        let v6 = Url::parse("http://[fd20::10]:8080").unwrap();
        assert_eq!((v6.address.to_string().as_str(), v6.path.as_str()), ("[fd20::10]:8080", "/"));
        assert!(Url::parse("http://web1.office/").is_err());
        assert!(Url::parse("10.20.0.10").is_err());
    }

    #[test]
    fn half_an_answer_is_an_error() {
        assert!(parse_answer(b"HTTP/1.1 200 OK\r\nContent-Le").is_err());
        assert_eq!(parse_answer(b"HTTP/1.1 404 Not Found\r\n\r\nno").unwrap(), (404, "no".to_owned()));
    }
}
