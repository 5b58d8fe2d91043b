//! SPDX licence expressions, as far as crates use them: names, `AND`, `OR`, `WITH`, parentheses, and `/` for `OR`.

/// True if the expression can be met with allowed licences alone. What cannot be read is not allowed.
pub(crate) fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = Words { words: spaced.split_whitespace().collect(), next: 0 };
    let met = any(&mut words, allowed);
    met == Some(true) && words.peek().is_none()
}

struct Words<'a> {
    words: Vec<&'a str>,
    next: usize,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).copied()
    }

    fn take(&mut self) -> Option<&'a str> {
        let word = self.peek();
        self.next += 1;
        word
    }

    fn takes(&mut self, wanted: &str) -> bool {
        let found = self.peek() == Some(wanted);
        self.next += usize::from(found);
        found
    }
}

/// `all { OR all }`; `None` if it cannot be read.
fn any(words: &mut Words<'_>, allowed: &[String]) -> Option<bool> {
    let mut met = all(words, allowed)?;
    while words.takes("OR") {
        met |= all(words, allowed)?;
    }
    Some(met)
}

/// `one { AND one }`.
fn all(words: &mut Words<'_>, allowed: &[String]) -> Option<bool> {
    let mut met = one(words, allowed)?;
    while words.takes("AND") {
        met &= one(words, allowed)?;
    }
    Some(met)
}

/// A name, with its exception, or an expression in parentheses.
fn one(words: &mut Words<'_>, allowed: &[String]) -> Option<bool> {
    if words.takes("(") {
        let met = any(words, allowed)?;
        return words.takes(")").then_some(met);
    }
    // "or a later version" includes this version.
    let mut name = words.take()?.trim_end_matches('+').to_owned();
    if words.takes("WITH") {
        name = format!("{name} WITH {}", words.take()?);
    }
    Some(allowed.contains(&name))
}

#[test]
fn expressions_mean_what_they_say() {
    let allowed =
        ["MIT".to_owned(), "ISC".to_owned(), "MPL-2.0".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()];
    for good in ["MIT", "GPL-3.0 OR MIT", "GPL-3.0/MIT", "MIT AND ISC", "(GPL-3.0 OR MIT) AND ISC", "MPL-2.0+"] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    assert!(is_allowed("Apache-2.0 WITH LLVM-exception OR GPL-2.0", &allowed));
    for bad in
        ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT", "MIT OR", "MIT ISC", "Apache-2.0", "GPL-3.0 OR (MIT AND LGPL-2.1)"]
    {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}
