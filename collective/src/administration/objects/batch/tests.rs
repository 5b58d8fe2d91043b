//! A batch goes on from what its parts lead to, and is refused for what nobody looked at.

use ringwall_protocol::entitlement::Entitlement;
use ringwall_protocol::object::Site;
use ringwall_protocol::object::settings::DualControl;
use serde_json::json;

use super::*;
use crate::administration::fixture::{Fixture, administrator};

const LAB: Uuid = Uuid::from_u128(0x9000_0000_0000_4000_8000_0000_0000_0052);
const WEB: Uuid = Uuid::from_u128(0x9000_0000_0000_4000_8000_0000_0000_00e1);

fn lab(notes: &str) -> Site {
    serde_json::from_value(json!({"id": LAB, "name": "lab", "notes": notes})).expect("a site")
}

fn web() -> Entitlement {
    let action = json!({"subtype": "tcp_up", "action": "allow", "hosts": ["10.0.0.1"], "ports": ["80"]});
    serde_json::from_value(json!({"id": WEB, "name": "web", "site": LAB, "actions": [action]})).expect("an entitlement")
}

#[test]
fn what_changed_after_the_plan_refuses_the_batch() {
    let mut fixture = Fixture::founded();
    fixture.put(lab(""));
    let seen = Some(fixture.state.index());
    assert_eq!(Batch::new(&administrator(&fixture), seen).check_base(ObjectKind::Site, LAB), Ok(()));
    fixture.put(lab("by somebody else"));
    let denial = Batch::new(&administrator(&fixture), seen).check_base(ObjectKind::Site, LAB);
    assert!(matches!(&denial, Err(Denial::Conflict(text)) if text.contains("after the plan was made")), "{denial:?}");
    assert_eq!(Batch::new(&administrator(&fixture), None).check_base(ObjectKind::Site, LAB), Ok(()));
}

#[test]
fn a_deletion_is_decided_after_those_before_it() {
    let mut fixture = Fixture::founded();
    fixture.put(lab(""));
    fixture.put(web());
    let who = administrator(&fixture);
    let mut batch = Batch::new(&who, None);
    let denial = batch.delete_one(ObjectKind::Site, LAB);
    assert!(matches!(&denial, Err(Denial::Conflict(text)) if text.contains("still in use")), "{denial:?}");
    let mut batch = Batch::new(&who, None);
    batch.delete_one(ObjectKind::Entitlement, WEB).expect("nothing refers to it");
    batch.delete_one(ObjectKind::Site, LAB).expect("nothing refers to it any more");
    assert_eq!((batch.parts.len(), batch.changes.len()), (2, 2));
    assert!(who.state.object(ObjectKind::Site, LAB).is_some(), "the state that was looked at stays");
}

#[test]
fn a_version_is_expected_of_what_the_batch_has_not_written_itself() {
    let mut fixture = Fixture::founded();
    fixture.put(lab(""));
    let version = fixture.state.index();
    let mut batch = Batch::new(&administrator(&fixture), None);
    assert_eq!(batch.expected(ObjectKind::Site, LAB), Expected::Version(version));
    batch.take(PutObject::new(lab("by the batch"))).expect("accepted");
    assert_eq!(batch.expected(ObjectKind::Site, LAB), Expected::Present);
}

#[test]
fn an_object_is_noted_once() {
    let mut fixture = Fixture::founded();
    fixture.put(lab(""));
    let mut batch = Batch::new(&administrator(&fixture), None);
    batch.note(ObjectKind::Site, LAB).expect("noted");
    batch.note(ObjectKind::Site, LAB).expect("known");
    assert_eq!(batch.parts.len(), 1);
}

#[test]
fn settings_are_whole_and_leave_dual_control_alone() {
    let fixture = Fixture::founded();
    let mut settings = fixture.state.settings().clone();
    settings.message_of_the_day = "maintenance".to_owned();
    let mut batch = Batch::new(&administrator(&fixture), None);
    batch.change_settings(serde_json::to_value(&settings).expect("JSON")).expect("accepted");
    let changed: Vec<&str> = batch.settings.iter().map(|change| change.field.as_str()).collect();
    assert_eq!((changed, batch.parts.len()), (vec!["messageOfTheDay"], 1));
    settings.dual_control = DualControl::Required;
    let denial = batch.change_settings(serde_json::to_value(&settings).expect("JSON"));
    assert!(matches!(&denial, Err(Denial::Contradiction(errors)) if errors[0].field == "dualControl"), "{denial:?}");
}

#[test]
fn nothing_is_named_twice() {
    let one = |id: Uuid| DraftObject { kind: ObjectKind::Site, object: json!({"id": id, "name": "lab"}) };
    let gone = |id: Uuid| DraftDeletion { kind: ObjectKind::Site, id };
    assert_eq!(check_bounds(&[one(LAB)], &[gone(WEB)]), Ok(()));
    let field = |denial: Result<(), Denial>| match denial {
        Err(Denial::Contradiction(errors)) => errors[0].field.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(field(check_bounds(&[one(LAB), one(LAB)], &[])), "objects[1].id");
    assert_eq!(field(check_bounds(&[one(LAB)], &[gone(LAB)])), "deletions[0].id");
}
