//! The roles that docs/how-to/deploy.md creates in PostgreSQL: one owns the tables and migrates, one serves and owns
//! nothing.

use std::process::{Command, Output};

use jumun_core::name::new_id;

use super::{
    cluster::{RECOVERY, text},
    program::{JUMUN, Program, bare},
    temp_env::{TempEnv, eventually, given, tool},
};

/// Replaces the passwords of the page.
const PASSWORD: &str = "secret";

/// The page's SQL for roles of these names: the part for the server, and the part for the new database.
fn sql(name: &str) -> (String, String) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/how-to/deploy.md");
    let page = std::fs::read_to_string(page).expect("docs/how-to/deploy.md");
    let block = page.split("```sql\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of SQL");
    let block = block.replace("jumun", name).replace('…', PASSWORD);
    let (server, database) = block.split_once(&format!("\\c {name}\n")).expect("a change of databases");
    (server.to_owned(), database.to_owned())
}

fn psql(url: &str, sql: &str) -> Output {
    let mut psql = Command::new(tool("psql"));
    psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", url]);
    // One command each: a database cannot be created within a transaction.
    sql.lines().for_each(|line| {
        psql.args(["-c", line]);
    });
    psql.output().expect("psql runs")
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_role_that_owns_no_tables_serves_what_their_owner_migrated() {
    let (temp_env, name) = (TempEnv::new(), format!("r{}", new_id().replace('-', "")));
    let server = given("JUMUN_TEST_POSTGRES_URL");
    let (superuser, _) = server.rsplit_once('/').expect("the URL of a database");
    let (_, host) = superuser.split_once('@').expect("a URL with a user");
    let (on_server, in_database) = sql(&name);
    for (url, sql) in [(server.clone(), on_server), (format!("{superuser}/{name}"), in_database)] {
        let done = psql(&url, &sql);
        assert!(done.status.success(), "{}", text(&done));
    }
    let [owner, runtime] =
        [format!("{name}_owner"), name.clone()].map(|role| format!("postgres://{role}:{PASSWORD}@{host}/{name}"));

    let mut program = Program::new(temp_env.folder(), "up", &["up"]);
    program.set("JUMUN_DATABASE_URL", &runtime);
    program.set("JUMUN_MIGRATE", "false");
    program.spawn();
    eventually("it to wait for the owner", RECOVERY, async || {
        if program.logged().contains("run `jumun migrate`") { Ok(()) } else { Err(program.logged()) }
    })
    .await;
    assert!(!program.logged().contains("ready"), "{}", program.logged());

    let migrated = bare(JUMUN).args(["migrate", "--database-url", &owner]).output().expect("jumun runs");
    assert!(migrated.status.success(), "{}", text(&migrated));
    program.until_ready().await;
    let demo =
        bare(JUMUN).current_dir(temp_env.folder()).args(["demo", "food-delivery", "--addr", &program.url()]).output();
    let demo = demo.expect("jumun runs");
    assert!(demo.status.success(), "{}", text(&demo));

    let denied = psql(&runtime, "CREATE TABLE \"order\".mine (id int)");
    assert!(text(&denied).contains("permission denied"), "{}", text(&denied));
}
