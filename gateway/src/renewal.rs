//! Renewal of the own certificate: at two thirds of its lifetime, with a new key each time, over the feed.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use ringwall_actors::feed::FeedOutbox;
use ringwall_protocol::id::CommandId;
use ringwall_protocol::time::UnixMillis;
use ringwall_trust::identity::{Leaf, LeafIdentity};
use ringwall_trust::tls::Presented;

use crate::data_dir::DataDir;
use crate::joining::{check_leaf, decode_chain};

/// An answer that did not come is asked for again after this.
const AGAIN: Duration = Duration::from_secs(3_600);

/// What renewal needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Renewal {
    /// Where keys are kept.
    pub(crate) data: DataDir,
    /// What is shown in handshakes.
    pub(crate) own: Arc<Presented>,
    /// To the Controllers.
    pub(crate) outbox: Arc<FeedOutbox>,
    /// Whose certificate it is.
    pub(crate) name: LeafIdentity,
}

impl Renewal {
    /// Asks for certificates when it is time, for ever.
    pub(crate) async fn watch(self) {
        loop {
            tokio::time::sleep(self.wait()).await;
            if let Err(error) = self.ask() {
                tracing::error!(
                    error = format!("{error:#}"),
                    "cannot request certificate renewal; retrying in one hour"
                );
            }
        }
    }

    /// Takes a certificate that came.
    pub(crate) fn take(&self, chain: &[String]) {
        match self.activate_next_key(chain) {
            Ok(()) => tracing::info!("own certificate renewed"),
            Err(error) => tracing::error!(error = format!("{error:#}"), "cannot install renewed certificate"),
        }
    }

    /// Until it is time; at least [`AGAIN`] once it is past.
    fn wait(&self) -> Duration {
        let chain = self.own.chain();
        let Some(leaf) = chain.first().and_then(|leaf| Leaf::parse(leaf).ok()) else { return AGAIN };
        match crate::clock::wall().until(two_thirds(leaf.not_before, leaf.not_after)) {
            Duration::ZERO => AGAIN,
            wait => wait,
        }
    }

    fn ask(&self) -> anyhow::Result<()> {
        let key = self.data.next_key()?;
        // The id follows from the key: a further try for the same key is the same request.
        let mut id = [0; 16];
        id.copy_from_slice(&key.thumbprint().0[..16]);
        self.outbox.renew_certificate(CommandId::from_random(id), BASE64URL_NOPAD.encode(&key.request()?));
        Ok(())
    }

    fn activate_next_key(&self, chain: &[String]) -> anyhow::Result<()> {
        let (chain, key) = (decode_chain(chain)?, self.data.next_key()?);
        check_leaf(&chain, &key, &self.name)?;
        self.data.activate_next_key(&chain)?;
        self.own.replace(chain, &key)?;
        Ok(())
    }
}

/// Two thirds of the way from `from` to `to`.
const fn two_thirds(from: UnixMillis, to: UnixMillis) -> UnixMillis {
    UnixMillis(from.0 + to.0.saturating_sub(from.0) / 3 * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_is_due_after_two_thirds_of_the_life() {
        assert_eq!(two_thirds(UnixMillis(1_000), UnixMillis(4_000)), UnixMillis(3_000));
    }
}
