//! Sign-ins at one Controller, without the hash of a password: users prove themselves by a certificate of their own. A
//! founded Collective in a lab of its own, the product's program, TLS connections that are made anew for each call.
//!
//! The callers share the machine with the Controller; what they cost is in the figures.

mod caller;

use std::{
    fmt::Write as _,
    fs,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use ringwall_trust::identity::Fingerprint;
use tokio::task::JoinSet;

use self::caller::{Authority, Caller, PROVIDER};
use crate::{
    bench::figure::Figures,
    lab::{
        Lab,
        topology::{Host, Topology},
    },
    product::{
        Administrator, Controller, Founding, Ringctl,
        controller::{CLIENT_PORT, socket},
    },
    report::Step,
};

const CONTROLLER: &str = "controller-1";
/// Where the callers stand.
const CROWD: &str = "crowd";
/// Callers at once, each a user with a device at an address of its own: one source may have 32 connections only.
const CALLERS: u8 = 64;
/// A sample of the rate.
const SPAN: Duration = Duration::from_secs(4);
/// Policies of the Collective.
const POLICIES: u32 = 100;
const ADMINISTRATOR: &str = "operator";
const PASSWORD: &str = "the operator has a long password";

pub(super) fn measure(runs: usize, step: &mut Step, figures: &mut Figures) -> Result<()> {
    let mut topology = Topology::new().network("wan", "10.77.1.0/24", "fd77:1::/64");
    topology = topology.host(Host::new(CONTROLLER).on("wan", 11)).host(Host::new(CROWD).on("wan", 100));
    let lab = Lab::start(topology).context("lay out the lab")?;
    let founding = Founding { collective: "bench", administrator: ADMINISTRATOR, password: PASSWORD };
    let (_controller, founded) = Controller::found(&lab, CONTROLLER, &founding)?;
    let administrator =
        Administrator { name: ADMINISTRATOR, password: PASSWORD, ca_fingerprint: &founded.ca_fingerprint };
    let operator = Ringctl::sign_in(&lab, CONTROLLER, &administrator)?;
    let authority = Authority::new()?;
    let file = lab.directory().join("state.yaml");
    fs::write(&file, state(&authority.pem())?)?;
    operator.apply(&file)?;
    step.doing(&format!("{CALLERS} users with certificates, {POLICIES} policies, one Controller"));
    let crowd = lab.host(CROWD);
    let own = lab.topology().v4(CROWD, "wan");
    let [a, b, c, _] = own.octets();
    let sources: Vec<IpAddr> = (0..CALLERS).map(|n| IpAddr::from([a, b, c, 101 + n])).collect();
    let commands = sources.iter().fold(String::new(), |mut commands, source| {
        let _ = writeln!(commands, "addr add {source}/24 dev wan");
        commands
    });
    crowd.ip_batch(&commands)?;
    let root: Fingerprint = founded.ca_fingerprint.parse().context("the fingerprint of the Collective")?;
    let at: SocketAddr = socket(&lab, CONTROLLER, CLIENT_PORT).parse()?;
    let callers =
        sources.iter().enumerate().map(|(number, source)| Caller::new(&authority, number, *source, (at, root)));
    let callers = callers.collect::<Result<Vec<_>>>()?;
    let mut samples = Samples::default();
    crowd.enter(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(samples.take(callers, runs, step))
    })??;
    figures.add(step, "signin.p50", "ms", &samples.medians)?;
    figures.add(step, "signin.whole.p50", "ms", &samples.wholes)?;
    figures.add(step, "signin.rate", "1/s", &samples.rates)
}

#[derive(Debug, Default)]
struct Samples {
    medians: Vec<f64>,
    /// With the certificate of the device and the entitlement tokens.
    wholes: Vec<f64>,
    rates: Vec<f64>,
}

impl Samples {
    async fn take(&mut self, mut callers: Vec<Caller>, runs: usize, step: &Step) -> Result<()> {
        // Everybody's device is registered before anything is measured.
        one_by_one(&mut callers, false).await?;
        for run in 1..=runs {
            let median = one_by_one(&mut callers, false).await?;
            let whole = one_by_one(&mut callers, true).await?;
            let rate = all_at_once(&mut callers).await?;
            step.doing(&format!("run {run} of {runs}: {median:.1} ms, {whole:.1} ms as a whole, {rate:.0} a second"));
            self.medians.push(median);
            self.wholes.push(whole);
            self.rates.push(rate);
        }
        Ok(())
    }
}

/// The median, in milliseconds, when every caller signs in after the other.
async fn one_by_one(callers: &mut [Caller], wholly: bool) -> Result<f64> {
    let mut took = Vec::with_capacity(callers.len());
    for caller in callers {
        let begun = Instant::now();
        caller.sign_in().await?;
        if wholly {
            caller.fetch_certificate().await?;
            caller.fetch_entitlements().await?;
        }
        took.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    took.get(took.len() / 2).copied().context("there are callers")
}

/// Sign-ins a second when all callers sign in again and again.
async fn all_at_once(callers: &mut Vec<Caller>) -> Result<f64> {
    let begun = Instant::now();
    let mut crowd = JoinSet::new();
    for mut caller in callers.drain(..) {
        crowd.spawn(async move {
            let mut times = 0_u32;
            while begun.elapsed() < SPAN {
                caller.sign_in().await?;
                times += 1;
            }
            Ok::<_, anyhow::Error>((caller, times))
        });
    }
    let mut all = 0;
    while let Some(ended) = crowd.join_next().await {
        let (caller, times) = ended.context("a caller panicked")??;
        callers.push(caller);
        all += times;
    }
    Ok(f64::from(all) / begun.elapsed().as_secs_f64())
}

/// A provider that wants certificates, and policies of the usual kind.
fn state(authority: &str) -> Result<String> {
    let authority = serde_json::to_string(authority)?;
    let mut state = format!(
        "kind: GlobalSettings\nspaMode: Open\n---\nkind: Site\nname: office\n---\nkind: IpPool\nname: v4\nranges:\n  \
         - cidr: 100.64.0.0/16\n---\nkind: IdentityProvider\nname: {PROVIDER}\ntype: Certificate\nipPoolV4: v4\n\
         caCertificates:\n  - {authority}\n---\nkind: Entitlement\nname: web\nsite: office\nactions:\n  - subtype: tcp_up\n    \
         action: allow\n    hosts: [10.20.0.10]\n    ports: [\"443\"]\n"
    );
    for number in 0..POLICIES {
        let name = format!("caller{}@bench.example", number % u32::from(CALLERS));
        write!(
            state,
            "---\nkind: Policy\nname: policy {number}\ntype: Access\nexpression: user.username == {name:?} || \
             user.username.endsWith(\"-{number}\")\nentitlements: [web]\n"
        )?;
    }
    Ok(state)
}
