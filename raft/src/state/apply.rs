//! The step from one state to the next: total, pure, the same on every Controller.

use std::sync::Arc;

use ringwall_protocol::id::LogIndex;

use super::State;
use super::command::{Command, CommandEnvelope};
use super::rejection::Rejection;
use super::reply::{Outcome, Reply};
use super::step::{Scoped, Step};

/// What applying a command gives.
#[derive(Debug, Clone)]
pub struct Transition {
    /// The state from `index` on.
    pub state: State,
    /// The answer, with the index of the entry that was carried out.
    pub outcome: Outcome,
    /// What Gateways hear.
    pub events: Vec<Scoped>,
}

/// Applies the command of log entry `index`. Never fails: what cannot be done is answered by [`Reply::Refused`] and
/// changes nothing but the index and the record of the answer.
#[must_use]
pub fn apply(state: &State, index: LogIndex, envelope: &CommandEnvelope) -> Transition {
    let mut base = state.advanced_to(index);
    base.clock = base.clock.max(envelope.proposed_at);
    if let Some(outcome) = base.results.repeated(envelope) {
        return Transition { state: base, outcome, events: Vec::new() };
    }
    let mut next = base.clone();
    let mut step = Step::new(&mut next, index, envelope.proposed_at);
    let result = founded(&step, &envelope.command).and_then(|()| envelope.command.apply(&mut step));
    let (mut state, reply, events) = match result {
        Ok(reply) => {
            let events = step.finish();
            (next, reply, events)
        }
        Err(rejection) => (base, Reply::Refused(rejection), Vec::new()),
    };
    let outcome = Outcome { index, reply };
    let clock = state.clock;
    state.results.record(envelope, outcome.clone(), clock);
    Transition { state, outcome, events }
}

impl State {
    /// This state at a later index: what an entry without command (a leader's first, a change of membership) makes.
    #[must_use]
    pub fn advanced_to(&self, index: LogIndex) -> Self {
        Self { index: self.index.max(index), ..self.clone() }
    }
}

fn founded(step: &Step<'_>, command: &Command) -> Result<(), Rejection> {
    match (&step.state.collective, command) {
        (None, Command::Founding(_)) | (Some(_), _) => Ok(()),
        (None, _) => Err(Rejection::NotFounded),
    }
}

impl From<Transition> for (Arc<State>, Outcome, Vec<Scoped>) {
    fn from(transition: Transition) -> Self {
        (Arc::new(transition.state), transition.outcome, transition.events)
    }
}
