//! How deep the tree of an expression would be, told from its text before anything builds it.
//!
//! The parser bounds parentheses, but a chain like `a.b.c…` or `1+1+1…` becomes a tree as deep as it is long, and whatever
//! walks or drops such a tree needs stack for each of its nodes. The estimate is never below the true depth.

/// Deepest tree: paths in claims have few parts, and texts are joined from few pieces.
pub(crate) const MAX_CHAIN: usize = 100;

/// One level of brackets.
#[derive(Default)]
struct Level {
    /// Links of the present chain.
    links: usize,
    /// Of the longest chain before it.
    longest: usize,
}

impl Level {
    fn begin_anew(&mut self) {
        self.longest = self.longest.max(self.links);
        self.links = 0;
    }
}

/// Whether some chain of `source` is longer than [`MAX_CHAIN`], brackets included.
pub(super) fn is_too_deep(source: &str) -> bool {
    let bytes = source.as_bytes();
    let mut levels = vec![Level::default()];
    let mut at = 0;
    while at < bytes.len() {
        let (deep, inside) = (levels.len() > MAX_CHAIN, levels.len() > 1);
        let Some(top) = levels.last_mut() else { return true };
        if deep || top.links > MAX_CHAIN {
            return true;
        }
        match bytes[at] {
            b'"' | b'\'' => {
                at = end_of_text(bytes, at);
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at += bytes[at..].iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len() - at);
                continue;
            }
            b'&' | b'|' | b',' | b'?' | b':' => top.begin_anew(),
            b'.' | b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' | b'!' => top.links += 1,
            b'(' | b'[' | b'{' => levels.push(Level::default()),
            b')' | b']' | b'}' if inside => {
                let inner = levels.pop().map_or(0, |level| level.links.max(level.longest));
                if let Some(outer) = levels.last_mut() {
                    outer.links += inner + 1;
                }
            }
            // `in` is an operator like the others; names with these letters count too, which only errs upwards.
            b'i' if bytes[at..].starts_with(b"in ") => top.links += 1,
            _ => {}
        }
        at += 1;
    }
    levels.len() > MAX_CHAIN || levels.iter().any(|level| level.links > MAX_CHAIN)
}

/// The position behind a text that begins with a quote at `start`; the end of the source if it does not end.
fn end_of_text(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
    let before = |back: usize| start.checked_sub(back).map(|at| bytes[at].to_ascii_lowercase());
    // `r"…"` and `rb"…"`, `br"…"`: a backslash is a letter there.
    let raw = before(1) == Some(b'r') || (before(1) == Some(b'b') && before(2) == Some(b'r'));
    let triple = bytes[start..].starts_with(&[quote; 3]);
    let mut at = start + if triple { 3 } else { 1 };
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if !raw => at += 1,
            byte if byte == quote && !triple => return at + 1,
            byte if byte == quote && bytes[at..].starts_with(&[quote; 3]) => return at + 3,
            // A text that is not triple ends with its line at the latest, or is none.
            b'\n' if !triple => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_found_through_brackets_and_not_in_texts() {
        let chain = |n: usize| "a".to_owned() + &".b".repeat(n);
        assert!(!is_too_deep(&chain(90)));
        assert!(is_too_deep(&chain(101)));
        for deep in [
            format!("({}){}", chain(60), ".b".repeat(60)),
            format!("f({}).g({})", chain(60), chain(60)),
            "a[0]".to_owned() + &"[0]".repeat(120),
            "1".to_owned() + &"+1".repeat(120),
            "-".repeat(120) + "1",
            "(".repeat(120),
        ] {
            assert!(is_too_deep(&deep), "{deep}");
        }
        let wide = vec![r#"user.groups.exists(g, g == "a.b.c")"#; 200].join(" || ");
        let dots = ".".repeat(500);
        for shallow in [
            wide,
            format!("user.a == \"{dots}\" && user.b == '{dots}'"),
            format!("user.a == r\"\\{dots}\""),
            format!("user.a == \"\"\"{dots}\n{dots}\"\"\""),
            format!("user.a // {dots}\n"),
            format!("user.a == \"\\\"{dots}\""),
            format!("user.a in [{}]", vec!["1.5"; 300].join(",")),
        ] {
            assert!(!is_too_deep(&shallow), "{shallow}");
        }
        // What follows a text is looked at again.
        assert!(is_too_deep(&format!("\"x\\\\\" == {}", chain(120))));
        assert!(is_too_deep(&format!("r\"\\\" == {}", chain(120))));
    }
}
