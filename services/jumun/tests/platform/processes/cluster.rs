//! The processes of one test together: one for every context, or one for each, with their databases.

use std::{collections::BTreeMap, process::Output, time::Duration};

use super::{
    super::contexts::names,
    clients::Clients,
    program::{JUMUN, Program, bare},
    temp_env::{TempEnv, eventually, given, new_databases},
};

/// Each context of food-delivery in a process of its own.
pub(crate) const FOOD_ALONE: &[&[&str]] = &[&["order"], &["payment"], &["store"], &["delivery"], &["dashboard"]];
/// Each context of the coffee shop in a process of its own.
pub(crate) const COFFEE_ALONE: &[&[&str]] = &[&["order"], &["payment"], &["kitchen"], &["warehouse"], &["dashboard"]];
/// Everything that was interrupted is settled within this time (rules S2 and L1).
pub(crate) const RECOVERY: Duration = Duration::from_secs(30);
/// How long a command may run.
const COMMAND_BOUND: Duration = Duration::from_secs(100);

/// Processes, each with the contexts that it serves. They are dropped before the folder of their logs.
pub(crate) struct ProcessCluster {
    programs: Vec<(Vec<&'static str>, Program)>,
    /// The environment variables of the databases.
    storage: BTreeMap<String, String>,
    nats_url: String,
    pub(crate) temp_env: TempEnv,
}

impl ProcessCluster {
    /// Every context in one process, on SQLite and the embedded bus.
    pub(crate) fn whole() -> Self {
        let temp_env = TempEnv::new();
        let storage = [("JUMUN_DATA_DIR".to_owned(), temp_env.path("data").display().to_string())];
        std::fs::create_dir(temp_env.path("data")).expect("a folder");
        let mut cluster = Self { programs: Vec::new(), storage: storage.into(), nats_url: String::new(), temp_env };
        cluster.add_as("up", &["up"], &names());
        cluster
    }

    /// Every context in one process, on JetStream and a PostgreSQL database with a schema for each context, which is
    /// still empty; returns its URL, too.
    pub(crate) async fn whole_on_servers() -> (Self, String) {
        let temp_env = TempEnv::new();
        let url = new_databases(std::slice::from_ref(&temp_env.unique_name)).await.remove(0);
        let storage = [("JUMUN_DATABASE_URL".to_owned(), url.clone())];
        let nats_url = given("JUMUN_TEST_NATS_URL");
        let mut cluster = Self { programs: Vec::new(), storage: storage.into(), nats_url, temp_env };
        cluster.add_as("up", &["up"], &names());
        (cluster, url)
    }

    /// A process for each context, with servers as below.
    pub(crate) async fn each_alone() -> Self {
        let names = names();
        Self::split(&names.chunks(1).collect::<Vec<_>>()).await
    }

    /// A process for each group of contexts, on JetStream, with a PostgreSQL database for each context.
    pub(crate) async fn split(groups: &[&[&'static str]]) -> Self {
        Self::split_on(groups, given("JUMUN_TEST_NATS_URL")).await
    }

    /// The same, on a broker of its own.
    pub(crate) async fn split_on(groups: &[&[&'static str]], nats_url: String) -> Self {
        let temp_env = TempEnv::new();
        let contexts = groups.concat();
        let names: Vec<_> = contexts.iter().map(|context| format!("{}_{context}", temp_env.unique_name)).collect();
        let urls = new_databases(&names).await;
        let storage = contexts.iter().zip(urls).map(|(context, url)| (database_variable(context), url)).collect();
        let mut cluster = Self { programs: Vec::new(), storage, nats_url, temp_env };
        for contexts in groups {
            cluster.add(contexts);
        }
        cluster
    }

    /// Adds a process that does not run yet; returns its index.
    pub(crate) fn add(&mut self, contexts: &[&'static str]) -> usize {
        let name = format!("{}-{}", self.programs.len(), contexts.join("-"));
        let arguments: Vec<_> = ["serve"].iter().chain(contexts).copied().collect();
        self.add_as(&name, &arguments, contexts)
    }

    fn add_as(&mut self, name: &str, arguments: &[&str], contexts: &[&'static str]) -> usize {
        let mut program = Program::new(self.temp_env.folder(), name, arguments);
        for (variable, value) in &self.storage {
            program.set(variable, value);
        }
        if !self.nats_url.is_empty() {
            program.set("JUMUN_NATS_URL", &self.nats_url);
            program.set("JUMUN_NATS_PREFIX", &self.temp_env.unique_name);
        }
        self.programs.push((contexts.to_vec(), program));
        for callee in names() {
            let url = self.find(callee).map(Program::url);
            for (_, program) in &mut self.programs {
                program.set(&address_variable(callee), url.as_deref().unwrap_or("http://127.0.0.1:9"));
            }
        }
        self.programs.len() - 1
    }

    /// Sets another database for a context.
    pub(crate) fn set_database(&mut self, context: &str, url: &str) {
        self.storage.insert(database_variable(context), url.to_owned());
        self.set(&database_variable(context), url);
    }

    /// The URL of a context's own database.
    pub(crate) fn database(&self, context: &str) -> &str {
        &self.storage[&database_variable(context)]
    }

    /// Sets a variable of every process.
    pub(crate) fn set(&mut self, variable: &str, value: &str) {
        for (_, program) in &mut self.programs {
            program.set(variable, value);
        }
    }

    fn find(&self, context: &str) -> Option<&Program> {
        self.programs.iter().find(|(contexts, _)| contexts.contains(&context)).map(|(_, program)| program)
    }

    /// Where a context is served.
    pub(crate) fn url(&self, context: &str) -> String {
        self.find(context).map(Program::url).unwrap_or_else(|| panic!("no process serves {context}"))
    }

    /// The first process that serves a context.
    pub(crate) fn program(&mut self, context: &str) -> &mut Program {
        let found = self.programs.iter_mut().find(|(contexts, _)| contexts.contains(&context));
        &mut found.unwrap_or_else(|| panic!("no process serves {context}")).1
    }

    pub(crate) fn programs(&mut self) -> impl ExactSizeIterator<Item = &mut Program> {
        self.programs.iter_mut().map(|(_, program)| program)
    }

    /// Starts the processes that do not run, and waits until all serve.
    pub(crate) async fn start(&mut self) {
        let starting: Vec<_> = self.programs().filter(|program| !program.is_running()).collect();
        for program in starting {
            program.spawn();
        }
        for program in self.programs() {
            program.until_ready().await;
        }
    }

    pub(crate) fn clients(&self) -> Clients {
        Clients::new(|context| self.find(context).map(Program::url).unwrap_or_default())
    }

    /// Runs jumun once, with the cluster's databases and addresses.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = bare(JUMUN);
        command.args(arguments).envs(&self.storage);
        for (contexts, program) in &self.programs {
            for context in contexts {
                command.env(format!("JUMUN_{}_ADDR", context.to_uppercase()), program.url());
            }
        }
        let mut command = tokio::process::Command::from(command);
        let running = command.kill_on_drop(true).output();
        tokio::time::timeout(COMMAND_BOUND, running).await.expect("the command ends").expect("jumun runs")
    }

    /// Runs `jumun check` without a grace period; an error lists the violations.
    pub(crate) async fn check(&self) -> Result<(), String> {
        let done = self.run(&["check", "--grace-seconds", "0"]).await;
        if done.status.success() { Ok(()) } else { Err(text(&done)) }
    }

    /// Waits until no rule is violated.
    pub(crate) async fn becomes_clean(&self, bound: Duration) {
        eventually("jumun check to be clean", bound, || self.check()).await;
    }
}

fn address_variable(context: &str) -> String {
    format!("JUMUN_{}_ADDR", context.to_uppercase())
}

fn database_variable(context: &str) -> String {
    format!("JUMUN_{}_DATABASE_URL", context.to_uppercase())
}

/// Everything that a command wrote.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
