//! What the registry is asked: one handler a message, which calls the core and runs what follows.

use actix::{Handler, ResponseFuture};
use ringwall_protocol::wire::error::ErrorCode;
use tokio::sync::oneshot;

use super::{Registry, Waiting};
use crate::feed::message::Deliver;
use crate::registry::admission::Refusal;
use crate::registry::message::{Admit, Admitted, AskHealth, Drain, Present, RegistryHealth};
use crate::support::entropy::ThreadEntropy;

impl Handler<Admit> for Registry {
    type Result = ResponseFuture<Result<Admitted, Refusal>>;

    fn handle(&mut self, Admit { admission, socket }: Admit, ctx: &mut Self::Context) -> Self::Result {
        let (answer, outcome) = oneshot::channel();
        let ticket = self.ticket(Waiting::Admit(answer, socket));
        let effects = self.core.admit(ticket, admission, self.now(), &mut ThreadEntropy);
        self.run_all(effects, ctx);
        Box::pin(async move { outcome.await.unwrap_or_else(|_| Err(gone())) })
    }
}

impl Handler<Present> for Registry {
    type Result = ResponseFuture<Result<(), Refusal>>;

    fn handle(&mut self, Present(presentation): Present, ctx: &mut Self::Context) -> Self::Result {
        let (answer, outcome) = oneshot::channel();
        let ticket = self.ticket(Waiting::Present(answer));
        let effects = self.core.present(ticket, presentation, self.now());
        self.run_all(effects, ctx);
        Box::pin(async move { outcome.await.unwrap_or_else(|_| Err(gone())) })
    }
}

impl Handler<Deliver> for Registry {
    type Result = ();

    fn handle(&mut self, Deliver(deliveries): Deliver, ctx: &mut Self::Context) {
        for delivery in deliveries {
            let effects = self.deliver(delivery);
            self.run_all(effects, ctx);
        }
    }
}

impl Handler<Drain> for Registry {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Drain: Drain, ctx: &mut Self::Context) -> Self::Result {
        let (drained, done) = oneshot::channel();
        self.drained = Some(drained);
        let effects = self.core.drain(self.now().instant);
        self.run_all(effects, ctx);
        self.announce_drained();
        Box::pin(async move {
            // Dropped: another drain took over, or the registry is gone; either way there is nothing to wait for.
            let _ = done.await;
        })
    }
}

impl Handler<AskHealth> for Registry {
    type Result = RegistryHealth;

    fn handle(&mut self, AskHealth: AskHealth, _: &mut Self::Context) -> Self::Result {
        let lease_held = self.core.lease_held(self.now().instant);
        RegistryHealth { sessions: self.core.len(), complete: self.core.complete(), lease_held }
    }
}

fn gone() -> Refusal {
    Refusal::new(ErrorCode::Busy, "the request was not answered; connect again")
}
