//! A small Collective on real packets: one Controller, one Gateway, a user with a tunnel, two web hosts behind it.

use std::fs;

use anyhow::{Context, Result};
use ringwall_chaos_tests::{
    lab::{
        Lab,
        servers::Nginx,
        topology::{Host, Topology},
    },
    product::{Administrator, Client, Controller, Founding, Gateway, Ringctl, controller::socket, gateway},
};

/// The Controller's host.
pub(crate) const CONTROLLER: &str = "controller";
/// The Gateway's host, and its name in the Collective.
pub(crate) const GATEWAY: &str = "gateway";
/// The user, and the host of the device.
pub(crate) const ALICE: &str = "alice";
/// Her password, which every state must give her.
pub(crate) const PASSWORD: &str = "a wall with 1 door";
/// The Site that every state must have, and the profile.
pub(crate) const SITE: &str = "office";
const PROFILE: &str = "demo";
const ADMINISTRATOR: &str = "operator";
const ADMINISTRATORS_PASSWORD: &str = "the operator has a long password";

/// The programs of the Collective, and a Client that is signed in.
pub(crate) struct Stage<'lab> {
    pub(crate) client: Client<'lab>,
    pub(crate) operator: Ringctl<'lab>,
    _programs: (Controller, Gateway, Vec<Nginx>),
}

impl<'lab> Stage<'lab> {
    /// Starts it all in a lab of [`topology`], with this state.
    pub(crate) fn start(lab: &'lab Lab, state: &str) -> Result<Self> {
        let webs =
            ["web1", "web2"].into_iter().map(|host| Nginx::start(lab, host, &[80, 81])).collect::<Result<_>>()?;
        let founding =
            Founding { collective: "small", administrator: ADMINISTRATOR, password: ADMINISTRATORS_PASSWORD };
        let (controller, founded) = Controller::found(lab, CONTROLLER, &founding)?;
        let administrator = Administrator {
            name: ADMINISTRATOR,
            password: ADMINISTRATORS_PASSWORD,
            ca_fingerprint: &founded.ca_fingerprint,
        };
        let operator = Ringctl::sign_in(lab, CONTROLLER, &administrator)?;
        let file = lab.directory().join("state.yaml");
        fs::write(&file, state).context("write the state for ringctl")?;
        operator.apply(&file)?;
        let seed = operator.add_gateway(GATEWAY, SITE, &socket(lab, GATEWAY, gateway::CLIENT_PORT))?;
        let gateway = Gateway::start(lab, GATEWAY, SITE, &seed)?;
        let mut client = Client::new(lab, ALICE);
        client.add_profile(&operator.profile_link(PROFILE)?)?;
        client.up(ALICE, PASSWORD, &[SITE])?;
        Ok(Self { client, operator, _programs: (controller, gateway, webs) })
    }
}

/// Controller, Gateway and user on one network, protected hosts on another.
pub(crate) fn topology() -> Topology {
    Topology::new()
        .network("wan", "10.77.1.0/24", "fd77:1::/64")
        .network("office", "10.20.0.0/24", "fd20::/64")
        .host(Host::new(CONTROLLER).on("wan", 11))
        .host(Host::new(GATEWAY).on("wan", 21).on("office", 2))
        .host(Host::new("web1").on("office", 10))
        .host(Host::new("web2").on("office", 11))
        .host(Host::new("names").on("office", 53))
        .host(Host::new(ALICE).on("wan", 101))
        .host(Host::new("stranger").on("wan", 200))
}
