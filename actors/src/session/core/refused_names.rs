//! Answers of name servers that did not count: operators ask why a host is not reached (T79). Pure.

use std::collections::VecDeque;

use ringwall_protocol::feed::{MAX_REFUSED_NAMES, RefusedName};

/// The latest answer for each name, the latest last; bounded, the oldest makes room.
#[derive(Debug, Default)]
pub(super) struct RefusedNames(VecDeque<RefusedName>);

impl RefusedNames {
    /// Keeps an answer; whether it is new.
    pub(super) fn add(&mut self, refused: RefusedName) -> bool {
        if self.0.contains(&refused) {
            return false;
        }
        self.0.retain(|one| one.name != refused.name);
        self.0.push_back(refused);
        if self.0.len() > MAX_REFUSED_NAMES {
            self.0.pop_front();
        }
        true
    }

    /// All that are kept.
    pub(super) fn list(&self) -> Vec<RefusedName> {
        self.0.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::feed::NameRefusal;

    use super::*;

    fn refused(name: usize, last: u8) -> RefusedName {
        RefusedName { name: format!("n{name}"), address: [10, 0, 0, last].into(), reason: NameRefusal::OutsideSite }
    }

    #[test]
    fn each_name_has_its_latest_answer_and_the_oldest_makes_room() {
        let mut names = RefusedNames::default();
        assert!((0..=MAX_REFUSED_NAMES).all(|name| names.add(refused(name, 1))));
        assert!(!names.add(refused(5, 1)), "nothing new");
        assert!(names.add(refused(1, 2)));
        let list = names.list();
        assert_eq!(list.len(), MAX_REFUSED_NAMES);
        assert_eq!((list.first(), list.last()), (Some(&refused(2, 1)), Some(&refused(1, 2))));
    }
}
