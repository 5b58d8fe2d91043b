//! What is present follows what is wanted, whatever came in between.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const RETENTION: Duration = Duration::from_secs(15);

fn hash(n: u8) -> RuleSetHash {
    RuleSetHash([n; 32])
}

#[test]
fn equal_rule_sets_share_a_mark() {
    let mut slots = Slots::new(RETENTION, 4);
    let first = slots.acquire(hash(1)).expect("room");
    assert_eq!(slots.acquire(hash(1)), Ok(Acquired::Ready(first.mark())));
    assert_ne!(slots.acquire(hash(2)).expect("room").mark(), first.mark());
    assert_eq!(slots.used(), 2);
}

#[test]
fn a_mark_keeps_its_meaning_for_the_retention() {
    let now = Instant::now();
    let mut slots = Slots::new(RETENTION, 1);
    let mark = slots.acquire(hash(1)).expect("room").mark();
    slots.release(mark, now);
    assert_eq!(slots.acquire(hash(2)), Err(Full), "the only slot still means rule set 1");
    assert_eq!(slots.acquire(hash(1)), Ok(Acquired::Ready(mark)), "which comes back for nothing");
    slots.release(mark, now + RETENTION);
    assert_eq!(slots.take_dirty(now + RETENTION, 9), [], "the second retirement counts");
    assert_eq!(slots.take_dirty(now + 2 * RETENTION, 9), [mark]);
    slots.emptied(&[mark]);
    assert_eq!(slots.acquire(hash(2)), Ok(Acquired::Fill(mark)));
}

#[test]
fn growth_is_bounded_and_what_the_kernel_refused_is_tried_again() {
    let mut slots = Slots::new(RETENTION, 6);
    let made = slots.grow(3);
    assert_eq!(made.len(), 3);
    slots.emptied(&made);
    let refused = slots.grow(1);
    slots.not_made(&refused);
    assert_eq!((slots.made(), slots.free()), (3, 3));
    assert_eq!(slots.grow(9).len(), 3, "six at most, the refused one among them");
}

/// What the kernel would hold, driven only by what the slots say.
#[derive(Default)]
struct Model {
    kernel: HashMap<Mark, Option<RuleSetHash>>,
    users: HashMap<RuleSetHash, Vec<Mark>>,
    last_meaning: HashMap<Mark, (RuleSetHash, Instant)>,
}

#[derive(Debug, Clone)]
enum Step {
    Acquire { rules: u8, refused: bool },
    Release { rules: u8 },
    Wait { seconds: u64 },
    Clean { most: usize, refused: bool },
    Grow { refused: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..12, proptest::bool::weighted(0.1)).prop_map(|(rules, refused)| Step::Acquire { rules, refused }),
        4 => (0u8..12).prop_map(|rules| Step::Release { rules }),
        1 => (0u64..30).prop_map(|seconds| Step::Wait { seconds }),
        1 => (1usize..5, proptest::bool::weighted(0.2)).prop_map(|(most, refused)| Step::Clean { most, refused }),
        1 => proptest::bool::weighted(0.2).prop_map(|refused| Step::Grow { refused }),
    ]
}

impl Model {
    fn acquire(&mut self, slots: &mut Slots, rules: RuleSetHash, refused: bool, now: Instant) {
        let Ok(acquired) = slots.acquire(rules) else { return };
        let mark = acquired.mark();
        match acquired {
            Acquired::Ready(_) => assert_eq!(self.kernel[&mark], Some(rules), "ready means that the rules are there"),
            Acquired::MakeAndFill(_) if refused => return slots.not_made(&[mark]),
            Acquired::Fill(_) if refused => return slots.spoiled(mark),
            Acquired::MakeAndFill(_) => assert!(self.kernel.insert(mark, Some(rules)).is_none(), "made twice"),
            Acquired::Fill(_) => assert_eq!(self.kernel.insert(mark, Some(rules)), Some(None), "filled when not empty"),
        }
        if let Some((meaning, ended)) = self.last_meaning.get(&mark) {
            assert!(
                *meaning == rules || now.duration_since(*ended) >= RETENTION,
                "a mark changed its meaning too soon"
            );
        }
        self.users.entry(rules).or_default().push(mark);
    }

    fn release(&mut self, slots: &mut Slots, rules: RuleSetHash, now: Instant) {
        let Some(mark) = self.users.get_mut(&rules).and_then(Vec::pop) else { return };
        slots.release(mark, now);
        self.last_meaning.insert(mark, (rules, now));
    }

    fn clean(&mut self, slots: &mut Slots, most: usize, refused: bool, now: Instant) {
        let marks = slots.take_dirty(now, most);
        if refused {
            return slots.not_emptied(&marks);
        }
        for mark in &marks {
            assert!(self.users.values().flatten().all(|used| used != mark), "a slot in use was emptied");
            self.kernel.insert(*mark, None);
        }
        slots.emptied(&marks);
    }

    fn grow(&mut self, slots: &mut Slots, refused: bool) {
        let marks = slots.grow(3usize.saturating_sub(slots.free()).min(2));
        if refused {
            return slots.not_made(&marks);
        }
        for mark in &marks {
            assert!(self.kernel.insert(*mark, None).is_none(), "made twice");
        }
        slots.emptied(&marks);
    }
}

proptest! {
    #[test]
    fn every_user_finds_its_rules_and_nobody_elses(steps in proptest::collection::vec(step(), 1..200)) {
        let mut now = Instant::now();
        let mut slots = Slots::new(RETENTION, 8);
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Acquire { rules, refused } => model.acquire(&mut slots, hash(rules), refused, now),
                Step::Release { rules } => model.release(&mut slots, hash(rules), now),
                Step::Wait { seconds } => now += Duration::from_secs(seconds),
                Step::Clean { most, refused } => model.clean(&mut slots, most, refused, now),
                Step::Grow { refused } => model.grow(&mut slots, refused),
            }
            for (rules, marks) in &model.users {
                for mark in marks {
                    prop_assert_eq!(model.kernel[mark], Some(*rules));
                }
            }
            prop_assert!(slots.made() <= 8);
            prop_assert_eq!(slots.made(), model.kernel.len());
            prop_assert_eq!(slots.used(), model.users.values().filter(|marks| !marks.is_empty()).count());
        }
    }
}
