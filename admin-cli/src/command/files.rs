//! Files of objects on their way to the Controller: read once, made ready, sent as a plan or as an order.

use std::path::PathBuf;

use anyhow::Result;
use ringwall_protocol::id::LogIndex;
use ringwall_protocol::object::ObjectKind;
use ringwall_protocol::wire::admin::List;
use ringwall_protocol::wire::apply::{ApplyAnswer, ApplyRequest};
use ringwall_protocol::wire::what_if::Draft;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Desk, read_text};
use crate::apply::{Known, Place, Prepared, Pruned, gather, overlay, prune, relocated};
use crate::connection::ApiError;
use crate::exit_code::InvalidFile;

/// What files say, made ready with what the Collective has.
pub(super) struct Work {
    /// Their objects.
    pub(super) prepared: Prepared,
    /// What goes because it is in no file.
    pub(super) pruned: Pruned,
    /// What the Collective has.
    pub(super) known: Known,
    /// The settings as they are and as they would be, if a file names some.
    pub(super) settings: Option<Settings>,
}

/// Settings that a file names.
pub(super) struct Settings {
    place: Place,
    /// As they are.
    before: Value,
    /// As they would be.
    pub(super) after: Value,
}

impl Work {
    /// Reads files and makes them ready; `tag`: what carries it and is in no file goes.
    ///
    /// # Errors
    /// [`InvalidFile`] with everything that is wrong in them; if a file or the Collective's objects cannot be read.
    pub(super) async fn read(desk: &Desk, files: &[PathBuf], tag: Option<&str>) -> Result<Self> {
        let named = |file: &PathBuf| match file.as_os_str() == "-" {
            true => "standard input".to_owned(),
            false => file.display().to_string(),
        };
        let mut texts = Vec::with_capacity(files.len());
        for file in files {
            texts.push((named(file), read_text(file)?));
        }
        let documents = gather(&texts)?;
        let known = known_objects(desk).await?;
        // Ids in the order of the files, as those that a Controller makes are in the order of their making.
        let mut prepared = Prepared::new(documents, &known, uuid::Uuid::now_v7)?;
        let pruned = tag.map(|tag| prune(&known, &prepared, tag)).unwrap_or_default();
        let settings = match prepared.settings.take() {
            None => None,
            Some((place, changes)) => {
                let before: Value = desk.api.get("/global-settings").await?;
                let mut after = before.clone();
                overlay(&mut after, &changes);
                Some(Settings { place, before, after })
            }
        };
        Ok(Self { prepared, pruned, known, settings })
    }

    /// Whether dual control would begin or end: that is an order of its own, which may have to wait for approval.
    ///
    /// # Errors
    /// [`InvalidFile`] if it stands beside anything else.
    pub(super) fn changes_dual_control(&self) -> Result<bool, InvalidFile> {
        let Some(Settings { place, before, after }) = &self.settings else { return Ok(false) };
        if before["dualControl"] == after["dualControl"] {
            return Ok(false);
        }
        if self.prepared.objects.is_empty() && self.pruned.deletions.is_empty() {
            return Ok(true);
        }
        let why = "dualControl is changed by itself: put it into a file that holds nothing but GlobalSettings";
        Err(InvalidFile(vec![format!("{place}: {why}")]))
    }

    /// Sends everything as one request. `base`: the state of the plan that was shown; absent: only a plan is wanted.
    ///
    /// # Errors
    /// [`ApiError`], with places in the files.
    pub(super) async fn send(&self, desk: &Desk, base: Option<LogIndex>) -> Result<ApplyAnswer, ApiError> {
        let request = ApplyRequest {
            settings: self.settings.as_ref().map(|settings| settings.after.clone()),
            objects: self.prepared.objects.clone(),
            deletions: self.pruned.deletions.clone(),
            base,
            dry_run: base.is_none(),
        };
        self.post(desk, "/apply", &request).await
    }

    /// Asks a question about the draft that the files are.
    ///
    /// # Errors
    /// [`ApiError`], with places in the files.
    pub(super) async fn ask<T: DeserializeOwned>(&self, desk: &Desk, path: &str) -> Result<T, ApiError> {
        self.post(desk, path, &self.draft()).await
    }

    /// The files as a draft.
    pub(super) fn draft(&self) -> Draft {
        self.prepared.draft(&self.pruned.deletions)
    }

    async fn post<T: DeserializeOwned>(&self, desk: &Desk, path: &str, body: &impl Serialize) -> Result<T, ApiError> {
        let answer = desk.api.post(path, body).await;
        answer.map_err(|error| error.reworded(|text| relocated(text, &self.prepared.places)))
    }
}

/// Everything that the Collective has.
pub(super) async fn known_objects(desk: &Desk) -> Result<Known> {
    let mut known = Known::default();
    for kind in ObjectKind::ALL {
        let list: List<Value> = desk.api.get(&format!("/{}", kind.collection())).await?;
        known.insert(*kind, list.data);
    }
    Ok(known)
}
