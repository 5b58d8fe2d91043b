//! What stands before policies: the blocklist, lock-outs, a missing device or Gateway. Pure.

use ringwall_protocol::explain::{Explanation, Obstacle, ObstacleKind};
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::time::UnixMillis;
use ringwall_raft::State;
use ringwall_raft::state::lockout::LockoutSubject;

use super::Subject;
use super::question::Question;

/// What the Gateway ignored when it asked for the name of the destination (T79).
pub(super) fn refused_name(subject: &Subject, question: &Question) -> Vec<Obstacle> {
    let sessions = subject.session.iter().flat_map(|session| &session.refused_names);
    let refused = sessions.filter(|refused| question.name.as_deref() == Some(refused.name.as_str()));
    let told = refused.map(|refused| Obstacle {
        kind: ObstacleKind::NameRefused,
        message: format!(
            "a name server said that {} is {}, which is {}",
            refused.name,
            refused.address,
            refused.reason.explanation()
        ),
    });
    told.collect()
}

/// Everything that keeps a subject from what an explanation says.
pub(super) fn of(state: &State, subject: &Subject, explained: &Explanation, now: UnixMillis) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    let mut add = |kind, message: String| obstacles.push(Obstacle { kind, message });
    let user = &subject.dn.user;
    if let Some(entry) = state.blocked(user) {
        let why = if entry.reason.is_empty() { String::new() } else { format!(" ({})", entry.reason) };
        add(ObstacleKind::Blocked, format!("{user} is on the blocklist since {}{why}", entry.blocked_at));
    }
    let devices = state.devices_of(subject.user).count();
    if devices == 0 {
        add(ObstacleKind::NoDevice, format!("no device of {user} is registered: nobody has signed in yet"));
    } else if subject.session.is_none() {
        add(ObstacleKind::NoSession, format!("{user} has no live session: what the device says is not known"));
    }
    let strangers = LockoutSubject { user: user.clone(), device: None };
    if let Some(lockout) = state.locked_out(&strangers, now) {
        let until = lockout.until;
        add(ObstacleKind::LockedOut, format!("{user} is locked out for unregistered devices until {until}"));
    }
    for entitlement in explained.entitlements.iter().filter(|one| one.open) {
        let serves =
            state.gateways().any(|gateway| gateway.site == entitlement.site && gateway.state == ApplianceState::Active);
        if !serves && !obstacles.iter().any(|one| one.kind == ObstacleKind::NoGateway) {
            let message = format!("no Gateway of the Site {:?} takes sessions", entitlement.site_name);
            obstacles.push(Obstacle { kind: ObstacleKind::NoGateway, message });
        }
    }
    obstacles
}
