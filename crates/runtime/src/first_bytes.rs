//! A timeout for the first bytes of a connection: ends connections of clients that send nothing, or too little to
//! detect the protocol.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use jumun_core::time::{Sleep, sleep};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How long a client may take to send its first bytes.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(5);
/// The number of first bytes: the length of the HTTP/2 preface. After them each protocol has its own limits.
const FIRST_BYTES: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();

/// A stream that fails with `TimedOut` unless its first bytes arrive in time.
pub(crate) struct FirstBytes<S> {
    stream: S,
    /// None once the first bytes have arrived.
    end: Option<Pin<Box<Sleep>>>,
    received: usize,
}

impl<S> FirstBytes<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, end: Some(Box::pin(sleep(FIRST_BYTES_TIMEOUT))), received: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstBytes<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let this = &mut *self;
        let Some(end) = &mut this.end else { return read };
        this.received += buffer.filled().len() - before;
        if this.received >= FIRST_BYTES {
            this.end = None;
        } else if end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstBytes<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_nothing_or_sends_too_slowly_is_disconnected() {
        for sent in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n"] {
            let (mut client, server) = tokio::io::duplex(64);
            client.write_all(sent).await.expect("room");
            let mut stream = FirstBytes::new(server);
            let mut received = Vec::new();
            let error = stream.read_to_end(&mut received).await.expect_err("the time is up");
            assert_eq!((error.kind(), received.as_slice()), (io::ErrorKind::TimedOut, sent));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sent_its_first_bytes_may_be_idle() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("room");
        let mut stream = FirstBytes::new(server);
        let mut first = [0; FIRST_BYTES];
        stream.read_exact(&mut first).await.expect("the preface");
        let more = tokio::time::timeout(FIRST_BYTES_TIMEOUT * 10, stream.read_u8()).await;
        assert!(more.is_err(), "it waits for more");
    }
}
