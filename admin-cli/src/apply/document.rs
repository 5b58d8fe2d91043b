//! YAML documents of objects, each with its place in a file, so that whatever is wrong can be found.

use std::collections::BTreeMap;
use std::fmt;

use ringwall_protocol::object::ObjectKind;
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::command::parse_kind;
use crate::exit_code::InvalidFile;

/// Most objects in the files of one call.
const MAX_DOCUMENTS: usize = 10_000;

/// What a document is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The Collective's settings.
    GlobalSettings,
    /// An object of this kind.
    Object(ObjectKind),
}

/// Where a document stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub(crate) file: String,
    /// The line of its first field, from 1.
    pub(crate) line: u64,
    /// Which document of the file, from 1; empty ones do not count.
    pub(crate) number: usize,
}

/// One document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Where it stands.
    pub place: Place,
    /// What it is about.
    pub target: Target,
    /// Its fields, without `kind`.
    pub body: Value,
}

impl Document {
    /// Its name; empty for the settings.
    #[must_use]
    pub fn name(&self) -> &str {
        self.body["name"].as_str().unwrap_or_default()
    }

    /// Its kind, for people.
    #[must_use]
    pub(crate) fn kind_name(&self) -> String {
        match self.target {
            Target::GlobalSettings => "GlobalSettings".to_owned(),
            Target::Object(kind) => kind.to_string(),
        }
    }
}

impl fmt::Display for Place {
    /// `state.yaml:11 (document 2)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} (document {})", self.file, self.line, self.number)
    }
}

/// Reads the documents of several files, given by name and text, and sorts them so that what is referred to comes first.
///
/// # Errors
/// Everything that is wrong, with its place: as [`read_documents`], and objects that stand there twice.
pub fn gather(files: &[(String, String)]) -> Result<Vec<Document>, InvalidFile> {
    let (mut documents, mut faults) = (Vec::new(), Vec::new());
    for (file, text) in files {
        match read_documents(file, text) {
            Ok(read) => documents.extend(read),
            Err(InvalidFile(why)) => faults.extend(why),
        }
    }
    if documents.len() > MAX_DOCUMENTS {
        faults.push(format!("more than {MAX_DOCUMENTS} documents"));
    }
    faults.extend(repeated(&documents));
    if !faults.is_empty() {
        return Err(InvalidFile(faults));
    }
    documents.sort_by_key(|document| rank(document.target));
    Ok(documents)
}

/// Reads the documents of one file, in their order.
///
/// # Errors
/// If the text is no YAML, or documents have no known `kind` or no `name`.
pub fn read_documents(file: &str, text: &str) -> Result<Vec<Document>, InvalidFile> {
    let read: Result<Vec<Spanned<Value>>, _> = serde_saphyr::from_multiple(text);
    let values = read.map_err(|error| InvalidFile(vec![format!("{file}: not valid YAML: {error}")]))?;
    let (mut documents, mut faults) = (Vec::new(), Vec::new());
    let present = values.into_iter().filter(|document| !document.value.is_null());
    for (at, Spanned { value, referenced, .. }) in present.enumerate() {
        let place = Place { file: file.to_owned(), line: referenced.line(), number: at + 1 };
        match contents(value) {
            Ok((target, body)) => documents.push(Document { place, target, body }),
            Err(why) => faults.push(format!("{place}: {why}")),
        }
    }
    if faults.is_empty() { Ok(documents) } else { Err(InvalidFile(faults)) }
}

fn contents(value: Value) -> Result<(Target, Value), String> {
    let Value::Object(mut map) = value else { return Err("expected fields, the first of them `kind`".to_owned()) };
    let kind = map.remove("kind").ok_or("`kind` is missing")?;
    let kind = kind.as_str().ok_or("`kind` must be a text")?;
    if kind.eq_ignore_ascii_case("GlobalSettings") {
        return Ok((Target::GlobalSettings, Value::Object(map)));
    }
    let target = Target::Object(parse_kind(kind).map_err(|error| error.to_string())?);
    if !map.get("name").is_some_and(Value::is_string) {
        return Err("`name` is missing or no text".to_owned());
    }
    Ok((target, Value::Object(map)))
}

/// Objects that stand in the files more than once: whichever came last would win, and the other would be lost.
fn repeated(documents: &[Document]) -> Vec<String> {
    let mut seen: BTreeMap<(Target, &str), &Place> = BTreeMap::new();
    let mut faults = Vec::new();
    for document in documents {
        match seen.get(&(document.target, document.name())) {
            None => {
                seen.insert((document.target, document.name()), &document.place);
            }
            Some(first) => {
                let what = match document.target {
                    Target::GlobalSettings => "the document of the global settings".to_owned(),
                    Target::Object(kind) => format!("the {kind} {:?}", document.name()),
                };
                faults.push(format!("{}: {what} stands at {first} already: write each once", document.place));
            }
        }
    }
    faults
}

/// What is referred to has a lower one.
pub(crate) const fn rank(target: Target) -> u8 {
    match target {
        Target::GlobalSettings => 0,
        Target::Object(kind) => match kind {
            ObjectKind::IpPool | ObjectKind::MfaProvider => 1,
            ObjectKind::Site => 2,
            ObjectKind::Appliance | ObjectKind::IdentityProvider => 3,
            ObjectKind::LocalUser
            | ObjectKind::Condition
            | ObjectKind::CriteriaScript
            | ObjectKind::AdministrativeRole => 4,
            ObjectKind::Entitlement => 5,
            ObjectKind::Policy | ObjectKind::ClientProfile => 6,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(texts: &[(&str, &str)]) -> Vec<(String, String)> {
        texts.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect()
    }

    fn faults(texts: &[(&str, &str)]) -> Vec<String> {
        gather(&files(texts)).expect_err("refused").0
    }

    #[test]
    fn documents_are_sorted_by_what_they_refer_to_and_know_their_places() {
        let text = "# first\nkind: Policy\nname: p\n---\nkind: entitlement\nname: e\n---\n---\n\nkind: Site\nname: s\n";
        let documents = gather(&files(&[("a.yaml", text), ("b.yaml", "kind: GlobalSettings\nspaMode: TCP\n")]));
        let documents = documents.expect("valid");
        let told: Vec<_> =
            documents.iter().map(|document| (document.kind_name(), document.place.to_string())).collect();
        let expected = [
            ("GlobalSettings", "b.yaml:1 (document 1)"),
            ("Site", "a.yaml:10 (document 3)"),
            ("Entitlement", "a.yaml:5 (document 2)"),
            ("Policy", "a.yaml:2 (document 1)"),
        ];
        assert_eq!(told, expected.map(|(kind, place)| (kind.to_owned(), place.to_owned())));
    }

    #[test]
    fn everything_that_is_wrong_is_said_with_its_place() {
        let text = "name: x\n---\nkind: Site\n---\nkind: Castle\nname: b\n";
        let told = faults(&[("s.yaml", text), ("t.yaml", "kind: [")]);
        assert_eq!(told.len(), 4, "{told:?}");
        assert_eq!(told[0], "s.yaml:1 (document 1): `kind` is missing");
        assert_eq!(told[1], "s.yaml:3 (document 2): `name` is missing or no text");
        assert!(told[2].starts_with("s.yaml:5 (document 3): unknown kind \"Castle\""), "{}", told[2]);
        assert!(told[3].starts_with("t.yaml: not valid YAML"), "{}", told[3]);
    }

    #[test]
    fn an_object_that_stands_there_twice_is_refused_with_both_places() {
        let one = "kind: Entitlement\nname: case5\nconditions: [a]\n---\nkind: entitlements\nname: case5\n";
        let expected = "one.yaml:5 (document 2): the Entitlement \"case5\" stands at one.yaml:1 (document 1) already";
        assert!(faults(&[("one.yaml", one)])[0].starts_with(expected));
        let across = faults(&[("a.yaml", "kind: Site\nname: s\n"), ("b.yaml", "kind: Site\nname: s\n")]);
        assert!(across[0].contains("b.yaml:1") && across[0].contains("a.yaml:1"), "{across:?}");
        let same_name = [("a.yaml", "kind: Site\nname: s\n---\nkind: Condition\nname: s\n")];
        assert_eq!(gather(&files(&same_name)).expect("of different kinds").len(), 2);
    }
}
