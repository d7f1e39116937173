//! The error messages and the output of the command line.

use std::{
    fs::File,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::json;

use super::{
    clients::new_id,
    cluster::{ProcessCluster, RECOVERY, text},
    coffee_kills::{PRODUCT, call},
    program::{JUMUN, Program, bare, memory_mb, ready_address},
    protocol::PROTOCOLS,
    school::Learners,
    temp_env::{TempEnv, eventually, tool},
};

/// sysexits.h: EX_USAGE.
const EX_USAGE: i32 = 64;
/// Of a flag or variable that cannot be read.
const CLAP_USAGE: i32 = 2;

/// Runs jumun in a folder of its own, to its end.
fn jumun(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let temp_env = TempEnv::new();
    let mut command = bare(JUMUN);
    command.current_dir(temp_env.folder()).args(arguments).envs(variables.iter().copied());
    command.output().expect("jumun runs")
}

#[track_caller]
fn assert_explains(output: &Output, code: i32, words: &[&str]) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    for word in words {
        assert!(errors.contains(word), "{word} is not in: {errors}");
    }
}

#[test]
fn a_port_in_use_is_reported_with_the_setting_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    assert_explains(&jumun(&["up"], &[("JUMUN_LISTEN", &address)]), 1, &["JUMUN_LISTEN", &address]);
}

#[test]
fn a_missing_address_of_a_context_is_reported_with_the_setting_that_names_it() {
    assert_explains(&jumun(&["serve", "order"], &[]), EX_USAGE, &["JUMUN_PAYMENT_ADDR"]);
}

#[test]
fn listening_beyond_loopback_requires_a_setting_of_who_may_call() {
    let open = ("JUMUN_LISTEN", "0.0.0.0:0");
    assert_explains(&jumun(&["up"], &[open]), EX_USAGE, &["JUMUN_AUTH_JWKS", "JUMUN_AUTH=off"]);
    let required = ("JUMUN_AUTH", "required");
    assert_explains(&jumun(&["up"], &[open, required]), EX_USAGE, &["JUMUN_AUTH_DEVELOPMENT_KEY"]);
    let keys = ("JUMUN_AUTH_JWKS", "keys.json");
    assert_explains(&jumun(&["up"], &[open, keys]), EX_USAGE, &["JUMUN_AUTH_ISSUER"]);
}

#[test]
fn calling_other_processes_that_ask_for_tokens_needs_a_key() {
    let variables = [
        ("JUMUN_AUTH_JWKS", "keys.json"),
        ("JUMUN_AUTH_ISSUER", "issuer"),
        ("JUMUN_AUTH_AUDIENCE", "jumun"),
        ("JUMUN_PAYMENT_ADDR", "http://127.0.0.1:9"),
    ];
    assert_explains(&jumun(&["serve", "order"], &variables), EX_USAGE, &["JUMUN_SERVICE_KEY_FILE"]);
}

#[test]
fn a_development_key_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let temp_env = TempEnv::new();
    let folder = temp_env.path("data").display().to_string();
    let issue = ["token", "--role", "customer", "--subject", "customers/mina", "--data-dir", &folder];
    let tokens = [jumun(&issue, &[]), jumun(&issue, &[])].map(|output| text(&output));
    assert!(tokens.iter().all(|token| token.trim().split('.').count() == 3), "{tokens:?}");
    let key = temp_env.path("data/auth/development.pem");
    assert_eq!(std::fs::metadata(&key).expect("a key").permissions().mode() & 0o777, 0o600);
    let keys = std::fs::read_to_string(temp_env.path("data/auth/development.jwks.json")).expect("its public part");
    let printed = jumun(&["jwks", &key.display().to_string()], &[]);
    assert_eq!(text(&printed).trim(), keys);
    assert_explains(&jumun(&["token", "--role", "root", "--subject", "a/b"], &[]), 2, &["operator"]);
}

#[test]
fn an_unknown_context_is_reported_by_its_name() {
    assert_explains(&jumun(&["serve", "ordr"], &[]), EX_USAGE, &["ordr"]);
}

#[test]
fn a_wrong_database_url_is_reported_without_its_password() {
    let wrong = "mysql://jumun:secret@127.0.0.1/jumun";
    let output = jumun(&["serve", "store"], &[("JUMUN_STORE_DATABASE_URL", wrong)]);
    assert_explains(&output, EX_USAGE, &["mysql://", "sqlite://PATH"]);
    assert!(!text(&output).contains("secret"), "{}", text(&output));
}

#[test]
fn a_wrong_setting_is_refused_before_anything_is_opened() {
    let temp_env = TempEnv::new();
    let folder = temp_env.path("data").display().to_string();
    let output = jumun(&["up"], &[("JUMUN_LISTEN", "nowhere"), ("JUMUN_DATA_DIR", &folder)]);
    assert!(!output.status.success() && text(&output).contains("--listen"), "{}", text(&output));
    assert!(!temp_env.path("data").exists(), "{folder} was made");
}

#[test]
fn an_invalid_origin_is_reported_with_the_setting_that_names_it() {
    for wrong in ["shop.example", "https://shop.example/", "*,https://shop.example"] {
        let output = jumun(&["up"], &[("JUMUN_CORS_ORIGINS", wrong)]);
        assert_explains(&output, CLAP_USAGE, &["--cors-origins", wrong]);
    }
    let allowed = "https://shop.example,http://127.0.0.1:5173";
    let output = jumun(&["up", "--print-config", "--cors-origins", allowed], &[]);
    assert!(text(&output).contains(&format!("JUMUN_CORS_ORIGINS={allowed}")), "{}", text(&output));
}

#[test]
fn a_production_process_does_not_start_with_drills() {
    let output = jumun(&["serve", "payment", "--drills"], &[("JUMUN_PROFILE", "production")]);
    assert_explains(&output, EX_USAGE, &["JUMUN_DRILLS", "JUMUN_PROFILE"]);
    for drills in ["true", "false"] {
        let variables = [("JUMUN_PROFILE", "development"), ("JUMUN_DRILLS", drills)];
        let output = jumun(&["serve", "payment", "--print-config"], &variables);
        assert!(text(&output).contains(&format!("JUMUN_DRILLS={drills}\n")), "{}", text(&output));
    }
}

#[test]
fn a_version_that_is_no_dns_label_is_reported_with_the_setting_that_names_it() {
    for wrong in ["Canary", "v1.2", "-a", ""] {
        let output = jumun(&["up"], &[("JUMUN_SERVICE_VERSION", wrong)]);
        assert_explains(&output, CLAP_USAGE, &["--service-version", "DNS label"]);
    }
    let output = jumun(&["up", "--print-config", "--service-version", "canary"], &[]);
    assert!(text(&output).contains("JUMUN_SERVICE_VERSION=canary\n"), "{}", text(&output));
}

#[test]
fn print_config_masks_passwords() {
    let output = jumun(
        &["serve", "order", "--print-config"],
        &[
            ("JUMUN_ORDER_DATABASE_URL", "postgres://jumun:secret@127.0.0.1/orders"),
            ("JUMUN_NATS_URL", "nats://jumun:secret@127.0.0.1:4222"),
            ("JUMUN_PAYMENT_ADDR", "http://127.0.0.1:9"),
        ],
    );
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(0), "{printed}");
    assert!(!printed.contains("secret"), "{printed}");
    for line in [
        "JUMUN_ORDER_DATABASE_URL=postgres://jumun:***@127.0.0.1/orders",
        "JUMUN_NATS_URL=nats://jumun:***@127.0.0.1:4222",
        "JUMUN_PAYMENT_ADDR=http://127.0.0.1:9",
        "JUMUN_LISTEN=127.0.0.1:8080",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line} is not in: {printed}");
    }
}

#[test]
fn completions_are_a_script_that_bash_reads() {
    let output = jumun(&["completions", "bash"], &[]);
    let script = text(&output);
    assert!(output.status.success() && script.contains("complete -F _jumun"), "{script}");
    let read = Command::new("bash").args(["-n", "-c", &script]).output().expect("bash runs");
    assert!(read.status.success(), "{}", text(&read));
}

#[test]
fn check_without_a_database_says_so() {
    let output = jumun(&["check"], &[]);
    assert_explains(&output, 1, &["no database found", "JUMUN_DATA_DIR"]);
}

#[tokio::test]
async fn it_opens_as_many_files_as_the_system_allows() {
    let temp_env = TempEnv::new();
    let log = temp_env.path("log");
    // Fewer than there will be connections; the process may raise its own limit.
    let mut child = bare("sh")
        .args(["-c", "ulimit -Sn 32 && exec \"$0\" up", JUMUN])
        .current_dir(temp_env.folder())
        .envs([("JUMUN_LISTEN", "127.0.0.1:0"), ("JUMUN_LOG_FORMAT", "json")])
        .stdout(Stdio::null())
        .stderr(File::create(&log).expect("a log"))
        .spawn()
        .expect("jumun starts");
    let ready = async || ready_address(&log).ok_or("no ready line");
    let address = eventually("jumun to be ready", Duration::from_secs(30), ready).await;
    let mut connections: Vec<_> = (0..64).map(|_| TcpStream::connect(address).expect("a connection")).collect();
    let last = connections.last_mut().expect("the last");
    last.set_read_timeout(Some(Duration::from_secs(5))).expect("a bound");
    last.write_all(b"GET /v1/orders HTTP/1.1\r\nhost: jumun\r\n\r\n").expect("sent");
    let mut answer = [0; 12];
    last.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");
    child.kill().expect("a child of ours");
    child.wait().expect("a child of ours");
}

/// The process's own memory with every context, before the first call. Its program and libraries come on top, which
/// other processes share and which are larger in a test build.
const MAX_IDLE_MB: u64 = 30;

#[tokio::test]
async fn it_takes_little_memory_while_nobody_calls() {
    let mut cluster = ProcessCluster::whole();
    cluster.start().await;
    // Every worker has run.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let own = memory_mb(cluster.program("order").pid(), "RssAnon");
    assert!(own <= MAX_IDLE_MB, "{own} MB");
}

#[tokio::test]
async fn the_exit_code_reports_the_health() {
    let mut cluster = ProcessCluster::whole();
    cluster.start().await;
    let url = cluster.url("order");
    for asked in [&["health", "--addr", &url][..], &["health", "order", "dashboard"]] {
        let output = cluster.run(asked).await;
        assert!(output.status.success() && text(&output).contains("SERVING"), "{asked:?}: {}", text(&output));
    }
    assert_explains(&cluster.run(&["health", "ordr"]).await, 1, &["ordr"]);
    cluster.program("order").kill();
    assert_explains(&cluster.run(&["health", "--addr", &url]).await, 1, &["the process", &url]);
}

/// Without this test, a clean check would prove little.
#[tokio::test]
#[ignore = "needs servers: make test"]
async fn check_finds_what_is_wrong() {
    let mut cluster = ProcessCluster::each_alone().await;
    cluster.start().await;
    cluster.clients().place(2).await;
    Learners::of(&cluster).enroll(&new_id()).await.expect("a good card");
    let warehouse = PROTOCOLS[0].connect(&cluster.url("warehouse"), None);
    let item = json!({"stockItem": {"item": PRODUCT, "quantity": 10}, "requestId": new_id()});
    call(&warehouse, "CreateStockItem", &item).await;
    cluster.becomes_clean(RECOVERY).await;
    // Nothing repairs the damage.
    cluster.programs().for_each(Program::kill);
    let void = |name: &str| format!("UPDATE payment.payments SET state = 'VOIDED' WHERE payable LIKE '{name}%'");
    let damage = [
        ("warehouse", "UPDATE warehouse.stock_items SET quantity = 11".to_owned(), &["S6"][..], " stockItems/"),
        ("order", "DELETE FROM order_.orders_by_customer".to_owned(), &["I1"], " orders/"),
        ("order", "UPDATE order_.requests SET reply = 'another'".to_owned(), &["S10"], " created another in order"),
        // An unknown field: `tok_visa`, as field 100.
        (
            "store",
            r"UPDATE store.events SET payload = payload || '\xa20608746f6b5f76697361'".to_owned(),
            &["S11"],
            " store/",
        ),
        ("payment", void("orders"), &["S1", "S5"], " orders/"),
        ("payment", void("enrollments"), &["S1", "S5"], " enrollments/"),
        ("order", "DELETE FROM order_.events".to_owned(), &["S4"], " orders/"),
        ("enrollment", "DELETE FROM enrollment.events".to_owned(), &["S4"], " enrollments/"),
        ("dashboard", "UPDATE dashboard.order_views SET state = 'COMPLETED'".to_owned(), &["S9"], " orderViews/"),
        (
            "dashboard",
            "UPDATE dashboard_enrollment.enrollment_views SET state = 'COMPLETED'".to_owned(),
            &["S9"],
            " enrollmentViews/",
        ),
        ("enrollment", "UPDATE enrollment.enrollments SET state = 'VOIDING'".to_owned(), &["L1"], " enrollments/"),
    ];
    for (context, sql, rules, named) in damage {
        let sql = sql.replace(" order_.", " \"order\".");
        let psql = Command::new(tool("psql")).args(["-Xqc", &sql, cluster.database(context)]).output();
        let psql = psql.expect("psql runs");
        assert!(psql.status.success(), "{}", text(&psql));
        let found = cluster.check().await.expect_err("a violation");
        assert!(found.contains(named), "{sql} is not reported: {found}");
        for rule in rules {
            let line = found.lines().find(|line| line.starts_with(rule));
            assert!(line.is_some_and(|line| !line.contains(" 0 violations")), "{rule} misses it: {found}");
        }
    }
}
