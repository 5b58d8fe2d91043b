//! A view that follows the changes is the view that is read afresh.

use proptest::prelude::*;
use ringwall_protocol::feed::FeedView;
use ringwall_raft::State;

use crate::fixture::*;
use crate::replicas::{any_command, world};

fn follow(view: &mut FeedView, state: &State, events: &[ringwall_raft::Scoped]) {
    let site = view.site.id;
    for scoped in events.iter().filter(|scoped| scoped.reaches(gateway(1), site)) {
        view.apply(state.index(), &scoped.event);
    }
    view.position.index = state.index();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn full_view_and_changes_lead_to_the_same(commands in prop::collection::vec(any_command(), 1..60)) {
        let mut replica = world();
        let mut view = replica.state.feed_view(gateway(1)).expect("a Gateway");
        for command in commands {
            let (_, events) = replica.apply_with_events(command);
            follow(&mut view, &replica.state, &events);
            prop_assert_eq!(&view, &replica.state.feed_view(gateway(1)).expect("still a Gateway"));
        }
    }
}

#[test]
fn who_is_no_gateway_has_no_view() {
    let replica = Replica::founded();
    assert_eq!(replica.state.feed_view(gateway(1)), None);
}
