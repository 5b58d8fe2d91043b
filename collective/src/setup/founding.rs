//! A new Collective: its root, its first Controller's keys, and the first log entry with everything it begins with.

mod objects;

use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::id::{CollectiveId, DeviceId, Incarnation, IncarnationId, LogIndex, NodeId};
use ringwall_protocol::membership::ControllerRecord;
use ringwall_protocol::name::{NameError, ProviderName, SessionDn, UserDn, UserName};
use ringwall_protocol::object::GlobalSettings;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::time::UnixMillis;
use ringwall_raft::Command;
use ringwall_raft::state::break_glass::SetBreakGlass;
use ringwall_raft::state::collective::Founding;
use ringwall_raft::state::local_password::{PasswordHash, SetLocalPassword};
use ringwall_raft::state::object::PutObject;
use ringwall_raft::state::signing_key::AddKey;
use ringwall_raft::state::spa_master::RotateSpaMaster;
use ringwall_trust::ca::{CaError, IssuingCa, RootCa};
use ringwall_trust::identity::{IssuerKind, KeyError, KeyKind, PrivateKey, RequestError, VerifiedRequest};
use ringwall_trust::password::{self, Cost, PasswordError};
use ringwall_trust::secret::{Random, SecretKey, WrapError, WrapKey};
use ringwall_trust::spa::{KnockSecret, derive_profile_key};
use ringwall_trust::token::TokenSigner;
use rustls::pki_types::CertificateDer;

use self::objects::{Ids, objects};
use super::config::Advertise;
use super::data_dir::{NodeIdentity, NodeKeys};
use crate::administration::access::break_glass::BreakGlassCode;
use crate::listener::spa::administrators_key;
use crate::replica::key_ring::KeyRing;
use crate::replica::vault::{Purpose, Vault};

/// The first Controller's id in the Raft group.
pub(crate) const FIRST_NODE: NodeId = NodeId(1);
/// Name of the identity provider that keeps its users in the Collective.
pub(crate) const LOCAL_PROVIDER: &str = "local";
/// Name of the default client profile.
pub(crate) const DEFAULT_PROFILE: &str = "default";
/// Tunnel addresses until the administrator chooses others.
const DEFAULT_POOLS: [(&str, &str); 2] =
    [("default pool v4", "10.99.0.0/16"), ("default pool v6", "fd52:6977:616c::/64")];

/// What the administrator chose.
#[derive(Debug, Clone)]
pub struct FoundingOptions {
    /// Name of the Collective.
    pub name: String,
    /// Where Clients find the Controllers, `host:port`.
    pub hostname: String,
    /// Name of the first administrator.
    pub admin: String,
    /// The first Controller's addresses.
    pub advertise: Advertise,
    /// Keep the root key in the data directory.
    pub keep_root: bool,
    /// Whether ports answer only whoever knocks.
    pub spa_mode: SpaMode,
}

/// A Collective that was made and not yet begun.
pub struct Founded {
    /// Who the first Controller is.
    pub identity: NodeIdentity,
    /// Its keys; the root among them only if it is kept.
    pub keys: NodeKeys,
    /// The root.
    pub root: RootCa,
    /// The first log entry.
    pub command: Founding,
    /// The key of the default profile, for its link.
    pub profile_key: SecretKey,
    /// The first administrator's key for the admin port.
    pub administrator_key: KnockSecret,
    /// The break-glass code, to be shown once.
    pub break_glass: BreakGlassCode,
}

/// Why a Collective was not made.
#[derive(Debug, thiserror::Error)]
pub enum FoundingError {
    /// The administrator's name.
    #[error("administrator's name: {0}")]
    Admin(#[from] NameError),
    /// The administrator's password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A key was not made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A certificate was not made.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The key for wrapping was not made.
    #[error(transparent)]
    Wrap(#[from] WrapError),
    /// A key of ours did not prove itself.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// Makes a Collective. `admin_password` is hashed here; that takes some 50 ms.
///
/// # Errors
/// [`FoundingError`].
pub fn found(
    options: &FoundingOptions,
    admin_password: &str,
    now: UnixMillis,
    random: &dyn Random,
) -> Result<Founded, FoundingError> {
    let admin = UserName::parse(options.admin.clone())?;
    let collective = CollectiveId::from_random(random.array());
    let incarnation = Incarnation { epoch: now.seconds(), id: IncarnationId::from_random(random.array()) };
    let root = RootCa::create(collective, &options.name, now, random)?;
    let issuers = Issuers::create(&root, collective, now, random)?;
    let (node_key, chain) = issuers.own_certificate(&root, now, random)?;
    let ids = Ids::fresh(now, random);
    let kept_root = if options.keep_root { Some(copy(&root)?) } else { None };
    let record = ControllerRecord {
        node: FIRST_NODE,
        appliance: ids.appliance,
        name: "controller-1".to_owned(),
        state: ApplianceState::Active,
        keys: vec![node_key.thumbprint()],
        client_issuer: Some(BASE64URL_NOPAD.encode(issuers.client.certificate())),
        appliance_issuer: Some(BASE64URL_NOPAD.encode(issuers.appliance.certificate())),
        peer_addresses: options.advertise.peer.clone(),
        client_addresses: options.advertise.client.clone(),
        admin_addresses: options.advertise.admin.clone(),
    };
    let signer = TokenSigner::generate()?;
    let kek = KeyRing::first(SecretKey::generate(random));
    let wrap = WrapKey::generate()?;
    let password = PasswordHash::new(password::hash(admin_password, Cost::PASSWORD, random)?);
    let mut then: Vec<Command> =
        objects(options, &admin, &ids).into_iter().map(|one| PutObject::new(one).into()).collect();
    then.push(SetLocalPassword { user: ids.admin, hash: password, must_change: false }.into());
    then.push(first_key(&signer));
    let master = SecretKey::generate(random);
    then.push(spa_master(kek.clone(), &master));
    let break_glass = BreakGlassCode::generate(random);
    then.push(SetBreakGlass { hash: break_glass.hash() }.into());
    let settings = GlobalSettings {
        profile_hostname: options.hostname.clone(),
        spa_mode: options.spa_mode,
        ..GlobalSettings::default()
    };
    let command = Founding {
        id: collective,
        name: options.name.clone(),
        incarnation,
        root_certificate: BASE64URL_NOPAD.encode(root.certificate()),
        settings,
        controller: record,
        wrap_key: wrap.public_text(),
        then,
    };
    let identity = NodeIdentity::new(collective, incarnation, FIRST_NODE, ids.appliance, LogIndex(1));
    let keys = NodeKeys {
        node: node_key,
        chain,
        client_ca: issuers.client_key,
        appliance_ca: issuers.appliance_key,
        signer,
        keks: kek,
        wrap,
        root: kept_root,
    };
    let profile_key = derive_profile_key(&master, DEFAULT_PROFILE, 0);
    let administrator_key = administrators_key(&master, &first_session(admin), LogIndex(1));
    Ok(Founded { identity, keys, root, command, profile_key, administrator_key, break_glass })
}

/// The first administrator before any machine of his is known.
fn first_session(admin: UserName) -> SessionDn {
    let provider = ProviderName::parse(LOCAL_PROVIDER).expect("a constant name");
    SessionDn { device: DeviceId::new(uuid::Uuid::nil()), user: UserDn { user: admin, provider } }
}

/// Keys of two intermediates, and the certificates that a root gave them.
struct Issuers {
    client_key: PrivateKey,
    appliance_key: PrivateKey,
    client: IssuingCa,
    appliance: IssuingCa,
}

impl Issuers {
    fn create(
        root: &RootCa,
        collective: CollectiveId,
        now: UnixMillis,
        random: &dyn Random,
    ) -> Result<Self, FoundingError> {
        let make = |kind| -> Result<(PrivateKey, IssuingCa), FoundingError> {
            let key = PrivateKey::generate(KeyKind::P256)?;
            let request = VerifiedRequest::verify(&key.request()?)?;
            let certificate = root.sign_intermediate(&request, collective, FIRST_NODE, kind, now, random)?;
            let issuer = IssuingCa::new(copy_key(&key)?, certificate)?;
            Ok((key, issuer))
        };
        let (client_key, client) = make(IssuerKind::Client)?;
        let (appliance_key, appliance) = make(IssuerKind::Appliance)?;
        Ok(Self { client_key, appliance_key, client, appliance })
    }

    fn own_certificate(
        &self,
        root: &RootCa,
        now: UnixMillis,
        random: &dyn Random,
    ) -> Result<(PrivateKey, Vec<CertificateDer<'static>>), FoundingError> {
        let key = PrivateKey::generate(KeyKind::P256)?;
        let request = VerifiedRequest::verify(&key.request()?)?;
        let leaf = self.appliance.issue_controller(&request, FIRST_NODE, &[], now, random)?;
        Ok((key, vec![leaf, self.appliance.certificate().clone(), root.certificate().clone()]))
    }
}

/// A second copy of a private key, for another owner.
///
/// # Errors
/// Never for a key that exists.
pub(crate) fn copy_key(key: &PrivateKey) -> Result<PrivateKey, KeyError> {
    PrivateKey::from_pkcs8(zeroize::Zeroizing::new(key.expose_pkcs8().to_vec()))
}

fn copy(root: &RootCa) -> Result<RootCa, FoundingError> {
    Ok(RootCa::from_parts(copy_key(root.key())?, root.certificate().clone())?)
}

fn first_key(signer: &TokenSigner) -> Command {
    let record = signer.record(FIRST_NODE, LogIndex(1));
    AddKey { kid: record.kid, controller: FIRST_NODE, public_key: record.public_key }.into()
}

fn spa_master(keks: KeyRing, master: &SecretKey) -> Command {
    let key = Vault::new(keks).seal(Purpose::SpaMaster, master.expose());
    RotateSpaMaster { replaces: 0, key }.into()
}

/// A password that nobody has chosen: 120 bits, in groups that can be typed.
#[must_use]
pub(crate) fn one_time_password(random: &dyn Random) -> zeroize::Zeroizing<String> {
    let bits: [u8; 15] = random.array();
    let text = data_encoding::BASE32_NOPAD.encode(&bits).to_lowercase();
    let groups: Vec<&str> = (0..text.len()).step_by(6).map(|at| &text[at..(at + 6).min(text.len())]).collect();
    zeroize::Zeroizing::new(groups.join("-"))
}
