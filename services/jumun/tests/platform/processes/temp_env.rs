//! The files of a test, its servers, and how it waits.

use std::{
    fmt::Display,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering::Relaxed},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use uuid::Uuid;

/// Lines of each log that a failed test shows.
const SHOWN_LINES: usize = 25;
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The folder of one test, and a unique name. When the test fails, it prints the logs.
pub(crate) struct TempEnv {
    folder: TempDir,
    /// Starts with a letter, for names of databases and subjects.
    pub(crate) unique_name: String,
}

impl TempEnv {
    pub(crate) fn new() -> Self {
        let folder = TempDir::with_prefix("jumun-test-").expect("a temporary folder");
        Self { folder, unique_name: format!("t{}", Uuid::now_v7().simple().to_string().split_off(20)) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn show_logs(&self) {
        let entries = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
        let mut logs: Vec<_> = entries.map(|entry| entry.path()).filter(|path| is_log(path)).collect();
        logs.sort();
        for path in logs {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            eprintln!("--- {}, the end of {} lines", path.display(), lines.len());
            for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
                eprintln!("{line}");
            }
        }
    }
}

fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "log")
}

impl Drop for TempEnv {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_logs();
        }
    }
}

/// An address of this machine that is free, and stays free while its process is down: its port is below those that
/// the kernel assigns.
pub(crate) fn free_address() -> SocketAddr {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 997).unwrap_or_default() * 20;
    loop {
        let port = 10_000 + (start + TAKEN.fetch_add(1, Relaxed)) % 20_000;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// A variable that scripts/servers.sh sets.
pub(crate) fn given(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run this by `make test`, or put scripts/servers.sh before the command")
    })
}

/// A program that scripts/tools.sh installed.
pub(crate) fn tool(name: &str) -> PathBuf {
    Path::new(&given("JUMUN_TEST_TOOLS")).join(name)
}

/// Creates empty databases on the test's server, and returns their URLs.
pub(crate) async fn new_databases(names: &[String]) -> Vec<String> {
    let server = given("JUMUN_TEST_POSTGRES_URL");
    let mut psql = tokio::process::Command::new(tool("psql"));
    psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", &server]);
    for name in names {
        psql.args(["-c", &format!("CREATE DATABASE {name}")]);
    }
    let done = psql.output().await.expect("psql runs");
    assert!(done.status.success(), "psql: {}", String::from_utf8_lossy(&done.stderr));
    let (base, _) = server.rsplit_once('/').expect("the URL of a database");
    names.iter().map(|name| format!("{base}/{name}")).collect()
}

/// Polls until the result is Ok; fails with the last error when the time is up.
pub(crate) async fn eventually<T, E: Display>(
    what: &str,
    bound: Duration,
    mut ask: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) if begun.elapsed() > bound => panic!("{what}: not within {bound:?}; at last: {error}"),
            Err(_) => tokio::time::sleep(POLL_INTERVAL).await,
        }
    }
}
