//! Everything that the steps share: the lab, the servers behind the wall, and the product's running programs.

use std::{fmt::Write, path::PathBuf};

use anyhow::{Context, Result, ensure};

use crate::{
    demo::plan::{self, ALICE, BOB, CONTROLLERS, GATEWAYS},
    lab::{
        Lab,
        namespace::Namespace,
        probe::{EchoProbe, PacketCounter, Url},
        servers::{IperfServer, NameServer, Nginx, Slapd, UdpEcho, iperf},
    },
    product::{Client, Controller, Gateway, Ringctl, client::state_directory, ringctl::session_file},
    report::Step,
};

/// What is said at ERROR although nothing is broken: texts that may stand in such a line, each with its reason.
const EXPECTED_ERRORS: [&str; 0] = [];

/// The stage of the demonstration.
#[derive(Debug)]
pub struct World<'lab> {
    /// The lab.
    pub(crate) lab: &'lab Lab,
    /// The Controllers, in the order of the plan.
    pub(crate) controllers: Vec<Controller>,
    /// The Gateways, in the order of the plan.
    pub(crate) gateways: Vec<Gateway>,
    /// The operator, once there is a Collective.
    pub(crate) operator: Option<Ringctl<'lab>>,
    /// SHA-256 of the Collective's root certificate.
    pub(crate) ca_fingerprint: String,
    /// The Client of the user who may use both Sites.
    pub(crate) alice: Client<'lab>,
    /// The Client of the user who may use the office.
    pub(crate) bob: Client<'lab>,
    /// The partner's directory.
    pub(crate) directory: Slapd,
    /// The name server of the office.
    pub(crate) names: NameServer,
    /// Echo server in the office.
    pub(crate) office_echo: UdpEcho,
    /// Echo server in the lab.
    pub(crate) lab_echo: UdpEcho,
    _servers: (Vec<Nginx>, IperfServer),
}

impl<'lab> World<'lab> {
    /// Starts the servers behind the wall; the product is not there yet.
    pub fn new(lab: &'lab Lab) -> Result<Self> {
        let echo = |host| UdpEcho::start(lab.host(host), plan::service(lab.topology(), host, plan::PORT_ECHO));
        Ok(Self {
            lab,
            controllers: Vec::new(),
            gateways: Vec::new(),
            operator: None,
            ca_fingerprint: String::new(),
            alice: Client::new(lab, ALICE.name),
            bob: Client::new(lab, BOB.name),
            directory: Slapd::start(lab, plan::DIRECTORY, lab.topology().v4(plan::DIRECTORY, "wan").into())?,
            names: NameServer::start(
                lab,
                plan::OFFICE_NAMES,
                &[(plan::OFFICE_WEB_NAME, plan::address(lab.topology(), plan::OFFICE_WEB))],
                &[],
            )?,
            office_echo: echo(plan::OFFICE_WEB)?,
            lab_echo: echo(plan::LAB_WEB)?,
            _servers: (
                [plan::OFFICE_WEB, "office-web2", plan::LAB_WEB]
                    .into_iter()
                    .map(|host| Nginx::start(lab, host, &plan::PORTS))
                    .collect::<Result<_>>()?,
                IperfServer::start(lab, plan::OFFICE_WEB, iperf::PORT)?,
            ),
        })
    }

    /// The operator.
    pub(crate) fn operator(&self) -> Result<&Ringctl<'lab>> {
        self.operator.as_ref().context("the Collective is not up")
    }

    /// The file whose presence shows that alice's device is in order; each lab has its own.
    #[must_use]
    pub(crate) fn order_file(&self) -> PathBuf {
        self.lab.directory().join("device-in-order")
    }

    /// A page on a protected host.
    #[must_use]
    pub(crate) fn page(&self, host: &str, port: u16) -> Url {
        Url::of(plan::service(self.lab.topology(), host, port), "/")
    }

    /// The namespace of a protected host.
    #[must_use]
    pub fn host(&self, name: &str) -> &'lab Namespace {
        self.lab.host(name)
    }

    /// Begins the 100-per-second echo from a user's device to the office.
    pub(crate) fn echo_to_office(&self, client: &Client<'lab>) -> Result<EchoProbe> {
        EchoProbe::start(client.namespace(), self.office_echo.address())
    }

    /// Counts packets of Clients that reach protected hosts, on each of them.
    pub(crate) fn count_arrivals(&self, matching: &str) -> Result<Vec<PacketCounter>> {
        let hosts = [plan::OFFICE_WEB, "office-web2", plan::LAB_WEB];
        hosts.into_iter().map(|host| PacketCounter::install(self.host(host), matching)).collect()
    }

    /// The Gateway that carries a user's session to a Site, by its place in `gateways`.
    pub(crate) fn carrier(&self, client: &Client<'lab>, site: &str) -> Result<usize> {
        let status = client.status()?;
        let name = status.sites.iter().find(|status| status.name == site).and_then(|site| site.gateway.clone());
        let name = name.with_context(|| format!("no Gateway carries the session to {site}: {status:?}"))?;
        self.gateways
            .iter()
            .position(|gateway| gateway.host() == name)
            .with_context(|| format!("the plan has no Gateway {name}"))
    }

    /// Fails if any of the product's programs reported a broken promise.
    pub(crate) fn check_logs(&self, step: &mut Step) -> Result<()> {
        let errors = self.lab.errors(&EXPECTED_ERRORS)?;
        ensure!(errors.is_empty(), "ERROR in logs:\n{}", errors.join("\n"));
        step.proved("no program wrote an ERROR");
        Ok(())
    }

    /// The ends of all logs, for the audience of a failed demonstration.
    #[must_use]
    pub fn wreck(&self) -> String {
        let mut text = String::new();
        for log in self.lab.logs().unwrap_or_default() {
            let _ = writeln!(text, "--- {} ends with:\n{}", log.path().display(), log.tail());
        }
        text
    }

    /// Commands to play with a lab that stays up.
    #[must_use]
    pub(crate) fn hints(&self) -> String {
        let id = self.lab.id();
        let page = self.page(plan::OFFICE_WEB, plan::PORT_OPEN).address;
        format!(
            "\nThe lab stays up. To look around (the product's programs stand beside this one):\n\
             \n  ip netns exec rw-{id}-{alice} ringwall --state-dir {state} status\
             \n  ip netns exec rw-{id}-{alice} curl http://{page}/\
             \n  ip netns exec rw-{id}-{controller} env RINGCTL_SESSION={operator} ringctl session list\
             \n  ip netns exec rw-{id}-{gateway} nft list ruleset\
             \n  tail -f {logs}/*.log\
             \n\nmake clean-lab removes it.",
            alice = ALICE.name,
            state = state_directory(self.lab, ALICE.name).display(),
            controller = CONTROLLERS[0],
            operator = session_file(self.lab, CONTROLLERS[0]).display(),
            gateway = GATEWAYS[0].host,
            logs = self.lab.directory().display(),
        )
    }
}
