//! Policies with their criteria compiled, kept until one of them changes: compiling 1,500 takes longer than a sign-in.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use ringwall_protocol::assign::PolicySet;
use ringwall_protocol::id::LogIndex;
use ringwall_protocol::object::ObjectKind;
use ringwall_raft::State;

/// The compiled policies of the last state that was asked about.
#[derive(Debug, Default)]
pub(crate) struct CompiledPolicies(Mutex<Option<Kept>>);

#[derive(Debug)]
struct Kept {
    /// Any state at this index has the same policies.
    index: LogIndex,
    /// Ids and versions of policies and scripts.
    digest: u64,
    set: Arc<PolicySet>,
}

impl CompiledPolicies {
    /// The policies of `state`.
    #[must_use]
    pub(crate) fn of(&self, state: &State) -> Arc<PolicySet> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_ref().filter(|kept| kept.index == state.index()) {
            return Arc::clone(&kept.set);
        }
        let (index, digest) = (state.index(), digest(state));
        if let Some(kept) = kept.as_mut().filter(|kept| kept.digest == digest) {
            kept.index = index;
            return Arc::clone(&kept.set);
        }
        let set = Arc::new(PolicySet::new(state.policies(), state.criteria_scripts()));
        *kept = Some(Kept { index, digest, set: Arc::clone(&set) });
        set
    }
}

fn digest(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    for kind in [ObjectKind::Policy, ObjectKind::CriteriaScript] {
        for stored in state.objects().of_kind(kind) {
            (stored.object.id(), stored.version).hash(&mut hasher);
        }
    }
    hasher.finish()
}
