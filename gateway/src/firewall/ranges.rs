//! Ranges of addresses as numbers: sorted, joined where they overlap or touch.

/// Inclusive ranges, ascending, with a gap between any two.
pub(super) fn merged<N: Neighbour>(ranges: impl IntoIterator<Item = (N, N)>) -> Vec<(N, N)> {
    let mut sorted: Vec<(N, N)> = ranges.into_iter().collect();
    sorted.sort_unstable();
    let mut joined: Vec<(N, N)> = vec![];
    for (first, last) in sorted {
        match joined.last_mut() {
            Some((_, end)) if end.next().is_none_or(|next| first <= next) => *end = (*end).max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// A number that knows the one behind it.
pub(super) trait Neighbour: Copy + Ord {
    /// The next number, if there is one.
    fn next(self) -> Option<Self>;
}

impl Neighbour for u32 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Neighbour for u128 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_and_touching_ranges_become_one() {
        assert_eq!(merged([(5u32, 9), (0, 3), (4, 4), (20, 30), (22, 25)]), [(0, 9), (20, 30)]);
        assert_eq!(merged([(0u32, u32::MAX), (7, 8)]), [(0, u32::MAX)]);
        assert_eq!(merged(Vec::<(u128, u128)>::new()), []);
    }
}
