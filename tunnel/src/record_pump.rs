//! A TLS connection as a pump: rustls driven directly over a non-blocking socket, with buffers that belong to the
//! thread and not to the connection.
//!
//! Promises: plaintext goes in and out in pieces as large as the caller's buffers, one system call for many records;
//! nothing here waits, every call says whether it would have to; a connection in the middle of traffic can be taken
//! apart and continued on another thread without losing a byte. How much may pile up for a slow peer is the caller's
//! to decide from `RecordPump::pending`. What the bytes mean is no concern of this file.

use std::io::{self, IoSlice, Read, Write};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::Connection;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Most plaintext in one record (RFC 8446 §5.1).
const RECORD_PLAINTEXT: usize = 16_384;
/// What a TLS 1.3 record adds: header 5, content type 1, tag 16.
const RECORD_OVERHEAD: usize = 22;
/// What the kernel may hold unsent: enough for a burst, little enough that a queue builds up where it can be seen.
const UNSENT_LIMIT: u32 = 256 * 1024;
/// A peer that acknowledges nothing for this long is gone.
const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_secs(20);
/// The kernel asks an idle peer after this long, without waking this process.
const PROBE_AFTER: Duration = Duration::from_secs(30);
/// And then this often.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// Bytes that [`RecordPump::poll_receive`] may produce from `received` bytes of ciphertext.
#[must_use]
pub(crate) const fn plaintext_room(received: usize) -> usize {
    // Besides the new bytes: one record that waited for its end, and one already decrypted before a hand-over.
    received + 2 * RECORD_PLAINTEXT
}

/// A connection whose handshake is done, and its socket.
#[derive(Debug)]
pub struct RecordPump {
    stream: TcpStream,
    connection: Connection,
    /// Ciphertext not yet taken by the kernel; an upper bound between two flushes, exact when it reaches 0.
    pending: usize,
}

impl RecordPump {
    /// Takes a connection over. Must be called on the runtime that will drive it.
    ///
    /// # Errors
    /// If the socket cannot be made non-blocking or registered.
    pub fn new(stream: std::net::TcpStream, connection: impl Into<Connection>) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        socket.set_tcp_notsent_lowat(UNSENT_LIMIT)?;
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_LIMIT))?;
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_EVERY))?;
        let mut connection = connection.into();
        // The caller bounds what is pending; a limit in here would only cut frames in half.
        connection.set_buffer_limit(None);
        Ok(Self { stream: TcpStream::from_std(stream)?, connection, pending: 0 })
    }

    /// Takes the pump apart, so that another thread can go on.
    ///
    /// # Errors
    /// If the socket cannot be taken out of this runtime.
    pub fn into_parts(self) -> io::Result<(std::net::TcpStream, Connection)> {
        Ok((self.stream.into_std()?, self.connection))
    }

    /// Bytes of ciphertext that wait for the kernel.
    #[must_use]
    #[inline]
    pub(crate) const fn pending(&self) -> usize {
        self.pending
    }

    /// Encrypts plaintext into the queue. Nothing is sent before a flush.
    ///
    /// # Errors
    /// If the connection is closed for writing.
    pub(crate) fn seal(&mut self, plain: &[u8]) -> io::Result<()> {
        let taken = self.connection.writer().write(plain)?;
        if taken != plain.len() {
            return Err(io::Error::new(io::ErrorKind::WriteZero, "the connection takes no more plaintext"));
        }
        self.pending += plain.len() + plain.len().div_ceil(RECORD_PLAINTEXT) * RECORD_OVERHEAD;
        Ok(())
    }

    /// Sends what the kernel takes at once; true if nothing is left.
    ///
    /// # Errors
    /// If the socket is broken.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut Socket(&self.stream)) {
                Ok(sent) => self.pending = self.pending.saturating_sub(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.pending = 0;
        Ok(true)
    }

    /// Sends until nothing is left, waiting for the socket; the task is woken when it takes more.
    ///
    /// # Errors
    /// If the socket is broken.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.flush()? {
            ready!(self.stream.poll_write_ready(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once from the socket into `raw` and decrypts into `plain`, of which `raw.len()` and
    /// [`plaintext_room`] say how large it must be. Answers the number of plaintext bytes, which may be 0 while a
    /// record is incomplete; `None` at the end of the stream.
    ///
    /// # Errors
    /// If the socket or the peer's TLS is broken. What TLS wants to say about it is queued for a last flush.
    pub(crate) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        raw: &mut [u8],
        plain: &mut [u8],
    ) -> Poll<io::Result<Option<usize>>> {
        // What was decrypted before a hand-over comes first: no readiness of the socket announces it.
        let waiting = self.take_plaintext(plain)?;
        if waiting != 0 {
            return Poll::Ready(Ok(Some(waiting)));
        }
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read(raw) {
                Ok(0) => return Poll::Ready(Ok(None)),
                Ok(received) => return Poll::Ready(self.open(&raw[..received], plain)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Says good-bye to the peer as far as the kernel takes it at once.
    pub(crate) fn close(mut self) {
        self.connection.send_close_notify();
        // The peer learns it from the end of the stream otherwise.
        let _best_effort = self.flush();
    }

    /// Feeds ciphertext to rustls, which takes at most 4 KiB a call and must be emptied each time.
    fn open(&mut self, mut received: &[u8], plain: &mut [u8]) -> io::Result<Option<usize>> {
        let mut filled = 0;
        while !received.is_empty() {
            if self.connection.read_tls(&mut received)? == 0 {
                return Ok(if filled == 0 { None } else { Some(filled) });
            }
            let state = self.connection.process_new_packets().map_err(io::Error::other)?;
            if state.plaintext_bytes_to_read() != 0 {
                filled += self.take_plaintext(&mut plain[filled..])?;
            }
        }
        Ok(Some(filled))
    }

    fn take_plaintext(&mut self, plain: &mut [u8]) -> io::Result<usize> {
        match self.connection.reader().read(plain) {
            Ok(taken) => Ok(taken),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::UnexpectedEof) => Ok(0),
            Err(error) => Err(error),
        }
    }
}

/// The socket as rustls wants it: write what goes at once, in one call for many records.
struct Socket<'a>(&'a TcpStream);

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
