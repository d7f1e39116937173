//! An issuer of tokens, valid and invalid.

use std::{
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64_URL};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUDIENCE: &str = "jumun-test";
/// More than the allowed clock skew (s).
const FAR: u64 = 3600;

pub(crate) struct Issuer {
    id: &'static str,
    pair: Ed25519KeyPair,
}

/// Why a token is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Missing,
    Garbage,
    Expired,
    NotYetValid,
    WrongIssuer,
    WrongAudience,
    WrongKey,
    UnknownKey,
    AlgorithmNone,
    PublicKeyAsSecret,
    NoExpiry,
    NoStart,
    NoSubject,
}

impl Flaw {
    pub(crate) const ALL: [Self; 13] = [
        Self::Missing,
        Self::Garbage,
        Self::Expired,
        Self::NotYetValid,
        Self::WrongIssuer,
        Self::WrongAudience,
        Self::WrongKey,
        Self::UnknownKey,
        Self::AlgorithmNone,
        Self::PublicKeyAsSecret,
        Self::NoExpiry,
        Self::NoStart,
        Self::NoSubject,
    ];

    /// The reason that the caller gets.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Missing => "TOKEN_MISSING",
            Self::Expired => "TOKEN_EXPIRED",
            _ => "TOKEN_INVALID",
        }
    }
}

impl Issuer {
    pub(crate) fn new(id: &'static str) -> Self {
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("randomness");
        Self { id, pair: Ed25519KeyPair::from_pkcs8(der.as_ref()).expect("what was just made") }
    }

    pub(crate) fn jwks(&self) -> String {
        let x = BASE64_URL.encode(self.pair.public_key());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": x}]}).to_string()
    }

    pub(crate) fn token(&self, subject: &str, role: &str) -> String {
        self.sign(&json!({"alg": "EdDSA", "kid": self.id}), &claims(subject, role))
    }

    /// A token that would allow everything if it were valid.
    pub(crate) fn flawed(&self, flaw: Flaw) -> Option<String> {
        let header = json!({"alg": "EdDSA", "kid": self.id});
        let mut claims = claims("operators/eve", "operator");
        let mut claim = |name: &str, value: Option<Json>| {
            match value {
                Some(value) => claims[name] = value,
                None => drop(claims.as_object_mut().expect("claims").remove(name)),
            }
            Some(self.sign(&header, &claims))
        };
        match flaw {
            Flaw::Missing => None,
            Flaw::Garbage => Some("a.b.c".to_owned()),
            Flaw::Expired => claim("exp", Some(json!(now() - FAR))),
            Flaw::NotYetValid => claim("nbf", Some(json!(now() + FAR))),
            Flaw::WrongIssuer => claim("iss", Some(json!("https://elsewhere.example"))),
            Flaw::WrongAudience => claim("aud", Some(json!(["another", "jumun"]))),
            Flaw::NoExpiry => claim("exp", None),
            Flaw::NoStart => claim("nbf", None),
            Flaw::NoSubject => claim("sub", None),
            Flaw::WrongKey => Some(Self::new(self.id).sign(&header, &claims)),
            Flaw::UnknownKey => Some(self.sign(&json!({"alg": "EdDSA", "kid": "unknown"}), &claims)),
            Flaw::AlgorithmNone => {
                let signed = signed(&json!({"alg": "none", "kid": self.id}), &claims);
                Some(format!("{signed}."))
            }
            Flaw::PublicKeyAsSecret => {
                let signed = signed(&json!({"alg": "HS256", "kid": self.id}), &claims);
                let secret = hmac::Key::new(hmac::HMAC_SHA256, self.pair.public_key().as_ref());
                Some(format!("{signed}.{}", BASE64_URL.encode(hmac::sign(&secret, signed.as_bytes()))))
            }
        }
    }

    fn sign(&self, header: &Json, claims: &Json) -> String {
        let signed = signed(header, claims);
        format!("{signed}.{}", BASE64_URL.encode(self.pair.sign(signed.as_bytes())))
    }
}

fn claims(subject: &str, role: &str) -> Json {
    let now = now();
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "roles": [role, "another-application's"],
        "nbf": now, "exp": now + FAR})
}

fn signed(header: &Json, claims: &Json) -> String {
    format!("{}.{}", BASE64_URL.encode(header.to_string()), BASE64_URL.encode(claims.to_string()))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// Serves keys at a URL until it is dropped.
pub(crate) struct KeyServer {
    pub(crate) url: String,
    serving: tokio::task::AbortHandle,
}

impl KeyServer {
    pub(crate) async fn start(document: Arc<Mutex<String>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
        let serve = async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let body = document.lock().expect("no panic while it was locked").clone();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        };
        Self { url, serving: tokio::spawn(serve).abort_handle() }
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
