//! The group changes: transfer, removal, a peer that is nobody any more.

use ringwall_protocol::id::NodeId;
use ringwall_raft::state::blocklist::BlockUser;
use ringwall_raft::{ReconfigureError, Role};

use super::fixture::{envelope, user_dn};
use super::group::Group;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_moves_on_request_from_any_node() {
    let group = Group::of(3).await;
    let leader = group.leader(None).await.id();
    let others: Vec<_> = group.numbers().into_iter().filter(|id| *id != leader).collect();
    group.node(others[0].0).transfer_leader(others[1]).await.expect("moved");
    assert_eq!(group.leader(None).await.id(), others[1]);
    group.any().propose(envelope(BlockUser { user: user_dn(1), reason: String::new() })).await.expect("applied");
    group.agree().await;
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_itself_can_be_removed() {
    let mut group = Group::of(3).await;
    let leader = group.leader(None).await.id();
    let other = group.numbers().into_iter().find(|id| *id != leader).unwrap();
    group.node(other.0).remove_voter(leader).await.expect("removed");
    let new = group.leader(Some(leader)).await;
    assert_ne!(new.id(), leader);
    assert_eq!(new.status().voters.len(), 2);
    assert!(!new.status().has_member(leader));
    new.remove_voter(leader).await.expect("a second time changes nothing");
    group.kill(leader).await;
    new.propose(envelope(BlockUser { user: user_dn(1), reason: String::new() })).await.expect("two go on without it");
    group.agree().await;
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn impossible_orders_are_refused_with_a_reason() {
    let group = Group::founded().await;
    let node = group.node(1);
    let refused = |result: Result<(), ReconfigureError>| match result {
        Err(ReconfigureError::Refused(why)) => why,
        other => panic!("expected a refusal, got {other:?}"),
    };
    assert!(refused(node.remove_voter(NodeId(1)).await).contains("last voter"));
    assert!(refused(node.promote(NodeId(7)).await).contains("no learner"));
    assert!(refused(node.transfer_leader(NodeId(7)).await).contains("no voter"));
    node.remove_voter(NodeId(7)).await.expect("who is not there is removed");
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_that_nobody_reaches_gets_no_vote_and_takes_no_quorum() {
    let group = Group::founded().await;
    let node = group.node(1);
    node.add_learner(NodeId(2)).await.expect("added, and never started");
    let why = node.promote(NodeId(2)).await.expect_err("refused").to_string();
    assert!(why.contains("acknowledged no entry"), "{why}");
    assert_eq!(node.status().voters.len(), 1);
    node.propose(envelope(BlockUser { user: user_dn(1), reason: String::new() })).await.expect("it goes on alone");
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_is_removed_without_an_election() {
    let mut group = Group::founded().await;
    group.create(NodeId(2)).await;
    let node = group.node(1);
    node.add_learner(NodeId(2)).await.expect("added");
    node.add_learner(NodeId(2)).await.expect("a second time changes nothing");
    group.reaches(2, node.state().index()).await;
    assert_eq!(group.node(2).status().role, Role::Learner);
    let term = node.status().term;
    node.remove_voter(NodeId(2)).await.expect("removed");
    assert_eq!(node.status().term, term);
    assert!(!node.status().has_member(NodeId(2)));
    group.shutdown().await;
}
