//! How an entry of the table is tried on the scene: the change is made, what follows is looked at, and everything is put
//! back.

use serde_json::Value;

use super::look::Look;
use super::scene::{Scene, kind_of};
use super::table::Entry;
use super::{merged, schema};
use crate::admin::caller::Reply;

impl Scene {
    /// The change is accepted, and something else than the object differs by it.
    pub(super) async fn sees(&self, entry: &Entry, look: Look) -> Result<(), String> {
        let (former, object) = self.prepare(entry).await?;
        let before = self.look(look).await;
        let outcome = match self.write(entry.object, &merged(&object, &self.named(&entry.change))).await {
            reply if reply.status == 200 => match self.look(look).await {
                after if after == before => Err(format!("{}: nobody sees the change: {before}", entry.field)),
                _ => Ok(()),
            },
            refused => Err(format!("{}: the change is refused: {refused:?}", entry.field)),
        };
        if entry.restored {
            self.restore(former).await.map_err(|error| format!("{}: {error}", entry.field))?;
        }
        outcome
    }

    /// The change is refused by the name of a field.
    pub(super) async fn refuses(&self, entry: &Entry, field: &str) -> Result<(), String> {
        let (former, object) = self.prepare(entry).await?;
        let reply = self.write(entry.object, &merged(&object, &self.named(&entry.change))).await;
        self.restore(former).await?;
        let errors = reply.body["errors"].as_array().into_iter().flatten();
        let error = errors.into_iter().find(|error| error["field"] == field);
        match error.and_then(|error| error["message"].as_str()) {
            Some(message) if matches!(reply.status, 409 | 422) && !message.is_empty() => Ok(()),
            _ => Err(format!("{}: expected 422 or 409 with {field}, got {reply:?}", entry.field)),
        }
    }

    /// The change is not kept: the system sets the field.
    pub(super) async fn keeps(&self, entry: &Entry) -> Result<(), String> {
        let (_, object) = self.prepare(entry).await?;
        let changed = merged(&object, &self.named(&entry.change));
        let reply = self.write(entry.object, &changed).await;
        let now = self.root.get(self.path(entry.object)).await.ok();
        let kind = kind_of(self.path(entry.object));
        let differing = schema::differing(&object, &now, kind);
        match reply.status {
            200 if !differing.contains(entry.field) || entry.field.ends_with(".updated") => Ok(()),
            _ => Err(format!("{}: {reply:?}, and now {now}", entry.field)),
        }
    }

    /// Applies what an entry starts from; answers how the objects were before, and how the entry's object is now.
    async fn prepare(&self, entry: &Entry) -> Result<(Vec<(&'static str, Value)>, Value), String> {
        let mut former = vec![(entry.object, self.root.get(self.path(entry.object)).await.ok())];
        for (name, patch) in &entry.given {
            let object = self.root.get(self.path(name)).await.ok();
            if former.iter().all(|(known, _)| known != name) {
                former.push((name, object.clone()));
            }
            let reply = self.write(name, &merged(&object, &self.named(patch))).await;
            if reply.status != 200 {
                return Err(format!("{}: what it starts from is refused: {reply:?}", entry.field));
            }
        }
        let object = self.root.get(self.path(entry.object)).await.ok();
        let kind = entry.field.split(['.', ':']).next().unwrap_or_default();
        let typed = entry.field.split('.').next().unwrap_or_default();
        let changed = merged(&object, &self.named(&entry.change));
        let differing = schema::differing(&object, &changed, kind);
        let field = entry.field.replacen(typed, kind, 1);
        if !differing.contains(&field) {
            return Err(format!("{}: the change does not touch it, but {differing:?}", entry.field));
        }
        Ok((former, object))
    }

    async fn restore(&self, former: Vec<(&'static str, Value)>) -> Result<(), String> {
        for (name, object) in former.into_iter().rev() {
            let reply = self.write(name, &object).await;
            if reply.status != 200 {
                return Err(format!("{name} cannot be put back: {reply:?}"));
            }
        }
        Ok(())
    }

    async fn write(&self, name: &str, object: &Value) -> Reply {
        let (path, secrets) = &self.objects[name];
        let mut body = merged(secrets, object);
        // Only what is given as a secret is one: `null` would be none.
        body.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
        self.root.put(path, &body).await
    }
}
