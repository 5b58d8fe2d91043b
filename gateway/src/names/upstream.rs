//! The Site's name servers: which of them is asked for a name, and what its answer comes to.

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::rr::{RData, Record, RecordType};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use ringwall_protocol::object::site::{DnsResolver, NameResolution};

use super::in_order::first_in_order;
use super::table::{FLOOR, Outcome};

/// One name server has this long for an answer, and is asked twice.
const ANSWER_TIME: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;
/// Answers that are kept until their time is over.
const CACHED: u64 = 8_192;
/// An answer without an address is believed this long, so that a name that comes into being is soon seen.
const NEGATIVE: Duration = Duration::from_secs(5);
/// Seconds between questions where the Site says nothing.
const EVERY: u32 = 60;

/// What name servers know of a name.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// Records, aliases first.
    Records(Vec<Record>),
    /// The name exists and has no such record.
    NoRecords,
    /// There is no such name.
    NoName,
}

impl Answer {
    const fn has_records(&self) -> bool {
        matches!(self, Self::Records(_))
    }
}

/// The name servers of a Site.
pub(super) struct Upstreams {
    servers: Vec<Upstream>,
}

struct Upstream {
    domains: Vec<String>,
    /// One for each server, in the Site's order.
    servers: Vec<TokioResolver>,
    aaaa: bool,
    every: Duration,
}

impl Upstreams {
    /// From the Site's settings. A resolver that cannot be used is left out, and said; names that only it would serve
    /// are not resolved.
    pub(super) fn new(settings: &NameResolution) -> Self {
        let mut servers: Vec<Upstream> = settings.dns_resolvers.iter().filter_map(Upstream::new).collect();
        if !settings.dns_resolvers.iter().any(|resolver| resolver.match_domains.is_empty()) {
            let own = DnsResolver {
                name: "the host's own".to_owned(),
                update_interval: EVERY,
                query_aaaa: true,
                servers: vec![],
                match_domains: vec![],
            };
            servers.extend(Upstream::new(&own));
        }
        Self { servers }
    }

    /// The addresses of a name, and how often it is to be asked for.
    pub(super) async fn addresses(&self, name: &str) -> (Outcome, Duration) {
        let Some(upstream) = self.choose(name) else { return (Outcome::Failed, FLOOR) };
        let v4 = upstream.ask(name, RecordType::A);
        let v6 = async {
            match upstream.aaaa {
                true => upstream.ask(name, RecordType::AAAA).await,
                false => Ok(Answer::NoRecords),
            }
        };
        let (v4, v6) = futures_util::future::join(v4, v6).await;
        (together([v4, v6]), upstream.every)
    }

    /// Any records of a name.
    pub(super) async fn records(&self, name: &str, kind: RecordType) -> Result<Answer, NetError> {
        match self.choose(name) {
            Some(upstream) => upstream.ask(name, kind).await,
            None => Err(NetError::NoConnections),
        }
    }

    /// The one with the longest domain that the name is, or lies below.
    fn choose(&self, name: &str) -> Option<&Upstream> {
        let fits = |upstream: &Upstream| upstream.fits(name);
        self.servers
            .iter()
            .filter_map(|upstream| Some((fits(upstream)?, upstream)))
            .rev()
            .max_by_key(|(n, _)| *n)
            .map(|it| it.1)
    }
}

impl Upstream {
    fn new(settings: &DnsResolver) -> Option<Self> {
        let every = Duration::from_secs(settings.update_interval.into());
        let (servers, options) = if settings.servers.is_empty() {
            match hickory_resolver::system_conf::read_system_conf() {
                Ok((config, options)) => (config.name_servers().to_vec(), options),
                Err(error) => {
                    tracing::error!(%error, resolver = settings.name, "cannot read the name servers of this host");
                    return None;
                }
            }
        } else {
            let servers = settings.servers.iter().copied().map(NameServerConfig::udp_and_tcp).collect();
            (servers, ResolverOpts::default())
        };
        let options = own_options(options, every);
        let resolver = |server| {
            let built = resolver_of(server, options.clone());
            built.inspect_err(|error| {
                tracing::error!(%error, resolver = settings.name, "cannot create site resolver");
            })
        };
        let servers = servers.into_iter().map(resolver).collect::<Result<_, _>>().ok()?;
        let domains = settings.match_domains.iter().map(|domain| domain.trim_matches('.').to_ascii_lowercase());
        Some(Self { domains: domains.collect(), servers, aaaa: settings.query_aaaa, every })
    }

    /// Length of the longest domain that fits; 0 for one that resolves everything.
    fn fits(&self, name: &str) -> Option<usize> {
        if self.domains.is_empty() {
            return Some(0);
        }
        let inside = |domain: &&String| {
            name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        self.domains.iter().filter(inside).map(String::len).max()
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Result<Answer, NetError> {
        let attempts: Vec<_> = self.servers.iter().map(|server| ask_one(server, name, kind)).collect();
        let answered = first_in_order(attempts, Answer::has_records).await;
        answered.unwrap_or(Err(NetError::NoConnections))
    }
}

async fn ask_one(server: &TokioResolver, name: &str, kind: RecordType) -> Result<Answer, NetError> {
    // With its dot no search list is tried.
    match server.lookup(format!("{name}."), kind).await {
        Ok(found) => Ok(Answer::Records(found.answers().to_vec())),
        Err(error) if error.is_nx_domain() => Ok(Answer::NoName),
        Err(error) if error.is_no_records_found() => Ok(Answer::NoRecords),
        Err(error) => Err(error),
    }
}

/// What a Gateway wants of every resolver; records are believed no longer than until they are asked for again.
fn own_options(mut options: ResolverOpts, every: Duration) -> ResolverOpts {
    options.timeout = ANSWER_TIME;
    options.attempts = ATTEMPTS;
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = CACHED;
    options.positive_max_ttl = Some(every);
    options.negative_max_ttl = Some(NEGATIVE);
    options.preserve_intermediates = true;
    options.edns0 = true;
    options
}

/// A resolver of one server: which of several counts is decided in [`first_in_order`].
fn resolver_of(server: NameServerConfig, options: ResolverOpts) -> Result<TokioResolver, NetError> {
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build()
}

/// The addresses of records, and the shortest time among them.
pub(super) fn addresses(records: &[Record]) -> (Vec<IpAddr>, Duration) {
    let found = records.iter().filter_map(address).collect();
    let ttl = records.iter().map(|record| record.ttl).min().unwrap_or(0);
    (found, Duration::from_secs(ttl.into()))
}

/// The address of an A or AAAA record.
pub(super) fn address(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
        _ => None,
    }
}

/// Both families: addresses if there are any; a failure counts if the other family has none.
fn together(answers: [Result<Answer, NetError>; 2]) -> Outcome {
    let mut all = vec![];
    let mut time = Duration::MAX;
    let mut failed = false;
    for answer in answers {
        match answer {
            Ok(Answer::Records(records)) => {
                let (found, ttl) = addresses(&records);
                if !found.is_empty() {
                    time = time.min(ttl);
                    all.extend(found);
                }
            }
            Ok(Answer::NoRecords | Answer::NoName) => {}
            Err(_) => failed = true,
        }
    }
    match (all.is_empty(), failed) {
        (false, _) => Outcome::Found(all, time),
        (true, true) => Outcome::Failed,
        (true, false) => Outcome::Absent,
    }
}
