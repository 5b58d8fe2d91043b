//! Lists as the admin API has them: searched, filtered, sorted, cut to a range. Pure.
//!
//! `query` (repeatable: all must match), `range` (`3-10`: both included, from 0), `orderBy`, `descending`; every other
//! parameter is a filter: the field of that name must contain the value.

use std::cmp::Ordering;

use ringwall_protocol::form::RANGE;
use ringwall_protocol::wire::admin::{FieldError, Filter, List};
use serde_json::Value;

/// Most parameters of one request.
const MAX_PARAMETERS: usize = 32;
/// Of them texts to search for.
pub(crate) const MAX_QUERIES: usize = 8;

/// What a caller wants of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    queries: Vec<String>,
    range: Option<(usize, usize)>,
    order_by: Option<String>,
    descending: bool,
    filters: Vec<Filter>,
}

/// How a kind of list is searched and sorted unless the caller says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Habits {
    /// Fields that `query` looks at.
    pub(crate) searched: &'static [&'static str],
    /// Field that it is sorted by.
    pub(crate) order_by: &'static str,
}

impl Habits {
    /// Of administered objects.
    pub(crate) const OBJECTS: Self = Self { searched: &["name", "tags", "id"], order_by: "name" };
}

impl Wanted {
    /// Reads the parameters of a request.
    ///
    /// # Errors
    /// What is wrong with them, field by field.
    pub(crate) fn parse(parameters: &[(String, String)]) -> Result<Self, Vec<FieldError>> {
        let wrong = |field: &str, message: &str| FieldError { field: field.to_owned(), message: message.to_owned() };
        if parameters.len() > MAX_PARAMETERS {
            return Err(vec![wrong("query", "too many parameters")]);
        }
        if parameters.iter().filter(|(name, _)| name == "query").count() > MAX_QUERIES {
            return Err(vec![wrong("query", &format!("given more than {MAX_QUERIES} times"))]);
        }
        let mut wanted = Self::default();
        let mut errors = Vec::new();
        for (name, value) in parameters {
            match name.as_str() {
                "query" if value.is_empty() => {}
                "query" => wanted.queries.push(value.clone()),
                "range" => match parse_range(value) {
                    Some(range) => wanted.range = Some(range),
                    None => errors.push(wrong("range", RANGE.rule)),
                },
                "orderBy" => wanted.order_by = Some(value.clone()).filter(|field| !field.is_empty()),
                "descending" => match value.as_str() {
                    "" | "true" => wanted.descending = true,
                    "false" => wanted.descending = false,
                    _ => errors.push(wrong("descending", "expected true or false")),
                },
                _ => wanted.filters.push(Filter { name: name.clone(), value: value.clone() }),
            }
        }
        if errors.is_empty() { Ok(wanted) } else { Err(errors) }
    }

    /// The list that is wanted, of everything that the caller may read.
    #[must_use]
    pub(crate) fn of(&self, mut items: Vec<Value>, habits: Habits) -> List<Value> {
        let total_count = items.len();
        items.retain(|item| self.matches(item, habits.searched));
        let order_by = self.order_by.as_deref().unwrap_or(habits.order_by);
        items.sort_by(|one, two| {
            let order = compare(at(one, order_by), at(two, order_by));
            if self.descending { order.reverse() } else { order }
        });
        let found = items.len();
        let (data, range) = match self.range {
            None => (items, echo(0, found.saturating_sub(1), found)),
            Some((first, last)) => {
                let end = last.saturating_add(1).min(found);
                let data = if first < end { items.drain(first..end).collect() } else { Vec::new() };
                let last = if data.is_empty() { last } else { end - 1 };
                (data, echo(first, last, found))
            }
        };
        List {
            data,
            range,
            total_count,
            order_by: order_by.to_owned(),
            descending: self.descending,
            queries: self.queries.clone(),
            filter_by: self.filters.clone(),
        }
    }

    fn matches(&self, item: &Value, searched: &[&str]) -> bool {
        let in_any = |query: &String| searched.iter().any(|field| contains(at(item, field), query));
        self.queries.iter().all(in_any)
            && self.filters.iter().all(|filter| contains(at(item, &filter.name), &filter.value))
    }
}

fn parse_range(text: &str) -> Option<(usize, usize)> {
    let (first, last) = text.split_once('-').filter(|_| RANGE.fits(text))?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn echo(first: usize, last: usize, of: usize) -> String {
    format!("{first}-{last}/{of}")
}

/// The value of a field; `a.b` leads into nested ones.
fn at<'a>(item: &'a Value, field: &str) -> &'a Value {
    field.split('.').fold(item, |value, name| value.get(name).unwrap_or(&Value::Null))
}

/// Whether a value has `text` in it, whatever its case; a list has what one of its elements has.
fn contains(value: &Value, text: &str) -> bool {
    match value {
        Value::Null => false,
        Value::String(value) => value.to_lowercase().contains(&text.to_lowercase()),
        Value::Array(items) => items.iter().any(|item| contains(item, text)),
        Value::Object(map) => map.values().any(|item| contains(item, text)),
        Value::Bool(truth) => text == if *truth { "true" } else { "false" },
        Value::Number(number) => number.to_string() == text,
    }
}

fn compare(one: &Value, two: &Value) -> Ordering {
    match (one, two) {
        (Value::String(one), Value::String(two)) => {
            one.to_lowercase().cmp(&two.to_lowercase()).then_with(|| one.cmp(two))
        }
        (Value::Number(one), Value::Number(two)) => one.as_f64().partial_cmp(&two.as_f64()).unwrap_or(Ordering::Equal),
        (Value::Bool(one), Value::Bool(two)) => one.cmp(two),
        _ => rank(one).cmp(&rank(two)).then_with(|| one.to_string().cmp(&two.to_string())),
    }
}

const fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn wanted(parameters: &[(&str, &str)]) -> Wanted {
        let owned: Vec<_> = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Wanted::parse(&owned).expect("valid parameters")
    }

    fn names(list: &List<Value>) -> Vec<&str> {
        list.data.iter().filter_map(|item| item["name"].as_str()).collect()
    }

    fn items() -> Vec<Value> {
        vec![
            json!({"name": "web", "tags": ["prod"], "site": {"name": "eu"}}),
            json!({"name": "Database", "tags": ["prod", "db"], "disabled": true}),
            json!({"name": "webmail", "tags": []}),
        ]
    }

    #[test]
    fn a_query_finds_names_by_substring_and_all_queries_must_match() {
        let list = wanted(&[("query", "WEB")]).of(items(), Habits::OBJECTS);
        assert_eq!(names(&list), ["web", "webmail"]);
        assert_eq!((list.range.as_str(), list.total_count), ("0-1/2", 3));
        let list = wanted(&[("query", "web"), ("query", "prod")]).of(items(), Habits::OBJECTS);
        assert_eq!(names(&list), ["web"]);
        assert_eq!(list.queries, ["web", "prod"]);
    }

    #[test]
    fn filters_look_at_their_own_field() {
        assert_eq!(names(&wanted(&[("tags", "db")]).of(items(), Habits::OBJECTS)), ["Database"]);
        assert_eq!(names(&wanted(&[("site.name", "eu")]).of(items(), Habits::OBJECTS)), ["web"]);
        assert_eq!(names(&wanted(&[("disabled", "true")]).of(items(), Habits::OBJECTS)), ["Database"]);
        assert!(wanted(&[("nothing", "x")]).of(items(), Habits::OBJECTS).data.is_empty());
    }

    #[test]
    fn a_range_is_cut_out_and_echoed() {
        let list = wanted(&[("range", "1-10"), ("descending", "true")]).of(items(), Habits::OBJECTS);
        assert_eq!((names(&list), list.range.as_str()), (vec!["web", "Database"], "1-2/3"));
        let list = wanted(&[("range", "7-9")]).of(items(), Habits::OBJECTS);
        assert_eq!((list.data.len(), list.range.as_str()), (0, "7-9/3"));
        assert_eq!(wanted(&[]).of(Vec::new(), Habits::OBJECTS).range, "0-0/0");
    }

    #[test]
    fn malformed_parameters_are_refused_by_name() {
        for (name, value) in [("range", "1 - 0"), ("range", "x"), ("range", "-1-3"), ("descending", "down")] {
            let errors = Wanted::parse(&[(name.to_owned(), value.to_owned())]).expect_err("refused");
            assert_eq!(errors[0].field, name);
        }
    }

    proptest! {
        #[test]
        fn pages_put_together_are_the_whole_list(
            names in prop::collection::vec("[a-zA-Z0-9]{0,4}", 0..40), page in 1usize..12, descending: bool,
        ) {
            let items: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
            let direction = if descending { "true" } else { "false" };
            let whole = wanted(&[("descending", direction)]).of(items.clone(), Habits::OBJECTS);
            let mut joined = Vec::new();
            let mut first = 0;
            loop {
                let range = format!("{first}-{}", first + page - 1);
                let part = wanted(&[("descending", direction), ("range", &range)]).of(items.clone(), Habits::OBJECTS);
                prop_assert_eq!(part.total_count, items.len());
                prop_assert!(part.data.len() <= page);
                if part.data.is_empty() {
                    break;
                }
                let expected = format!("{first}-{}/{}", first + part.data.len() - 1, items.len());
                prop_assert_eq!(&part.range, &expected);
                first += part.data.len();
                joined.extend(part.data);
            }
            prop_assert_eq!(joined, whole.data);
        }
    }
}
