//! WebDriver's JSON over HTTP/1.1, one connection a command, from inside the browser's namespace.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::lab::namespace::Namespace;

/// Longest answer: a screenshot takes some 200 KiB.
const MAX_ANSWER: usize = 64 << 20;
/// Longest head.
const MAX_HEAD: u64 = 64 << 10;

/// Where a driver answers.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    namespace: Namespace,
    port: u16,
    patience: Duration,
}

impl Wire {
    pub(super) const fn new(namespace: Namespace, port: u16, patience: Duration) -> Self {
        Self { namespace, port, patience }
    }

    /// One command; what it answers under `value`.
    pub(super) fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.namespace.enter(|| self.exchange(method, path, &body))??;
        let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("no HTTP: {answer}"))?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        let value: Value = serde_json::from_str(body).with_context(|| format!("no JSON: {body}"))?;
        let value = value["value"].clone();
        if status != "200" {
            bail!("{method} {path}: {}: {}", value["error"].as_str().unwrap_or(status), value["message"]);
        }
        Ok(value)
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).context("connect to chromedriver")?;
        stream.set_read_timeout(Some(self.patience))?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost:{}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            self.port,
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        // chromedriver keeps connections open, whatever it is asked: the length says where its answer ends.
        let mut reader = BufReader::new(stream);
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let start = head.len();
            let read = reader.by_ref().take(MAX_HEAD).read_line(&mut head).context("read chromedriver's answer")?;
            ensure!(read > 0 && head.len() < MAX_HEAD as usize, "chromedriver broke off: {head}");
            if let Some((name, value)) = head[start..].split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().context("a length")?;
            }
        }
        ensure!(length <= MAX_ANSWER, "chromedriver answers with {length} bytes");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).context("read chromedriver's answer")?;
        Ok(head + &String::from_utf8_lossy(&body))
    }
}
