//! The Collective itself: appliances that join and leave, settings, and how it is.

pub mod appliances;
pub mod settings;
pub mod status;
