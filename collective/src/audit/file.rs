//! Audit records of Gateways: appended to a file, one JSON object a line, on disk before they are acknowledged.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ringwall_protocol::id::ApplianceId;

/// Name of the file in a data directory.
pub(crate) const FILE_NAME: &str = "audit.jsonl";
/// Longest record, in bytes.
const MAX_RECORD: usize = 16 * 1024;

/// The file.
#[derive(Debug)]
pub(crate) struct AuditFile(Arc<Mutex<File>>);

impl AuditFile {
    /// Opens or makes the file, mode 0600.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn open(directory: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(directory.join(FILE_NAME))?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    /// Appends records; true once they are on disk. What is no JSON object of a bearable length is left out.
    pub(crate) async fn append(&self, gateway: ApplianceId, seq: u64, records: Vec<String>) -> bool {
        let file = Arc::clone(&self.0);
        let written = tokio::task::spawn_blocking(move || {
            let lines = lines(gateway, seq, &records);
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(&lines).and_then(|()| file.sync_data())
        });
        match written.await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(%error, "audit records were not written");
                false
            }
            Err(_) => false,
        }
    }
}

pub(super) fn lines(gateway: ApplianceId, seq: u64, records: &[String]) -> Vec<u8> {
    let mut lines = Vec::new();
    for record in records.iter().filter(|record| record.len() <= MAX_RECORD) {
        let Ok(record @ serde_json::Value::Object(_)) = serde_json::from_str(record) else { continue };
        let line = serde_json::json!({ "gateway": gateway, "seq": seq, "record": record });
        lines.extend_from_slice(line.to_string().as_bytes());
        lines.push(b'\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_json_objects_are_kept_each_on_a_line_of_its_own() {
        let directory = tempfile::tempdir().expect("a directory");
        let audit = AuditFile::open(directory.path()).expect("opened");
        let records = ["{\"kind\":\"ip_access\"}", "no json", "[1]", "{\"text\":\"a\\nb\"}"].map(str::to_owned);
        assert!(audit.append(ApplianceId::from_random([1; 16]), 7, records.to_vec()).await);
        let text = std::fs::read_to_string(directory.path().join(FILE_NAME)).expect("read");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line["seq"] == 7));
    }
}
