//! Ends connections of clients that connect and send nothing, or too little to tell which protocol they speak.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use jumun_core::time::{Sleep, sleep};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How long a client may take over its first bytes.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(5);
/// Those first bytes: the preface of HTTP/2. After them each protocol has limits of its own.
const FIRST_BYTES: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();

/// A connection that must begin to speak in time.
pub(crate) struct FirstBytes<S> {
    stream: S,
    /// None once the first bytes are there.
    end: Option<Pin<Box<Sleep>>>,
    heard: usize,
}

impl<S> FirstBytes<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, end: Some(Box::pin(sleep(FIRST_BYTES_TIMEOUT))), heard: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstBytes<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let this = &mut *self;
        let Some(end) = &mut this.end else { return read };
        this.heard += buffer.filled().len() - before;
        if this.heard >= FIRST_BYTES {
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
    async fn a_client_that_does_not_speak_or_speaks_too_slowly_is_let_go() {
        for said in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n"] {
            let (mut client, server) = tokio::io::duplex(64);
            client.write_all(said).await.expect("room");
            let mut stream = FirstBytes::new(server);
            let mut heard = Vec::new();
            let error = stream.read_to_end(&mut heard).await.expect_err("the time is up");
            assert_eq!((error.kind(), heard.as_slice()), (io::ErrorKind::TimedOut, said));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_spoke_may_be_quiet() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("room");
        let mut stream = FirstBytes::new(server);
        let mut first = [0; FIRST_BYTES];
        stream.read_exact(&mut first).await.expect("the preface");
        let more = tokio::time::timeout(FIRST_BYTES_TIMEOUT * 10, stream.read_u8()).await;
        assert!(more.is_err(), "it waits for more");
    }
}
