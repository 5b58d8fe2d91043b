//! What all runs begin with.

use std::cell::RefCell;

use crate::scene::{Scene, SignedIn};

/// A Collective, and people who sign in: two with addresses of their own, one with the first one's.
pub(super) struct World {
    pub(super) scene: Scene,
    pub(super) people: [SignedIn; 3],
}

thread_local! {
    /// Keys and certificates take long to make.
    pub(super) static WORLD: RefCell<World> = RefCell::new({
        let mut scene = Scene::new();
        let people = [("alice", 1), ("bob", 2), ("carol", 1)].map(|(name, address)| scene.sign_in(name, 90, address));
        World { scene, people }
    });
}
