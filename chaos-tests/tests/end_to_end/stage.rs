//! A small Collective on real packets: one Controller, one Gateway or more, a user with a tunnel, two web hosts behind it.

use std::{fs, net::IpAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::{
    lab::{
        Lab,
        command::Program,
        probe::Url,
        servers::Nginx,
        topology::{Host, Topology},
        wait,
    },
    product::{
        Administrator, Client, Controller, Founding, Gateway, Ringctl,
        controller::{PEER_PORT, socket},
        gateway,
    },
};

/// The Controller's host.
pub(crate) const CONTROLLER: &str = "controller";
/// Hosts of further Controllers, for tests that start them.
pub(crate) const OTHER_CONTROLLERS: [&str; 2] = ["controller-2", "controller-3"];
/// The Gateway's host, and its name in the Collective.
pub(crate) const GATEWAY: &str = "gateway";
/// The host of another Gateway of the same Site, for tests that start it.
pub(crate) const OTHER_GATEWAY: &str = "gateway-2";
/// The user, and the host of the device.
pub(crate) const ALICE: &str = "alice";
/// What she signs in with at the local identity provider.
pub(crate) const PASSWORD: &str = "a wall with 1 door";
/// The Site of all Gateways, and the network of the protected hosts.
pub(crate) const SITE: &str = "office";
/// For what must work.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// For what must not.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// A joined Controller becomes a voter once it has caught up.
const VOTER: Duration = Duration::from_secs(60);
const PROFILE: &str = "demo";
/// The first administrator.
pub(crate) const ADMINISTRATOR: &str = "operator";
/// The first administrator's password.
pub(crate) const ADMINISTRATORS_PASSWORD: &str = "the operator has a long password";
/// A test's state: everybody may read the page of `web1`.
pub(crate) const PAGE: &str = r#"
kind: Entitlement
name: web
site: office
actions:
  - subtype: tcp_up
    action: allow
    hosts: [10.20.0.10]
    ports: ["80"]
---
kind: Policy
name: everybody
type: Access
expression: "true"
entitlements: [web]
"#;
/// A test's state: everybody may send datagrams to the echo of `web1`.
pub(crate) const ECHO: &str = r#"
kind: Entitlement
name: echo
site: office
actions:
  - subtype: udp_up
    action: allow
    hosts: [10.20.0.10]
    ports: ["7"]
---
kind: Policy
name: everybody
type: Access
expression: "true"
entitlements: [echo]
"#;
/// A test's state: both, by one entitlement.
pub(crate) const PAGE_AND_ECHO: &str = r#"
kind: Entitlement
name: web
site: office
actions:
  - subtype: tcp_up
    action: allow
    hosts: [10.20.0.10]
    ports: ["80"]
  - subtype: udp_up
    action: allow
    hosts: [10.20.0.10]
    ports: ["7"]
---
kind: Policy
name: everybody
type: Access
expression: "true"
entitlements: [web]
"#;
/// What every test starts from; a test's own state adds to it, or replaces an object of the same name.
const BASE: &str = r#"
kind: Site
name: office
networkSubnets: [10.20.0.0/24]
---
kind: IpPool
name: tunnel-v4
ranges:
  - cidr: 100.64.0.0/16
---
kind: IdentityProvider
name: local
type: LocalDatabase
adminProvider: true
ipPoolV4: tunnel-v4
---
kind: LocalUser
name: alice
password: a wall with 1 door
---
kind: ClientProfile
name: demo
identityProvider: local
"#;

/// The programs of the Collective, and a Client that is signed in.
pub(crate) struct Stage<'lab> {
    pub(crate) client: Client<'lab>,
    pub(crate) operator: Ringctl<'lab>,
    pub(crate) gateways: Vec<Gateway>,
    lab: &'lab Lab,
    ca_fingerprint: String,
    pub(crate) controller: Controller,
    _programs: Vec<Nginx>,
}

impl<'lab> Stage<'lab> {
    /// Starts it all in a lab of [`topology`], with this state on top of [`BASE`].
    pub(crate) fn start(lab: &'lab Lab, state: &str) -> Result<Self> {
        let mut stage = Self::found(lab, state)?;
        stage.add_gateway(GATEWAY)?;
        stage.sign_in()?;
        Ok(stage)
    }

    /// The same without a Gateway; the Client has the profile and is not signed in.
    pub(crate) fn found(lab: &'lab Lab, state: &str) -> Result<Self> {
        Self::found_with(lab, state, |program| program)
    }

    /// The same; `adapt` changes how the Controller is started.
    pub(crate) fn found_with(lab: &'lab Lab, state: &str, adapt: impl FnOnce(Program) -> Program) -> Result<Self> {
        let webs =
            ["web1", "web2"].into_iter().map(|host| Nginx::start(lab, host, &[80, 81])).collect::<Result<_>>()?;
        let founding =
            Founding { collective: "small", administrator: ADMINISTRATOR, password: ADMINISTRATORS_PASSWORD };
        let (controller, founded) = Controller::found_with(lab, CONTROLLER, &founding, adapt)?;
        let administrator = Administrator {
            name: ADMINISTRATOR,
            password: ADMINISTRATORS_PASSWORD,
            ca_fingerprint: &founded.ca_fingerprint,
        };
        let operator = Ringctl::sign_in(lab, CONTROLLER, &administrator)?;
        let client = Client::new(lab, ALICE);
        let ca_fingerprint = founded.ca_fingerprint;
        let stage = Self { client, operator, gateways: Vec::new(), lab, ca_fingerprint, controller, _programs: webs };
        stage.apply(BASE)?;
        stage.apply(state)?;
        stage.client.add_profile(&stage.operator.profile_link(PROFILE)?)?;
        Ok(stage)
    }

    /// Adds a Gateway of the Site and starts it.
    pub(crate) fn add_gateway(&mut self, host: &str) -> Result<()> {
        self.add_gateway_with(host, |program| program)
    }

    /// The same; `adapt` changes how it is started.
    pub(crate) fn add_gateway_with(&mut self, host: &str, adapt: impl FnOnce(Program) -> Program) -> Result<()> {
        let seed = self.operator.add_gateway(host, SITE, &socket(self.lab, host, gateway::CLIENT_PORT))?;
        self.gateways.push(Gateway::start_with(self.lab, host, SITE, &seed, adapt)?);
        Ok(())
    }

    /// Adds a Controller, starts it and waits until it votes.
    pub(crate) fn add_controller(&self, host: &str, adapt: impl FnOnce(Program) -> Program) -> Result<Controller> {
        let seed = self.operator.add_controller(host, &socket(self.lab, host, PEER_PORT))?;
        let before = self.operator.status()?.voters();
        let controller = Controller::join_with(self.lab, host, &seed, &self.operator, adapt)?;
        wait::until_ok("the Controller votes", VOTER, || {
            let status = self.operator.status()?;
            ensure!(status.voters() > before && status.leader_name().is_some(), "{status:?}");
            Ok(())
        })?;
        Ok(controller)
    }

    /// The operator at another Controller.
    pub(crate) fn operator_at(&self, host: &str) -> Result<Ringctl<'lab>> {
        let administrator = Administrator {
            name: ADMINISTRATOR,
            password: ADMINISTRATORS_PASSWORD,
            ca_fingerprint: &self.ca_fingerprint,
        };
        Ringctl::sign_in(self.lab, host, &administrator)
    }

    /// Another administrator, at the first Controller.
    pub(crate) fn administrator(&self, name: &str, password: &str) -> Result<Ringctl<'lab>> {
        let administrator = Administrator { name, password, ca_fingerprint: &self.ca_fingerprint };
        Ringctl::sign_in_beside(self.lab, CONTROLLER, &administrator)
    }

    /// Signs the user in and waits for the tunnel.
    pub(crate) fn sign_in(&mut self) -> Result<()> {
        self.client.up(ALICE, PASSWORD, &[SITE]).map(drop)
    }

    /// Loads objects, as the operator writes them.
    pub(crate) fn apply(&self, objects: &str) -> Result<()> {
        let file = self.lab.directory().join("state.yaml");
        fs::write(&file, objects).context("write the state for ringctl")?;
        self.operator.apply(&file).map(drop)
    }

    /// A page on a protected host.
    pub(crate) fn page(&self, host: &str, port: u16) -> Url {
        Url::of((self.protected(host), port), "/")
    }

    /// The address of a protected host.
    pub(crate) fn protected(&self, host: &str) -> IpAddr {
        self.lab.topology().v4(host, SITE).into()
    }
}

/// Controller, Gateways and user on one network, protected hosts on another.
pub(crate) fn topology() -> Topology {
    Topology::new()
        .network("wan", "10.77.1.0/24", "fd77:1::/64")
        .network(SITE, "10.20.0.0/24", "fd20::/64")
        .host(Host::new(CONTROLLER).on("wan", 11))
        .host(Host::new(OTHER_CONTROLLERS[0]).on("wan", 12))
        .host(Host::new(OTHER_CONTROLLERS[1]).on("wan", 13))
        .host(Host::new(GATEWAY).on("wan", 21).on(SITE, 2))
        .host(Host::new(OTHER_GATEWAY).on("wan", 22).on(SITE, 3))
        .host(Host::new("web1").on(SITE, 10))
        .host(Host::new("web2").on(SITE, 11))
        .host(Host::new("names").on(SITE, 53))
        .host(Host::new(ALICE).on("wan", 101))
        .host(Host::new("stranger").on("wan", 200))
}

/// A test's state with global settings before it, a line of YAML each.
pub(crate) fn with_settings(settings: &str, state: &str) -> String {
    format!("\nkind: GlobalSettings\n{settings}\n---{state}")
}
