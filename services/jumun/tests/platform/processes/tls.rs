//! TLS on the listener and between contexts, with certificates of the test's own authority.

use std::{path::PathBuf, process::Output};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::{
    clients::{Answer, new_id, wish},
    cluster::text,
    program::{JUMUN, Program, bare},
    temp_env::{TempEnv, eventually},
};

/// Longer than the interval at which certificates are read again.
const RELOAD: std::time::Duration = std::time::Duration::from_secs(10);

/// An authority that signs certificates.
struct Authority<'a> {
    temp_env: &'a TempEnv,
    name: &'static str,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl<'a> Authority<'a> {
    fn new(temp_env: &'a TempEnv, name: &'static str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let authority = Self { temp_env, name, issuer };
        std::fs::write(authority.file(), authority.issuer.pem()).expect("a file");
        authority
    }

    fn file(&self) -> PathBuf {
        self.temp_env.path(&format!("{}.pem", self.name))
    }

    /// Signs a certificate for this machine, into files of this name.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let (cert_file, key_file) =
            (self.temp_env.path(&format!("{name}.crt")), self.temp_env.path(&format!("{name}.key")));
        std::fs::write(&cert_file, certificate.pem()).expect("a file");
        std::fs::write(&key_file, key.serialize_pem()).expect("a file");
        (cert_file.display().to_string(), key_file.display().to_string())
    }
}

fn program(temp_env: &TempEnv, name: &str, arguments: &[&str], (cert, key): &(String, String)) -> Program {
    let mut program = Program::new(temp_env.folder(), name, arguments);
    program.set("JUMUN_DATA_DIR", temp_env.path("data").display().to_string());
    program.set("JUMUN_TLS_CERT_FILE", cert);
    program.set("JUMUN_TLS_KEY_FILE", key);
    program
}

/// Runs `jumun bench` with a handshake and a few empty calls.
async fn echo(url: &str, ca: &Authority<'_>) -> Output {
    let mut command = bare(JUMUN);
    command.args(["bench", "--method", "echo", "--seconds", "1", "--warm-up-seconds", "0", "--callers", "1"]);
    command.args(["--connections", "1", "--addr", url]).env("JUMUN_TLS_CA_FILE", ca.file());
    tokio::process::Command::from(command).kill_on_drop(true).output().await.expect("jumun runs")
}

#[tokio::test]
async fn the_listener_speaks_tls_and_takes_up_a_new_certificate() {
    let temp_env = TempEnv::new();
    let (old, new) = (Authority::new(&temp_env, "old"), Authority::new(&temp_env, "new"));
    let mut up = program(&temp_env, "up", &["up"], &old.sign("server"));
    up.start().await;
    let (open, tls) = (up.url(), up.url().replace("http://", "https://"));
    assert!(echo(&tls, &old).await.status.success(), "{}", text(&echo(&tls, &old).await));
    assert!(!echo(&tls, &new).await.status.success(), "another authority is trusted");
    assert!(!echo(&open, &old).await.status.success(), "a connection without TLS succeeded");

    new.sign("server");
    let served = || async {
        let done = echo(&tls, &new).await;
        if done.status.success() { Ok(()) } else { Err(text(&done)) }
    };
    eventually("the new certificate", RELOAD, served).await;
    assert!(!echo(&tls, &old).await.status.success(), "the old certificate is still in use");
}

#[tokio::test]
async fn clients_need_certificates_where_the_listener_requires_them() {
    let temp_env = TempEnv::new();
    let authority = Authority::new(&temp_env, "authority");
    let mut up = program(&temp_env, "up", &["up"], &authority.sign("server"));
    up.set("JUMUN_TLS_CLIENT_CA_FILE", authority.file().display().to_string());
    up.start().await;
    let refused = echo(&up.url().replace("http://", "https://"), &authority).await;
    assert!(!refused.status.success(), "a client without a certificate connected: {}", text(&refused));
}

#[tokio::test]
async fn a_context_reaches_another_over_mutual_tls_with_a_token_of_its_own() {
    let temp_env = TempEnv::new();
    let authority = Authority::new(&temp_env, "authority");
    let mut payment = program(&temp_env, "payment", &["serve", "payment"], &authority.sign("payment"));
    let mut order = program(&temp_env, "order", &["serve", "order"], &authority.sign("order"));
    for program in [&mut payment, &mut order] {
        program.set("JUMUN_AUTH", "required");
        program.set("JUMUN_TLS_CA_FILE", authority.file().display().to_string());
    }
    payment.set("JUMUN_TLS_CLIENT_CA_FILE", authority.file().display().to_string());
    order.set("JUMUN_PAYMENT_ADDR", payment.url().replace("http://", "https://"));
    payment.start().await;
    order.start().await;
    let placed = customer(&order, &authority, &token(&temp_env, "data")).await;
    assert_eq!(placed.expect("payment answers").state(), contracts::order::v1::order::State::Placed);
}

#[tokio::test]
async fn a_context_with_another_key_is_rejected_and_logs_why() {
    let temp_env = TempEnv::new();
    let authority = Authority::new(&temp_env, "authority");
    let mut payment = program(&temp_env, "payment", &["serve", "payment"], &authority.sign("payment"));
    let mut order = program(&temp_env, "order", &["serve", "order"], &authority.sign("order"));
    order.set("JUMUN_DATA_DIR", temp_env.path("another").display().to_string());
    for program in [&mut payment, &mut order] {
        program.set("JUMUN_AUTH", "required");
        program.set("JUMUN_TLS_CA_FILE", authority.file().display().to_string());
    }
    order.set("JUMUN_PAYMENT_ADDR", payment.url().replace("http://", "https://"));
    payment.start().await;
    order.start().await;
    let refused =
        customer(&order, &authority, &token(&temp_env, "another")).await.expect_err("payment keeps order out");
    refused.expect_retry(tonic::Code::Unavailable, "PAYMENT_UNAVAILABLE");
    assert!(order.logged().contains("JUMUN_SERVICE_KEY_FILE"), "{}", order.logged());
}

/// A token of the development key.
fn token(temp_env: &TempEnv, folder: &str) -> String {
    let issue = ["token", "--role", "customer", "--subject", "customers/mina", "--data-dir"];
    let issued = bare(JUMUN).args(issue).arg(temp_env.path(folder)).output().expect("jumun runs");
    assert!(issued.status.success(), "{}", text(&issued));
    String::from_utf8_lossy(&issued.stdout).trim().to_owned()
}

async fn customer(order: &Program, authority: &Authority<'_>, token: &str) -> Answer<contracts::order::v1::Order> {
    use contracts::order::v1::{CreateOrderRequest, order_service_client::OrderServiceClient};
    let trust = net::tls::Trust { ca_file: Some(authority.file()), identity: None };
    let endpoint = trust.endpoint(&order.url().replace("http://", "https://")).expect("an address");
    let mut request = tonic::Request::new(CreateOrderRequest { order: Some(wish("tok_visa")), request_id: new_id() });
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("ASCII"));
    super::clients::answer(OrderServiceClient::new(endpoint.connect_lazy()).create_order(request)).await
}
