//! Audit records, which Gateways write.

use ringwall_protocol::id::ApplianceId;
use serde_json::Value;

use super::file::lines;

/// Records, one a line: each becomes one line of the file or none, and says who sent it whatever it says itself.
#[must_use]
pub fn audit_records(bytes: &[u8]) -> bool {
    let records: Vec<String> =
        bytes.split(|byte| *byte == b'\n').filter_map(|one| std::str::from_utf8(one).ok()).map(str::to_owned).collect();
    let gateway = ApplianceId::from_random([7; 16]);
    let written = String::from_utf8(lines(gateway, 9, &records)).expect("JSON is text");
    assert!(written.is_empty() || written.ends_with('\n'));
    let written: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let objects =
        records.iter().filter_map(|record| serde_json::from_str::<Value>(record).ok()).filter(Value::is_object);
    let objects: Vec<Value> = objects.collect();
    assert_eq!(written.len(), objects.len());
    for (line, object) in written.iter().zip(&objects) {
        assert_eq!(line["gateway"], gateway.to_string());
        assert_eq!((&line["seq"], line.as_object().map(serde_json::Map::len)), (&Value::from(9), Some(3)));
        // Not the values: a number with a fraction may differ in its last place.
        let names = |value: &Value| value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>());
        assert_eq!(names(&line["record"]), names(object));
    }
    !written.is_empty()
}
