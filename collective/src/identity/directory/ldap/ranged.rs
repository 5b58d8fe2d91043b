//! Values of one attribute in several answers: a server that tells 1,500 at a time calls the first of them
//! `proxyAddresses;range=0-1499`, and tells others when it is asked for `;range=1500-*`, until one ends with `*` (MS-ADTS
//! §3.1.1.3.1.3.3). Pure.

use std::collections::HashMap;

/// Most values of one attribute: as many as a claim may have.
pub(super) const MAX_VALUES: usize = 1_000;

/// Why the values of an attribute are not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Gap {
    /// An answer lacks the part that was asked for.
    #[error("the server ends the list of values early")]
    Ended,
    /// More than are read.
    #[error("there are more than {MAX_VALUES} values")]
    TooMany,
}

/// The values of one attribute, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ranged {
    name: String,
    values: Vec<String>,
    /// The first value that is missing; `None` when all are there.
    next: Option<usize>,
}

impl Ranged {
    /// An attribute of which an entry has a part only; `None` if it has all values, or none.
    pub(super) fn begun(name: &str, attributes: &HashMap<String, Vec<String>>) -> Option<Self> {
        let ranged = attributes.keys().any(|key| part(key).is_some_and(|(known, ..)| known.eq_ignore_ascii_case(name)));
        ranged.then(|| Self { name: name.to_owned(), values: Vec::new(), next: Some(0) })
    }

    /// What the server is asked for next; `None` when all values are there.
    pub(super) fn wanted(&self) -> Option<String> {
        self.next.map(|next| format!("{};range={next}-*", self.name))
    }

    /// Takes the next part out of an answer.
    ///
    /// # Errors
    /// [`Gap`] if it is not there, or the values become too many.
    pub(super) fn take(&mut self, attributes: &HashMap<String, Vec<String>>) -> Result<(), Gap> {
        let Some(next) = self.next else { return Ok(()) };
        let (last, values) = attributes
            .iter()
            .find_map(|(key, values)| {
                let (name, first, last) = part(key)?;
                (name.eq_ignore_ascii_case(&self.name) && first == next).then_some((last, values))
            })
            .ok_or(Gap::Ended)?;
        // A part that says more or less than it has cannot be continued; nor can an empty one.
        let whole = last.is_none_or(|last| last.checked_sub(next).is_some_and(|span| span + 1 == values.len()));
        if !whole || (values.is_empty() && last.is_some()) {
            return Err(Gap::Ended);
        }
        self.values.extend(values.iter().cloned());
        self.next = last.map(|last| last + 1);
        if self.values.len() > MAX_VALUES { Err(Gap::TooMany) } else { Ok(()) }
    }

    /// The name of the attribute, and its values.
    pub(super) fn into_values(self) -> (String, Vec<String>) {
        (self.name, self.values)
    }
}

/// Name, first value and last value of a part; no last one: the part ends the list.
fn part(description: &str) -> Option<(&str, usize, Option<usize>)> {
    let (name, range) = description.split_once(";range=")?;
    let (first, last) = range.split_once('-')?;
    let last = if last == "*" { None } else { Some(last.parse::<usize>().ok().filter(|last| *last < usize::MAX)?) };
    Some((name, first.parse().ok()?, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(description: &str, count: usize) -> HashMap<String, Vec<String>> {
        HashMap::from([
            (description.to_owned(), (0..count).map(|number| format!("v{number}")).collect()),
            ("cn".to_owned(), vec!["alice".to_owned()]),
        ])
    }

    #[test]
    fn parts_are_asked_for_until_one_is_the_last() {
        let first = answer("Mail;range=0-2", 3);
        assert_eq!(Ranged::begun("cn", &first), None);
        let mut mail = Ranged::begun("mail", &first).expect("a part");
        assert_eq!(mail.take(&first), Ok(()));
        assert_eq!(mail.wanted().as_deref(), Some("mail;range=3-*"));
        assert_eq!(mail.take(&answer("mail;range=3-4", 2)), Ok(()));
        assert_eq!(mail.take(&answer("mail;range=5-*", 1)), Ok(()));
        assert_eq!(mail.wanted(), None);
        assert_eq!(mail.into_values().1.len(), 6);
    }

    #[test]
    fn a_list_that_ends_early_is_no_list() {
        let first = answer("mail;range=0-2", 3);
        let begun = || {
            let mut mail = Ranged::begun("mail", &first).expect("a part");
            mail.take(&first).map(|()| mail)
        };
        for (description, count) in [
            ("mail", 3),
            ("mail;range=4-*", 1),
            ("mail;range=2-*", 1),
            ("mail;range=3-5", 2),
            ("mail;range=3-1", 0),
            ("mail;range=3-", 1),
            ("other;range=3-*", 1),
            ("mail;range=3-18446744073709551615", 1),
        ] {
            let mut mail = begun().expect("the first part");
            assert_eq!(mail.take(&answer(description, count)), Err(Gap::Ended), "{description}");
        }
    }

    #[test]
    fn more_values_than_a_claim_may_have_are_refused() {
        let first = answer("mail;range=0-1499", 1_500);
        let mut mail = Ranged::begun("mail", &first).expect("a part");
        assert_eq!(mail.take(&first), Err(Gap::TooMany));
    }
}
