//! Becoming a member: from a seed file to a certificate.
//!
//! The Controller is known by the key's pin in the seed, this Gateway by the single-use token in it. Key and command id
//! are kept before anything is sent: a try whose answer was lost is repeated and gets the same answer.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::id::CommandId;
use ringwall_protocol::wire::join::{
    JoinAnswer, JoinReply, JoinRequest, JoinRole, MAX_JOIN_MESSAGE, MAX_SEED, SEED_VERSION, Seed,
};
use ringwall_trust::identity::{Leaf, LeafIdentity, PrivateKey};
use ringwall_trust::secret::{Random, SecretKey, SystemRandom, read_private};
use ringwall_trust::spa::{Approach, dial_peer};
use ringwall_trust::tls::{Alpn, Tls};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::clock::wall;
use crate::data_dir::{DataDir, Identity};

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

/// Shortest and longest wait between two rounds of tries: Controllers may still be starting.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// From the request to the answer, which needs a majority of the Controllers.
const ANSWER_TIME: Duration = Duration::from_secs(15);

/// Why one try failed.
enum Failure {
    /// Another try may help.
    Later(anyhow::Error),
    /// None will.
    Never(anyhow::Error),
}

/// Who this Gateway is: as kept, or by joining now with the seed.
///
/// # Errors
/// If nothing is kept and there is no usable seed, or the Collective refuses.
pub(crate) async fn identity(data: &DataDir, seed: Option<&Path>) -> anyhow::Result<Identity> {
    if let Some(identity) = data.identity()? {
        return Ok(identity);
    }
    let path = seed.context("cannot join: no identity in data_dir and no seed file configured; set `seed`")?;
    let seed = read_seed(path).with_context(|| {
        format!("cannot use the seed file {}; make a new one with `ringctl collective add`", path.display())
    })?;
    let identity = join(data, &seed).await?;
    data.joined();
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(%error, file = %path.display(), "cannot delete the seed file; its token is already used");
    }
    Ok(identity)
}

fn read_seed(path: &Path) -> anyhow::Result<Seed> {
    parse_seed(&read_private(path)?)
}

fn parse_seed(bytes: &[u8]) -> anyhow::Result<Seed> {
    ensure!(bytes.len() <= MAX_SEED, "expected at most {MAX_SEED} bytes");
    // serde's text may repeat a value, which may be a secret.
    let seed: Seed =
        serde_json::from_slice(bytes).map_err(|error| anyhow::anyhow!("not a seed, at column {}", error.column()))?;
    ensure!(seed.version == SEED_VERSION, "expected version {SEED_VERSION}, got {}", seed.version);
    ensure!(seed.role == JoinRole::Gateway, "the seed is for a controller, not for a gateway");
    ensure!(!seed.controllers.is_empty(), "the seed names no controller");
    Ok(seed)
}

async fn join(data: &DataDir, seed: &Seed) -> anyhow::Result<Identity> {
    let key = data.key()?;
    let mut fresh = [0; 16];
    SystemRandom.fill(&mut fresh);
    let request = JoinRequest {
        join_token: seed.join_token.clone(),
        appliance_id: seed.appliance_id,
        role: JoinRole::Gateway,
        csr: BASE64URL_NOPAD.encode(&key.request().context("make a certificate request")?),
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        command_id: data.joining(CommandId::from_random(fresh))?,
        controller: None,
    };
    let mut wait = BACK_OFF.0;
    loop {
        match round(seed, &request).await {
            Ok(answer) => return keep(data, seed, &key, answer),
            Err(Failure::Never(error)) => return Err(error),
            Err(Failure::Later(error)) => {
                tracing::warn!(error = format!("{error:#}"), "joining failed; trying again in {wait:?}");
                ensure!(wall() < seed.not_after, "the seed's token has expired: export a new one");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(BACK_OFF.1);
            }
        }
    }
}

/// Asks every Controller of the seed once.
async fn round(seed: &Seed, request: &JoinRequest) -> Result<JoinAnswer, Failure> {
    let knocking = match seed.spa_key.as_deref().map(str::parse::<SecretKey>).transpose() {
        Ok(key) => key.map(Approach::peer),
        Err(_) => return Err(Failure::Never(anyhow::anyhow!("the seed's key for knocking is damaged"))),
    };
    let mut last = anyhow::anyhow!("the seed names no address");
    for controller in &seed.controllers {
        let config = Tls::new().join_client(controller.spki_sha256.clone());
        for address in &controller.addresses {
            let exchange = async {
                let mut stream = dial_peer(address, Alpn::Join, &config, knocking.as_ref(), wall).await?;
                exchange(&mut stream, request).await
            };
            match exchange.await.with_context(|| format!("join at {address}")) {
                Ok(JoinReply::Admitted(answer)) => return Ok(*answer),
                Ok(JoinReply::Waiting {}) => {
                    let error = anyhow::anyhow!("{address} takes this Gateway for a Controller; make a new seed");
                    return Err(Failure::Never(error));
                }
                Ok(JoinReply::Refused(refusal)) => {
                    let error = anyhow::anyhow!("the collective refuses: {:?}: {}", refusal.code, refusal.message);
                    if !refusal.retryable {
                        return Err(Failure::Never(error));
                    }
                    last = error;
                }
                Err(error) => last = error,
            }
        }
    }
    Err(Failure::Later(last))
}

async fn exchange(
    stream: &mut tokio_rustls::client::TlsStream<tokio::net::TcpStream>,
    request: &JoinRequest,
) -> anyhow::Result<JoinReply> {
    let body = serde_json::to_vec(request)?;
    stream.write_u32(u32::try_from(body.len())?).await?;
    stream.write_all(&body).await?;
    stream.flush().await?;
    let answer = async {
        let length = stream.read_u32().await? as usize;
        if length > MAX_JOIN_MESSAGE {
            bail!("expected an answer of at most {MAX_JOIN_MESSAGE} bytes, got {length}");
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        serde_json::from_slice(&body).map_err(|error| anyhow::anyhow!("not an answer, at column {}", error.column()))
    };
    timeout(ANSWER_TIME, answer).await.context("wait for the answer")?
}

/// Checks that the answer is about us, and keeps it. The identity is written last: before, nothing has happened.
fn keep(data: &DataDir, seed: &Seed, key: &PrivateKey, answer: JoinAnswer) -> anyhow::Result<Identity> {
    ensure!(answer.collective_id == seed.collective_id, "the answer names another collective");
    ensure!(answer.appliance_id == seed.appliance_id, "the answer names another appliance");
    ensure!(
        answer.incarnation.epoch >= seed.incarnation.epoch,
        "the answer has an older collective incarnation than the seed"
    );
    let chain = decode_chain(&answer.certificate_chain)?;
    check_leaf(&chain, key, &LeafIdentity::Gateway { collective: seed.collective_id, appliance: seed.appliance_id })?;
    ensure!(
        answer.certificate_chain.last() == Some(&seed.root_certificate),
        "the certificate chain ends in another root certificate"
    );
    data.keep_chain(&chain)?;
    data.keep_members(&answer.controllers)?;
    // The seed's key was for joining; from now on this Gateway knocks with its own.
    let (root, knock) = (seed.root_certificate.clone(), answer.peer_spa_key.clone());
    let identity = Identity::new(seed.collective_id, seed.appliance_id, root, knock, answer.incarnation);
    data.keep_identity(&identity)?;
    tracing::info!(appliance = %seed.appliance_id, name = seed.name, "joined the collective");
    Ok(identity)
}

/// A chain as the Collective sends it: DER in base64url, leaf first.
///
/// # Errors
/// If it is no such chain.
pub(crate) fn decode_chain(chain: &[String]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let decode = |text: &String| BASE64URL_NOPAD.decode(text.as_bytes()).map(CertificateDer::from);
    chain.iter().map(decode).collect::<Result<_, _>>().context("a certificate is not in base64url")
}

/// Checks that a chain's leaf is for this key and this name.
///
/// # Errors
/// If it is not.
pub(crate) fn check_leaf(chain: &[CertificateDer<'_>], key: &PrivateKey, name: &LeafIdentity) -> anyhow::Result<()> {
    let leaf = Leaf::parse(chain.first().context("there is no certificate")?)?;
    ensure!(leaf.thumbprint == key.thumbprint(), "the certificate is for another key");
    ensure!(leaf.identity == *name, "the certificate is for {}", leaf.identity);
    Ok(())
}
