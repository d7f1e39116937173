//! One jumun process: started, stopped, frozen and killed, always at the same address.

use std::{
    collections::BTreeMap,
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use super::temp_env::{eventually, free_address};

pub(crate) const JUMUN: &str = env!("CARGO_BIN_EXE_jumun");

/// How long a start may take: migrations on a busy machine.
const START_BOUND: Duration = Duration::from_secs(60);
/// How long a process may take to end after SIGTERM.
pub(crate) const END_BOUND: Duration = Duration::from_secs(20);

/// How a process is started, and the process while it runs.
pub(crate) struct Program {
    name: String,
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
    pub(crate) address: SocketAddr,
    folder: PathBuf,
    starts: usize,
    child: Option<Child>,
}

impl Program {
    /// A process that does not run yet.
    pub(crate) fn new(folder: &Path, name: impl Into<String>, arguments: &[&str]) -> Self {
        let address = free_address();
        let mut program = Self {
            name: name.into(),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            variables: BTreeMap::new(),
            address,
            folder: folder.to_owned(),
            starts: 0,
            child: None,
        };
        program.set("JUMUN_LISTEN", address.to_string());
        program.set("JUMUN_LOG_FORMAT", "json");
        let crates = ["engine", "eventing", "rpc", "runtime", "order", "payment_saga", "payment"];
        program
            .set("RUST_LOG", format!("info,{},async_nats=warn", crates.map(|name| format!("{name}=debug")).join(",")));
        program
    }

    pub(crate) fn set(&mut self, variable: &str, value: impl Into<String>) {
        self.variables.insert(variable.to_owned(), value.into());
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The running process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running process").id()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Starts it, and waits until it serves.
    pub(crate) async fn start(&mut self) {
        self.spawn();
        self.until_ready().await;
    }

    /// Starts it, without waiting.
    pub(crate) fn spawn(&mut self) {
        assert!(!self.is_running(), "{} runs already", self.name);
        self.starts += 1;
        let log = File::create(self.log()).expect("a log file");
        let child = bare(JUMUN)
            .args(&self.arguments)
            .envs(&self.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("jumun starts");
        self.child = Some(child);
    }

    /// Waits until it serves. It prints its address.
    pub(crate) async fn until_ready(&mut self) {
        let what = format!("{} to be ready", self.name);
        let (log, mut child) = (self.log(), self.child.take());
        let ready = eventually(&what, START_BOUND, || {
            let ended = child.as_mut().and_then(|child| child.try_wait().expect("a child of ours"));
            assert!(ended.is_none(), "{} ended: {ended:?}\n{}", self.name, read(&log));
            std::future::ready(ready_address(&log).ok_or("no ready line"))
        })
        .await;
        self.child = child;
        assert!(self.address.port() == 0 || self.address == ready, "{} serves at {ready}", self.name);
        self.address = ready;
        self.set("JUMUN_LISTEN", ready.to_string());
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a child of ours");
            child.wait().expect("a child of ours");
        }
    }

    /// SIGSTOP: its connections stay, and nothing answers on them.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn until_ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a running process");
        let what = format!("{} to end", self.name);
        let ask = || std::future::ready(child.try_wait().expect("a child of ours").ok_or("it runs"));
        eventually(&what, END_BOUND, ask).await
    }

    /// Everything that it logged since its last start.
    pub(crate) fn logged(&self) -> String {
        read(&self.log())
    }

    fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("a running process");
        let done = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
        assert!(done.expect("kill runs").success(), "kill -{name} {}", self.name);
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}-{:02}.log", self.name, self.starts))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command without the settings of the caller's environment.
pub(crate) fn bare(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Memory of a running process in MB: all resident memory as "VmRSS", its own as "RssAnon".
pub(crate) fn memory_mb(pid: u32, kind: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux, and a running process");
    let size = status.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(':')).expect("its size");
    size.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

fn read(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}

pub(super) fn ready_address(log: &Path) -> Option<SocketAddr> {
    read(log).lines().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line["address"].as_str().filter(|_| line["message"] == "ready")?.parse().ok()
    })
}
