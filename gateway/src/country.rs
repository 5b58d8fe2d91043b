//! Countries of addresses, from a database in MaxMind's format that the operator keeps on this machine.
//!
//! What it says is a claim of the system about an address, not a proof of where somebody is. An address that it does not
//! know has no country, and conditions that ask for one do not hold.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use maxminddb::Reader;
use serde::Deserialize;

/// Largest database that is read into memory; cities of the world have 60 MiB.
const MAX_FILE: u64 = 512 * 1024 * 1024;

/// A database of countries.
pub(crate) struct Countries {
    file: PathBuf,
    reader: Reader<Vec<u8>>,
}

/// What of a record matters.
#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow)]
    country: Option<Country<'a>>,
    #[serde(borrow)]
    registered_country: Option<Country<'a>>,
}

#[derive(Deserialize)]
struct Country<'a> {
    iso_code: Option<&'a str>,
}

impl Countries {
    /// Reads a database.
    ///
    /// # Errors
    /// If it cannot be read, is larger than any of its kind, or is none.
    pub(crate) fn open(file: &Path) -> anyhow::Result<Self> {
        let wrong = || format!("read the database of countries {}", file.display());
        let size = std::fs::metadata(file).with_context(wrong)?.len();
        ensure!(size <= MAX_FILE, "{} has more than {MAX_FILE} bytes", file.display());
        let reader = Reader::from_source(std::fs::read(file).with_context(wrong)?).with_context(wrong)?;
        Ok(Self { file: file.to_owned(), reader })
    }

    /// Where an address is: two capital letters (ISO 3166-1 alpha-2).
    #[must_use]
    pub(crate) fn of(&self, address: IpAddr) -> Option<String> {
        let found = self.reader.lookup(address.to_canonical()).and_then(|result| result.decode::<Found<'_>>());
        let found = match found {
            Ok(found) => found?,
            Err(error) => {
                tracing::debug!(%address, %error, file = %self.file.display(), "no country");
                return None;
            }
        };
        let code = |country: Option<Country<'_>>| country.and_then(|country| country.iso_code.map(str::to_owned));
        code(found.country).or_else(|| code(found.registered_country)).filter(|code| is_code(code))
    }
}

fn is_code(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: u8 = 5;
    const LONG: u8 = 6;
    const HUGE: u8 = 9;

    /// A value in the format's data section (MaxMind DB 2.0): control byte with type and size, then the bytes.
    enum Value {
        Text(&'static str),
        Number(u8, u32),
        Map(Vec<(&'static str, Self)>),
        List(Vec<Self>),
    }

    impl Value {
        fn write(&self, into: &mut Vec<u8>) {
            const TEXT: u8 = 2;
            const MAP: u8 = 7;
            const LIST: u8 = 11;
            let control = |kind: u8, size: usize, into: &mut Vec<u8>| {
                let size = u8::try_from(size).expect("small");
                assert!(size < 29, "larger sizes are written otherwise");
                if kind > 7 { into.extend([size, kind - 7]) } else { into.push(kind << 5 | size) }
            };
            match self {
                Self::Text(text) => {
                    control(TEXT, text.len(), into);
                    into.extend(text.as_bytes());
                }
                Self::Number(kind, number) => {
                    let bytes = number.to_be_bytes();
                    let bytes = if *kind == SHORT { &bytes[2..] } else { &bytes };
                    control(*kind, bytes.len(), into);
                    into.extend(bytes);
                }
                Self::Map(entries) => {
                    control(MAP, entries.len(), into);
                    for (key, value) in entries {
                        Self::Text(key).write(into);
                        value.write(into);
                    }
                }
                Self::List(values) => {
                    control(LIST, values.len(), into);
                    values.iter().for_each(|value| value.write(into));
                }
            }
        }
    }

    /// A database of IPv4 prefixes: a binary tree whose leaves are places in the data section.
    fn database(prefixes: &[(&str, &'static str)]) -> Vec<u8> {
        const NOTHING: usize = usize::MAX;
        let mut data = vec![];
        let mut tree: Vec<[Result<usize, usize>; 2]> = vec![[Err(NOTHING); 2]];
        for (prefix, code) in prefixes {
            let net: ipnet::Ipv4Net = prefix.parse().expect("a prefix");
            let place = data.len();
            Value::Map(vec![("country", Value::Map(vec![("iso_code", Value::Text(code))]))]).write(&mut data);
            let mut node = 0;
            for bit in 0..net.prefix_len() {
                let side = (net.addr().to_bits() >> (31 - bit)) as usize & 1;
                if bit + 1 == net.prefix_len() {
                    tree[node][side] = Err(place);
                } else if let Ok(next) = tree[node][side] {
                    node = next;
                } else {
                    tree.push([Err(NOTHING); 2]);
                    tree[node][side] = Ok(tree.len() - 1);
                    node = tree.len() - 1;
                }
            }
        }
        let count = tree.len();
        let mut bytes = vec![];
        for record in tree.iter().flatten() {
            let number = match record {
                Ok(node) => *node,
                Err(NOTHING) => count,
                Err(place) => count + 16 + place,
            };
            bytes.extend(&u32::try_from(number).expect("small").to_be_bytes()[1..]);
        }
        bytes.extend([0; 16]);
        bytes.extend(data);
        bytes.extend(b"\xab\xcd\xefMaxMind.com");
        let number = |kind, value: usize| Value::Number(kind, u32::try_from(value).expect("small"));
        let metadata = vec![
            ("node_count", number(LONG, count)),
            ("record_size", Value::Number(SHORT, 24)),
            ("ip_version", Value::Number(SHORT, 4)),
            ("database_type", Value::Text("Test-Country")),
            ("languages", Value::List(vec![])),
            ("binary_format_major_version", Value::Number(SHORT, 2)),
            ("binary_format_minor_version", Value::Number(SHORT, 0)),
            ("build_epoch", Value::Number(HUGE, 1)),
            ("description", Value::Map(vec![])),
        ];
        Value::Map(metadata).write(&mut bytes);
        bytes
    }

    fn countries(bytes: &[u8]) -> anyhow::Result<Countries> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("written");
        Countries::open(file.path())
    }

    #[test]
    fn an_address_has_the_country_that_the_database_says() {
        let bytes = database(&[("192.0.2.0/25", "CH"), ("192.0.2.128/25", "DE"), ("198.51.100.0/24", "no code")]);
        let countries = countries(&bytes).expect("a database");
        let of = |address: &str| countries.of(address.parse().expect("an address"));
        assert_eq!(of("192.0.2.7").as_deref(), Some("CH"));
        assert_eq!(of("192.0.2.200").as_deref(), Some("DE"));
        assert_eq!(of("::ffff:192.0.2.7").as_deref(), Some("CH"));
        assert_eq!(of("198.51.100.1"), None, "what is no code is no country");
        assert_eq!(of("203.0.113.1"), None);
        assert_eq!(of("2001:db8::1"), None, "a database of the other family");
    }

    #[test]
    fn what_is_no_database_is_refused_by_name() {
        let error = countries(b"nothing of the kind").err().expect("refused");
        assert!(format!("{error:#}").contains("database of countries"), "{error:#}");
        let good = database(&[("192.0.2.0/25", "CH")]);
        for cut in [0, 1, good.len() / 2] {
            // Cut short it is refused, or knows nothing; it never panics.
            if let Ok(cut) = countries(&good[cut..]) {
                let _ = cut.of([192, 0, 2, 7].into());
            }
        }
    }
}
