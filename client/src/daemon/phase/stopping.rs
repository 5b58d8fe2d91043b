//! Stopping: takes everything down again, says why, and tells whoever asked for it.

use tokio::sync::oneshot;

use crate::daemon::active_session::ActiveSession;
use crate::daemon::shared::Shared;
use crate::daemon::user_prompts::send_reply;
use crate::failure::Failure;
use crate::local::{Answer, Event};

/// The daemon's end: signed out again, told to go down, or unable to go on.
pub(in crate::daemon) struct Stopping {
    active: Option<ActiveSession>,
    result: Result<(), Failure>,
    reply: Option<oneshot::Sender<Answer>>,
}

impl Stopping {
    pub(super) const fn new(
        active: Option<ActiveSession>,
        result: Result<(), Failure>,
        reply: Option<oneshot::Sender<Answer>>,
    ) -> Self {
        Self { active, result, reply }
    }

    pub(super) const fn active(&self) -> Option<&ActiveSession> {
        self.active.as_ref()
    }

    pub(super) const fn active_mut(&mut self) -> Option<&mut ActiveSession> {
        self.active.as_mut()
    }

    /// Ends the links, removes the device and what goes with it, ends the tasks.
    ///
    /// # Errors
    /// Why the daemon could not go on.
    pub(in crate::daemon) async fn finish(self, shared: &mut Shared) -> Result<(), Failure> {
        shared.watchers.send(Event::Stopping {});
        if let Some(active) = self.active {
            active.stop().await;
        }
        shared.tasks.abort_all();
        if let Some(reply) = self.reply {
            send_reply(reply, Answer::Done {});
        }
        tracing::info!("down");
        self.result
    }
}
