//! Joining a Collective as a Controller: keys are made here, the seed's token is spent at a member, and the program waits until
//! an administrator has admitted the key whose fingerprint it shows. What comes back is checked against the seed's root before
//! anything is kept.

use std::path::Path;

use anyhow::{Context, bail};
use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::id::{CommandId, LogIndex, NodeId};
use ringwall_protocol::membership::ControllerRecord;
use ringwall_protocol::wire::error::ErrorBody;
use ringwall_protocol::wire::join::{
    ControllerAdmission, ControllerJoin, JoinAnswer, JoinReply, JoinRequest, JoinRole, KeyEncryptionKey,
    MAX_JOIN_MESSAGE, MAX_SEED, SEED_VERSION, Seed,
};
use ringwall_trust::identity::{Fingerprint, KeyKind, Leaf, LeafIdentity, PrivateKey};
use ringwall_trust::secret::{SecretKey, SystemRandom, WrapKey, read_private};
use ringwall_trust::spa::{Approach, dial_peer};
use ringwall_trust::tls::{Alpn, Tls};
use ringwall_trust::token::TokenSigner;
use rustls::pki_types::CertificateDer;
use tokio::time::{Duration, timeout};
use uuid::Uuid;

use super::frame;
use crate::clock;
use crate::replica::key_ring::KeyRing;
use crate::setup::config::{Config, RawConfig};
use crate::setup::data_dir::{DataDir, NodeIdentity, NodeKeys};

/// How often all Controllers of the seed are asked, and how long between.
const ROUNDS: usize = 4;
const BETWEEN_ROUNDS: Duration = Duration::from_secs(1);
/// A member has answered by then: it waits for the admission and the root's signatures itself.
const ANSWER_TIME: Duration = Duration::from_secs(20);
/// Between two questions of a Controller that waits for its admission, which is an administrator's to give.
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(1);

/// A Controller that has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Its id in the Raft group.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// The root has signed its intermediates.
    pub signed: bool,
}

struct FreshKeys {
    node: PrivateKey,
    client_ca: PrivateKey,
    appliance_ca: PrivateKey,
    signer: TokenSigner,
    wrap: WrapKey,
}

/// Joins with the seed in a file, writes the data directory of `config`, and deletes the seed. `asking` is told the name and
/// the fingerprint of the key that an administrator has to admit.
///
/// # Errors
/// What is wrong with seed, directory or answer, and every Controller's refusal; that nobody admitted it while the seed was
/// valid.
pub async fn join(
    seed_file: &Path,
    config: &Config,
    raw: &RawConfig,
    asking: impl FnOnce(&str, Fingerprint),
) -> anyhow::Result<Joined> {
    let seed = read_seed(seed_file).with_context(|| {
        format!("cannot use the seed file {}; make a new one with `ringctl collective add`", seed_file.display())
    })?;
    let directory = DataDir::create(&config.data_dir)?;
    let keys = FreshKeys {
        node: PrivateKey::generate(KeyKind::P256)?,
        client_ca: PrivateKey::generate(KeyKind::P256)?,
        appliance_ca: PrivateKey::generate(KeyKind::P256)?,
        signer: TokenSigner::generate()?,
        wrap: WrapKey::generate()?,
    };
    let request = request(&seed, config, &keys)?;
    asking(&seed.name, Fingerprint(keys.node.thumbprint().0));
    let answer = wait_for_admission(&seed, &request).await?;
    let joined = keep(&directory, raw, &seed, keys, answer)?;
    std::fs::remove_file(seed_file).with_context(|| format!("deleting {}", seed_file.display()))?;
    Ok(joined)
}

fn read_seed(path: &Path) -> anyhow::Result<Seed> {
    let text = read_private(path)?;
    if text.len() > MAX_SEED {
        bail!("expected a seed of at most {MAX_SEED} bytes");
    }
    // serde's text may repeat a value, and every other value of a seed is a secret.
    let seed: Seed = serde_json::from_slice(&text)
        .map_err(|error| anyhow::anyhow!("{} is no seed (line {})", path.display(), error.line()))?;
    if seed.version != SEED_VERSION {
        bail!("expected a seed of version {SEED_VERSION}, got {}", seed.version);
    }
    if seed.role != JoinRole::Controller {
        bail!("the seed is for a gateway, this program is a controller");
    }
    Ok(seed)
}

fn request(seed: &Seed, config: &Config, keys: &FreshKeys) -> anyhow::Result<JoinRequest> {
    let csr = |key: &PrivateKey| -> anyhow::Result<String> { Ok(BASE64URL_NOPAD.encode(&key.request()?)) };
    let public = keys.signer.record(NodeId(0), LogIndex(0)).public_key;
    Ok(JoinRequest {
        join_token: seed.join_token.clone(),
        appliance_id: seed.appliance_id,
        role: JoinRole::Controller,
        csr: csr(&keys.node)?,
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        command_id: CommandId::new(Uuid::new_v4()),
        controller: Some(ControllerJoin {
            peer_addresses: config.advertise.peer.clone(),
            client_addresses: config.advertise.client.clone(),
            admin_addresses: config.advertise.admin.clone(),
            client_issuer_csr: csr(&keys.client_ca)?,
            appliance_issuer_csr: csr(&keys.appliance_ca)?,
            token_key: public,
            wrap_key: keys.wrap.public_text(),
        }),
    })
}

/// Asks until an administrator has admitted this Controller, or the seed has ended. A Controller that fails is asked again
/// [`ROUNDS`] times in a row at most: one that has just started takes no knocks for two seconds.
async fn wait_for_admission(seed: &Seed, request: &JoinRequest) -> anyhow::Result<JoinAnswer> {
    let mut failed = 0;
    loop {
        match ask_all(seed, request).await? {
            Round::Admitted(answer) => return Ok(*answer),
            Round::Waiting => {
                failed = 0;
                if clock::now() >= seed.not_after {
                    bail!("no administrator admitted this Controller while its seed was valid; make a new seed");
                }
                tokio::time::sleep(BETWEEN_QUESTIONS).await;
            }
            Round::Failed(failures) => {
                failed += 1;
                if failed >= ROUNDS {
                    bail!("no controller of the seed answered:\n  {}", failures.join("\n  "));
                }
                tracing::info!(failures = failures.join("; "), "no answer yet; asking again");
                tokio::time::sleep(BETWEEN_ROUNDS).await;
            }
        }
    }
}

/// What all Controllers of a seed came to.
enum Round {
    Admitted(Box<JoinAnswer>),
    Waiting,
    Failed(Vec<String>),
}

/// Asks one Controller after the other; only a refusal that says so ends the round early.
async fn ask_all(seed: &Seed, request: &JoinRequest) -> anyhow::Result<Round> {
    let mut failures = Vec::new();
    for controller in &seed.controllers {
        for address in &controller.addresses {
            let asked = ask(seed, address, &controller.spki_sha256, request);
            match timeout(ANSWER_TIME, asked).await {
                Ok(Ok(JoinReply::Admitted(answer))) => return Ok(Round::Admitted(answer)),
                Ok(Ok(JoinReply::Waiting {})) => return Ok(Round::Waiting),
                Ok(Ok(JoinReply::Refused(ErrorBody { retryable: false, message, .. }))) => {
                    bail!("{address} refused: {message}")
                }
                Ok(Ok(JoinReply::Refused(body))) => failures.push(format!("{address}: {}", body.message)),
                Ok(Err(error)) => failures.push(format!("{address}: {error:#}")),
                Err(_) => failures.push(format!("{address}: no answer within {ANSWER_TIME:?}")),
            }
        }
    }
    Ok(Round::Failed(failures))
}

async fn ask(
    seed: &Seed,
    address: &str,
    pins: &[ringwall_protocol::id::Thumbprint],
    request: &JoinRequest,
) -> anyhow::Result<JoinReply> {
    let key =
        seed.spa_key.as_deref().map(str::parse::<SecretKey>).transpose().context("the seed's key for knocking")?;
    let approach = key.map(Approach::peer);
    let tls = Tls::new().join_client(pins.to_vec());
    let mut stream = dial_peer(address, Alpn::Join, &tls, approach.as_ref(), clock::now).await?;
    frame::write(&mut stream, request).await?;
    Ok(frame::read(&mut stream, MAX_JOIN_MESSAGE).await?)
}

/// Checks an answer and writes the data directory.
fn keep(
    directory: &DataDir,
    raw: &RawConfig,
    seed: &Seed,
    keys: FreshKeys,
    answer: JoinAnswer,
) -> anyhow::Result<Joined> {
    let Some(admission) = answer.controller else { bail!("the answer admits no controller") };
    let ControllerAdmission { node, client_issuer, keks, .. } = admission;
    if answer.collective_id != seed.collective_id || answer.appliance_id != seed.appliance_id {
        bail!("the answer is for another collective or appliance");
    }
    if answer.certificate_chain.last() != Some(&seed.root_certificate) {
        bail!("the answer's root certificate is not the seed's");
    }
    let chain: Vec<CertificateDer<'static>> = answer
        .certificate_chain
        .iter()
        .map(|text| BASE64URL_NOPAD.decode(text.as_bytes()).map(CertificateDer::from))
        .collect::<Result<_, _>>()
        .context("the answer's certificates")?;
    let leaf = Leaf::parse(chain.first().context("the answer has no certificate")?)?;
    let expected = LeafIdentity::Controller { collective: seed.collective_id, node };
    if leaf.identity != expected || leaf.thumbprint != keys.node.thumbprint() {
        bail!("the answer's certificate is not for this controller");
    }
    let kept = NodeKeys {
        node: keys.node,
        chain,
        client_ca: keys.client_ca,
        appliance_ca: keys.appliance_ca,
        signer: keys.signer,
        keks: key_ring(&keks).context("the answer's key-encryption keys")?,
        wrap: keys.wrap,
        root: None,
    };
    let created_at = LogIndex(node.0);
    let identity = NodeIdentity::new(seed.collective_id, answer.incarnation, node, seed.appliance_id, created_at);
    write(directory, raw, &kept, &answer.controllers, &identity).with_context(|| {
        format!(
            "the Collective has admitted this Controller, but its data directory cannot be written, and the seed is spent; \
             remove this Controller (ringctl collective remove {}), then join with a new seed and an empty directory",
            seed.name
        )
    })?;
    Ok(Joined { node, name: seed.name.clone(), signed: client_issuer.is_some() })
}

/// Writes the data directory; before the identity is there, nothing has happened on this machine.
fn write(
    directory: &DataDir,
    raw: &RawConfig,
    keys: &NodeKeys,
    controllers: &[ControllerRecord],
    identity: &NodeIdentity,
) -> anyhow::Result<()> {
    directory.write_configuration(&toml::to_string_pretty(raw).context("writing the configuration")?)?;
    directory.write_keys(keys, &SystemRandom)?;
    directory.write_members(controllers)?;
    crate::setup::bootstrap::create_log(directory, identity)?;
    Ok(directory.write_identity(identity)?)
}

fn key_ring(keks: &[KeyEncryptionKey]) -> anyhow::Result<KeyRing> {
    let keys: Vec<(u32, SecretKey)> =
        keks.iter().map(|one| Ok((one.generation, one.key.parse()?))).collect::<anyhow::Result<_>>()?;
    Ok(KeyRing::of(keys)?)
}
