//! Texts with fields in double braces. Filled in one pass: what a field holds is never looked at again. Pure.

/// What values are going into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    /// Plain text.
    Nothing,
    /// HTML, as text or as a quoted attribute.
    Html,
}

/// `template` with each `{{name}}` replaced by its value. A name that is not among `fields` stays as it is, which tests
/// of every template refuse.
pub(crate) fn fill(template: &str, fields: &[(&str, &str)], escape: Escape) -> String {
    let mut filled = String::with_capacity(template.len() + fields.iter().map(|(_, value)| value.len()).sum::<usize>());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let named = after.split_once("}}").and_then(|(name, after)| {
            let (_, value) = fields.iter().find(|(known, _)| *known == name)?;
            Some((value, after))
        });
        match named {
            Some((value, after)) => {
                match escape {
                    Escape::Nothing => filled.push_str(value),
                    Escape::Html => value.chars().for_each(|c| push_escaped(&mut filled, c)),
                }
                rest = after;
            }
            None => {
                filled.push_str("{{");
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// The five characters that mean something in HTML text and quoted attributes.
fn push_escaped(to: &mut String, c: char) {
    match c {
        '&' => to.push_str("&amp;"),
        '<' => to.push_str("&lt;"),
        '>' => to.push_str("&gt;"),
        '"' => to.push_str("&quot;"),
        '\'' => to.push_str("&#39;"),
        other => to.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_filled_once_and_escaped_where_wanted() {
        let fields = [("a", "<{{b}}>"), ("b", "two")];
        assert_eq!(fill("{{a}} {{b}} {{c}}", &fields, Escape::Nothing), "<{{b}}> two {{c}}");
        assert_eq!(fill("x=\"{{a}}\"", &fields, Escape::Html), "x=\"&lt;{{b}}&gt;\"");
        assert_eq!(fill("{{ open", &fields, Escape::Html), "{{ open");
    }
}
