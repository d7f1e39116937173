//! A proxy that loses answers: requests arrive, answers do not.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::AbortHandle,
};

/// What happens to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// It arrives.
    Arrive,
    /// It is lost, and the connection stays.
    Vanish,
    /// It is lost with the connection; the next connection works.
    BreakOnce,
}

struct Wire {
    answers: Mutex<Answers>,
    lines: Mutex<Vec<AbortHandle>>,
}

/// A proxy in front of one process.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    wire: Arc<Wire>,
    listening: AbortHandle,
}

impl Proxy {
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let wire = Arc::new(Wire { answers: Mutex::new(Answers::Arrive), lines: Mutex::default() });
        let listening = tokio::spawn(wire.clone().listen(listener, target)).abort_handle();
        Self { address, wire, listening }
    }

    /// From now on answers arrive or not.
    pub(crate) fn answers(&self, answers: Answers) {
        *self.wire.answers.lock().unwrap_or_else(PoisonError::into_inner) = answers;
    }

    /// Answers arrive again, on new connections: on the old ones bytes are missing.
    pub(crate) fn heal(&self) {
        self.answers(Answers::Arrive);
        self.wire.cut();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.wire.cut();
    }
}

impl Wire {
    async fn listen(self: Arc<Self>, listener: TcpListener, target: SocketAddr) {
        while let Ok((caller, _)) = listener.accept().await {
            let line = tokio::spawn(self.clone().connect(caller, target)).abort_handle();
            self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    fn cut(&self) {
        for line in self.lines.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            line.abort();
        }
    }

    async fn connect(self: Arc<Self>, caller: TcpStream, target: SocketAddr) {
        let Ok(callee) = TcpStream::connect(target).await else { return };
        let (mut questions, to_caller) = caller.into_split();
        let (answers, mut to_callee) = callee.into_split();
        tokio::select! {
            _ = tokio::io::copy(&mut questions, &mut to_callee) => {}
            () = self.carry_back(answers, to_caller) => {}
        }
    }

    async fn carry_back(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(count) = from.read(&mut bytes).await {
            match self.fate() {
                Answers::Arrive if count > 0 && to.write_all(&bytes[..count]).await.is_ok() => {}
                Answers::Vanish if count > 0 => {}
                _ => return,
            }
        }
    }

    fn fate(&self) -> Answers {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let fate = *answers;
        if fate == Answers::BreakOnce {
            *answers = Answers::Arrive;
        }
        fate
    }
}
