//! Changes that nobody has made yet: who would gain or lose what, decided by the same functions on a copy of the state.
//!
//! Nothing is proposed. Whoever asks must be allowed to make the change, and to look at sessions: an answer tells nothing
//! that the change itself would not. Work is bounded by a number of people (`MAX_EXAMINED`) and a time (`TIME`).

mod draft;
mod people;
mod rights;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringwall_protocol::assign::PolicySet;
use ringwall_protocol::name::DnScope;
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::revocation::{Revocation, RevocationMode, RevocationScope};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::what_if::{Affected, Draft, Examined, MAX_NAMED, SessionNotice, Simulation};
use ringwall_raft::State;

pub(in crate::administration) use draft::Drafted;

use self::people::Person;
use self::rights::{Rights, shifts};
use super::lint;
use crate::administration::access::authority::Administrator;
use crate::administration::denial::Denial;
use crate::administration::questions::Questions;
use crate::refusal::Refusal;

/// Longest time that one simulation takes; whoever was not looked at by then is counted.
pub(in crate::administration) const TIME: Duration = Duration::from_secs(20);

impl Questions {
    /// What would come of a draft.
    ///
    /// # Errors
    /// `Forbidden` without the privileges for the change or for sessions; `Invalid` and `Conflict` as for the change.
    pub(crate) async fn simulate(&self, who: &Administrator, draft: &Draft) -> Result<Simulation, Denial> {
        who.authority.require(PrivilegeType::View, PrivilegeTarget::SessionInfo, None)?;
        let deadline = Instant::now() + TIME;
        let now = who.now;
        let drafted = Drafted::new(who, draft, now)?;
        let everywhere = self.peers.sessions_everywhere(&who.state, &DnScope::Everyone).await;
        let (people, mut examined) = self.people(&who.state, &drafted.state, everywhere.sessions, deadline).await;
        let work = Work { before: Arc::clone(&who.state), drafted, people, now, deadline };
        let compared = tokio::task::spawn_blocking(move || work.run()).await;
        let (mut simulation, left_out) = compared.map_err(|error| {
            tracing::error!(%error, "a simulation panicked");
            Refusal::internal()
        })?;
        examined.left_out += left_out;
        simulation.examined = examined;
        Ok(simulation)
    }
}

/// Everything that the comparison needs, so that it can run beside the executor.
struct Work {
    before: Arc<State>,
    drafted: Drafted,
    people: Vec<Person>,
    now: UnixMillis,
    deadline: Instant,
}

impl Work {
    /// The answer, and how many people were not looked at.
    fn run(self) -> (Simulation, usize) {
        let Self { before, drafted, people, now, deadline } = self;
        let sets = [&before, &drafted.state].map(|state| PolicySet::new(state.policies(), state.criteria_scripts()));
        let mut affected = Vec::new();
        let mut left_out = 0;
        for person in &people {
            if Instant::now() >= deadline {
                left_out += 1;
                continue;
            }
            let was = Rights::of(&before, &sets[0], person, person.before.as_ref(), now);
            let will = Rights::of(&drafted.state, &sets[1], person, person.after.as_ref(), now);
            let shifts = shifts(&was, &will, &drafted.state);
            if !shifts.is_empty() {
                let distinguished_name = person.dn.to_string();
                affected.push(Affected { distinguished_name, live: person.session.is_some(), shifts });
            }
        }
        affected.sort_by(|one, two| (!one.live, &one.distinguished_name).cmp(&(!two.live, &two.distinguished_name)));
        let count = affected.len();
        affected.truncate(MAX_NAMED);
        let known = lint::findings(&before);
        let warnings = lint::findings(&drafted.state).into_iter().filter(|finding| !known.contains(finding)).collect();
        let notices = drafted.revocations.iter().map(|one| notice(&drafted.state, one)).collect();
        let simulation = Simulation {
            changes: drafted.changes,
            notices,
            examined: Examined::default(),
            affected: count,
            people: affected,
            warnings,
        };
        (simulation, left_out)
    }
}

fn notice(state: &State, revocation: &Revocation) -> SessionNotice {
    let site = revocation.site.and_then(|site| state.site(site));
    SessionNotice {
        scope: match &revocation.scope {
            RevocationScope::Dn(DnScope::Everyone) => "everyone".to_owned(),
            RevocationScope::Dn(scope) => scope.to_string(),
            RevocationScope::Token(id) => format!("token {id}"),
        },
        site_name: site.map(|site| site.base.name.clone()),
        mode: match revocation.mode {
            RevocationMode::RenewNow => "renewNow",
            RevocationMode::RenewWindow { .. } => "renewWindow",
            RevocationMode::Cut => "cut",
        }
        .to_owned(),
        reason: revocation.reason.clone(),
    }
}
