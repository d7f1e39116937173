//! The commands for operators, against running contexts.

mod dead_letters;
mod events;
mod tokens;

use std::process::Output;

use serde_json::Value as Json;
use transcode::Origins;

use super::{
    journeys::Food,
    processes::{
        cluster::text,
        program::{JUMUN, bare},
        temp_env::TempEnv,
    },
};

/// Every context in this process, listening for commands.
struct Operator {
    food: Food,
    address: String,
    temp_env: TempEnv,
}

impl Operator {
    async fn new() -> Self {
        Self::of(Food::open().await).await
    }

    async fn of(food: Food) -> Self {
        let address = food.cluster.listen(&Origins::default()).await;
        Self { food, address: format!("http://{address}"), temp_env: TempEnv::new() }
    }

    /// Runs a command to its end.
    async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = bare(JUMUN);
        command.current_dir(self.temp_env.folder()).args(arguments).env("JUMUN_ADDR", &self.address);
        tokio::process::Command::from(command).kill_on_drop(true).output().await.expect("jumun runs")
    }

    /// What a command that succeeds prints.
    async fn prints(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// The JSON that a command that succeeds prints.
    async fn json(&self, arguments: &[&str]) -> Json {
        let printed = self.prints(arguments).await;
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {printed}"))
    }

    /// What a command that fails with this exit code writes to standard error.
    async fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
        String::from_utf8(output.stderr).expect("UTF-8")
    }
}
