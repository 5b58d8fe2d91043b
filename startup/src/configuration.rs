//! Configuration files: TOML whose mistakes are all told at once, unknown keys and values of a wrong type among them.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// Most mistakes that are told; a file with more of them is another program's.
const MAX_FAULTS: usize = 50;

/// Reads a text as `T`, whose every table has defaults and refuses unknown keys. Answers what could be read, and what could
/// not be: the rest is then as if it had been left out, so that a caller finds the mistakes in it as well.
///
/// # Errors
/// The parser's message, which names line and column, if the text is not TOML.
pub fn parse<T: DeserializeOwned + Default>(text: &str) -> Result<(T, Vec<String>), String> {
    let mut table: Table = text.parse().map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
    let mut faults = Vec::new();
    sift::<T>(&mut table, &mut Vec::new(), &mut faults);
    faults.truncate(MAX_FAULTS);
    // Keys are right one by one: what they are not together is the caller's to find.
    let read = match table.try_into() {
        Ok(read) => read,
        Err(error) => {
            faults.push(error.message().to_owned());
            T::default()
        }
    };
    Ok((read, faults))
}

/// Takes out of a table at `path` every value that `T` does not read.
fn sift<T: DeserializeOwned>(table: &mut Table, path: &mut Vec<String>, faults: &mut Vec<String>) {
    table.retain(|key, value| {
        path.push(key.to_owned());
        let kept = match value {
            // An unknown table is one mistake, not one for each of its keys.
            Value::Table(below) if tried::<T>(path, Value::Table(Table::new())).is_ok() => {
                sift::<T>(below, path, faults);
                true
            }
            value => match tried::<T>(path, value.clone()) {
                Ok(()) => true,
                Err(why) => {
                    faults.push(format!("{}: {why}", path.join(".")));
                    false
                }
            },
        };
        path.pop();
        kept
    });
}

/// Whether `T` reads a file that holds nothing but this value.
fn tried<T: DeserializeOwned>(path: &[String], value: Value) -> Result<(), String> {
    let alone = path.iter().rev().fold(value, |value, key| Value::Table(Table::from_iter([(key.clone(), value)])));
    match alone.try_into::<T>() {
        Ok(_) => Ok(()),
        Err(error) => Err(error.message().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Eq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct File {
        name: String,
        listen: Listen,
    }

    #[derive(Debug, Default, PartialEq, Eq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Listen {
        port: u16,
        networks: Vec<String>,
    }

    #[test]
    fn every_mistake_is_told_and_the_rest_is_read() {
        let text = "nam = \"x\"\nname = \"right\"\n[listen]\nport = \"many\"\nprot = 1\nnetworks = [\"a\"]\n[lisen]\na = 1\nb = 2";
        let (read, faults) = parse::<File>(text).expect("TOML");
        let expected = File { name: "right".into(), listen: Listen { port: 0, networks: vec!["a".into()] } };
        assert_eq!(read, expected);
        assert_eq!(faults.len(), 4, "{faults:#?}");
        for part in [
            "nam: unknown field `nam`",
            "listen.port: invalid type",
            "listen.prot: unknown field",
            "lisen: unknown field",
        ] {
            assert!(faults.iter().any(|fault| fault.starts_with(part)), "{part} in {faults:#?}");
        }
    }

    #[test]
    fn a_text_that_is_not_toml_is_told_with_its_line() {
        let told = parse::<File>("name = \"x\"\nlisten = [").expect_err("not TOML");
        assert!(told.contains("line 2"), "{told}");
    }

    #[test]
    fn a_right_file_has_no_faults() {
        let (read, faults) = parse::<File>("listen = { port = 5 }").expect("TOML");
        assert_eq!((read.listen.port, faults), (5, vec![]));
    }
}
