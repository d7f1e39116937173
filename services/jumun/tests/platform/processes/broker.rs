//! A broker of a test's own, which can lose everything that it stored.

use std::{
    fs::File,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::net::TcpStream;

use super::temp_env::{TempEnv, eventually, free_address, tool};

const START_BOUND: Duration = Duration::from_secs(10);

/// nats-server with JetStream, always on the same port.
pub(crate) struct Broker {
    address: SocketAddr,
    temp_env: TempEnv,
    child: Option<Child>,
}

impl Broker {
    pub(crate) async fn start() -> Self {
        let mut broker = Self { address: free_address(), temp_env: TempEnv::new(), child: None };
        broker.start_again().await;
        broker
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    pub(crate) async fn start_again(&mut self) {
        let log = File::create(self.temp_env.path("nats.log")).expect("a log file");
        let mut command = Command::new(tool("nats-server"));
        command.args(["-a", "127.0.0.1", "-p", &self.address.port().to_string(), "-js", "-sd"]).arg(self.store());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().expect("nats-server starts"));
        eventually("nats-server to listen", START_BOUND, || TcpStream::connect(self.address)).await;
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a child of ours");
            child.wait().expect("a child of ours");
        }
    }

    /// Deletes everything that it stored.
    pub(crate) fn forget(&self) {
        assert!(self.child.is_none(), "it runs");
        std::fs::remove_dir_all(self.store()).expect("a folder");
    }

    fn store(&self) -> PathBuf {
        self.temp_env.path("store")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}
