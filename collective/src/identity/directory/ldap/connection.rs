//! A connection to a directory: dialled where the Controller may, TLS of our own, every message measured before the
//! library sees it, and an end in time whatever the server does.

use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapResult, StdStream};
use ringwall_protocol::object::identity_provider::LdapSettings;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::guard;
use super::trouble::{Trouble, short};
use crate::identity::outbound::{Outbound, tls};

/// How long one operation may take.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a connection may live: longer than any question, so that nothing is left over.
const LIFE: Duration = Duration::from_secs(30);
/// Most bytes that a server may send on one connection: a thousand groups take a tenth of it.
const MAX_RECEIVED: usize = 16 * 1024 * 1024;
/// `ExtendedRequest` for StartTLS with message id 1 (RFC 4511 §4.14.1).
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// Connects to one server. Nobody is bound yet.
pub(super) async fn open(outbound: &Outbound, settings: &LdapSettings, host: &str) -> Result<Ldap, Trouble> {
    let stream = outbound.connect(host, settings.port).await?;
    let (near, far) = StdUnixStream::pair().map_err(|error| Trouble::Connection(error.to_string()))?;
    far.set_nonblocking(true).map_err(|error| Trouble::Connection(error.to_string()))?;
    let far = UnixStream::from_std(far).map_err(|error| Trouble::Connection(error.to_string()))?;
    if settings.ssl_enabled || settings.start_tls {
        let stream = secure(stream, settings, host).await?;
        tokio::spawn(pump(stream, far));
    } else if settings.allow_plain {
        tokio::spawn(pump(stream, far));
    } else {
        return Err(Trouble::Tls { host: host.to_owned(), cause: "neither TLS nor plain is configured".to_owned() });
    }
    let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(near));
    let (driver, ldap) = LdapConnAsync::with_settings(settings, "ldapi:///").await?;
    tokio::spawn(async move {
        if let Err(error) = driver.drive().await {
            tracing::debug!(%error, "LDAP connection ended");
        }
    });
    Ok(ldap)
}

/// TLS at once, or after StartTLS.
async fn secure(
    mut stream: TcpStream,
    settings: &LdapSettings,
    host: &str,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Trouble> {
    let failed = |cause: String| Trouble::Tls { host: host.to_owned(), cause };
    let config = tls::config(&settings.trusted_certificates).map_err(Trouble::Trust)?;
    let name = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_owned();
    let name = ServerName::try_from(name).map_err(|error| failed(error.to_string()))?;
    if !settings.ssl_enabled {
        timeout(HANDSHAKE_TIMEOUT, start_tls(&mut stream)).await.map_err(|_| Trouble::Timeout)??;
    }
    let handshake = TlsConnector::from(config).connect(name, stream);
    let handshake = timeout(HANDSHAKE_TIMEOUT, handshake).await.map_err(|_| Trouble::Timeout)?;
    handshake.map_err(|error| failed(error.to_string()))
}

/// Asks for TLS on a plain connection. What somebody on the way put behind the answer is refused: it was not protected.
async fn start_tls(stream: &mut TcpStream) -> Result<(), Trouble> {
    let broken = |error: std::io::Error| Trouble::Connection(error.to_string());
    stream.write_all(START_TLS).await.map_err(broken)?;
    let mut answer = Vec::with_capacity(64);
    loop {
        if let Some(end) = guard::message(&answer)? {
            let code = result_code(&answer[..end]).filter(|_| end == answer.len()).ok_or(guard::NoMessage)?;
            return if code == 0 { Ok(()) } else { Err(Trouble::StartTls(code)) };
        }
        let byte = stream.read_u8().await.map_err(broken)?;
        answer.push(byte);
        if answer.len() > 1024 {
            return Err(guard::NoMessage.into());
        }
    }
}

/// Result code of an `ExtendedResponse`: SEQUENCE, message id, `[APPLICATION 24]`, ENUMERATED of one byte.
pub(super) fn result_code(message: &[u8]) -> Option<u32> {
    let at = message.windows(5).position(|window| window[0] == 0x78 && window[2..4] == [0x0a, 0x01])?;
    // Message id 1 comes first: 30 len 02 01 01.
    (at <= 12 && message.get(at.checked_sub(3)?..at) == Some(&[0x02, 0x01, 0x01])).then(|| u32::from(message[at + 4]))
}

/// Carries messages between server and library until one of them ends, or the time or the bytes are used up.
async fn pump<S: AsyncRead + AsyncWrite + Send>(server: S, library: UnixStream) {
    let (mut from_server, mut to_server) = split(server);
    let (mut from_library, mut to_library) = library.into_split();
    let ask = async {
        drop(tokio::io::copy(&mut from_library, &mut to_server).await);
        drop(to_server.shutdown().await);
    };
    let answer = async {
        if let Err(error) = carry(&mut from_server, &mut to_library).await {
            tracing::warn!(cause = %error, "what an LDAP server sent is not read any further");
        }
    };
    let both = async {
        tokio::select! {
            () = ask => {}
            () = answer => {}
        }
    };
    drop(timeout(LIFE, both).await);
}

async fn carry(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> Result<(), guard::NoMessage> {
    let mut waiting = Vec::new();
    let mut received = 0;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(count) = from.read(&mut buffer).await else { return Ok(()) };
        received += count;
        if count == 0 {
            return Ok(());
        }
        if received > MAX_RECEIVED {
            return Err(guard::NoMessage);
        }
        waiting.extend_from_slice(&buffer[..count]);
        while let Some(end) = guard::message(&waiting)? {
            if to.write_all(&waiting[..end]).await.is_err() {
                return Ok(());
            }
            waiting.drain(..end);
        }
        // TLS takes the bytes before the socket does: without a flush the last record may never leave.
        if to.flush().await.is_err() {
            return Ok(());
        }
    }
}

/// Binds the Controller's own account.
pub(super) async fn bind_service(ldap: &mut Ldap, settings: &LdapSettings, password: &str) -> Result<(), Trouble> {
    if password.is_empty() || settings.admin_distinguished_name.is_empty() {
        return Err(Trouble::NoPassword);
    }
    let result = ldap.with_timeout(OPERATION_TIMEOUT).simple_bind(&settings.admin_distinguished_name, password).await?;
    if result.rc == 0 { Ok(()) } else { Err(Trouble::Service { code: result.rc, text: short(&result.text) }) }
}

/// Binds a user; what comes back is for the caller to judge. An empty name or password would be no proof at all (RFC
/// 4513 §5.1.2) and is never sent.
pub(super) async fn bind_user(ldap: &mut Ldap, dn: &str, password: &str) -> Result<Option<LdapResult>, Trouble> {
    if dn.is_empty() || password.is_empty() {
        return Ok(None);
    }
    let control =
        ldap3::controls::RawControl { ctype: super::expiry::PASSWORD_POLICY.to_owned(), crit: false, val: None };
    ldap.with_controls(vec![control]);
    Ok(Some(ldap.with_timeout(OPERATION_TIMEOUT).simple_bind(dn, password).await?))
}
