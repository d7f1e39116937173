//! Tokens that another implementation signed (Python's cryptography 48), under keys of each kind.

use jumun_core::{Role, RoleTable, Roles};

use super::*;
use crate::{mint::Claims, token::Expected};

/// The roles of the tokens, and two that they do not have.
const CUSTOMER: Role = Role::new(1);
const STORE: Role = Role::new(2);
const OPERATOR: Role = Role::new(3);
const SERVICE: Role = Role::new(4);
const ROLES: RoleTable = RoleTable {
    names: &[(CUSTOMER, "CUSTOMER"), (STORE, "STORE"), (OPERATOR, "OPERATOR"), (SERVICE, "SERVICE")],
    service: SERVICE,
    unrestricted: Roles::of(&[OPERATOR, SERVICE]),
};

const NOW: u64 = 1500;
const JWKS: &str = r#"{"keys": [
{"kty":"RSA","kid":"rsa","use":"sig","alg":"RS256","n":"ulnGIQNy3t3zOgaAJ44wS5DsXrOhrKpJOMywX5hVMOFE-1V5fII7lqsiP8rprnQd1dzT2s3SQKzWqm8QDQiR7As0Cs3rOcM8asaCe_K0VQX1tfSh_hCQCxy1EeCLefivXz1_VGVw_FlO9k3OGOTmi8KvUlJE5vKSyjmHUBf7Em14TaBUu5B-eK6aKtPqHxcPQ-CRk0Ls3wnFLm1_VZolzyg2bqWvYPoCOrGrlycZLuplTiPyrNTccVFhNLw9K81_nn_-4q4FMzaegVp6cgHGmG1sVg06no1dsR2xMiP0i6ZqhRyF4PNLOrdkgsR0FE6AQkaE1IdVEaAFPy_uX6DLZQ","e":"AQAB"},
{"kty":"EC","crv":"P-256","kid":"ec","x":"4-boUnu9LnUJbHna49yfiEdOJY8d8iahoDjuLhrbjz0","y":"_We-UPLe3ags5gwp5asvWTf-RnqJ2Fwio300JOg0VDc"},
{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"p4UhjRx6Uw0OdFsatJUdtVdsvEm2-CMMieH95sX9GUA"}
]}"#;
const RS256: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSJ9.eyJpc3MiOiJpc3N1ZXIiLCJhdWQiOlsib3RoZXIiLCJqdW11biJdLCJzdWIiOiJjdXN0\
    b21lcnMvbWluYSIsInJvbGVzIjpbImN1c3RvbWVyIiwic3RvcmUiXSwibmJmIjoxMDAwLCJleHAiOjIwMDAuNX0.F4XoLmE2rWzo3aJxM\
    GwRsnDUbvxITE9p2myqG1XKj4yFEN7FksJwU2lb4TpjPtDZ_N_gf2IEh15tmg5Vk1V5OgIMoAFP8yZ2Ec5IDnJGB_zVrb8Cs-UOlX_cf5\
    XK-T2XdWdg0hN7GaJyHkhLEIRWhvR_KgPIctNlUjKHReXyUbho9Ii22Vg2tmnyo3a8JMDy7LIrkAK4O9HcmBSg1ZH2z9u5tq05XJTp-io\
    2Y9fEPzhtATjMaJeOhUG9ERZlKCE2XWmNi-gWwawFWTzy8wp1qFpv5qfdax_l-ALKa7PObDYZ0SpVXJmrM3NVVlBqi839kvO-uD_XeGlP\
    DJLTYD9hFw";
const ES256: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImVjIn0.eyJpc3MiOiJpc3N1ZXIiLCJhdWQiOlsib3RoZXIiLCJqdW11biJdLCJzdWIiOiJjdXN0b\
    21lcnMvbWluYSIsInJvbGVzIjpbImN1c3RvbWVyIiwic3RvcmUiXSwibmJmIjoxMDAwLCJleHAiOjIwMDAuNX0.UkP9Hy1-WsJUmYD2ap\
    piRu6flNDqNUUNeMVQoyfQGmc6tYXbVFZUriFfjwiJyaoT2G1-gyKn_9Gl4CSvDGU3GA";
const EDDSA: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6ImVkIn0.eyJpc3MiOiJpc3N1ZXIiLCJhdWQiOlsib3RoZXIiLCJqdW11biJdLCJzdWIiOiJjdXN0b\
    21lcnMvbWluYSIsInJvbGVzIjpbImN1c3RvbWVyIiwic3RvcmUiXSwibmJmIjoxMDAwLCJleHAiOjIwMDAuNX0.zqPWovJDAVjYhM481b\
    2ikAuDEfMXVvnEbv1jG0uKsNxlv5go5m_1l1ZMHKkgg45cYR34_tqDs55VYArGHYAeBQ";

fn expected() -> Expected {
    Expected { issuer: "issuer".to_owned(), audience: "jumun".to_owned(), roles: ROLES }
}

fn keys() -> KeySet {
    KeySet::read(JWKS.to_owned(), None).expect("keys")
}

/// A token with another header and the same signature.
fn with_header(token: &str, header: &str) -> String {
    let (_, rest) = token.split_once('.').expect("three parts");
    format!("{}.{rest}", BASE64_URL.encode(header))
}

#[test]
fn each_kind_of_key_verifies_what_another_implementation_signed() {
    for token in [RS256, ES256, EDDSA] {
        let verified = expected().verify(token, &keys(), NOW).unwrap_or_else(|error| panic!("{error:?}: {token}"));
        assert_eq!(verified.principal.subject, "customers/mina");
        assert_eq!(verified.principal.roles, Roles::of(&[CUSTOMER, STORE]));
        assert_eq!(verified.expires, 2030, "with the leeway");
    }
}

#[test]
fn a_changed_token_is_rejected() {
    for token in [RS256, ES256, EDDSA] {
        for at in [token.len() - 5, token.len() / 2, 3] {
            let mut changed = token.to_owned().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert!(expected().verify(&changed, &keys(), NOW).is_err(), "{at} of {token}");
        }
    }
}

#[test]
fn the_key_decides_the_algorithm() {
    for (id, algorithm) in
        [("ed", "none"), ("ed", "HS256"), ("ed", "ES256"), ("rsa", "PS256"), ("rsa", "RS384"), ("ec", "EdDSA")]
    {
        let token = with_header(EDDSA, &format!(r#"{{"alg":"{algorithm}","kid":"{id}"}}"#));
        let error = expected().verify(&token, &keys(), NOW).err();
        assert_eq!(error, Some(TokenError::Invalid("its algorithm differs from its key's")), "{algorithm}");
    }
    let token = with_header(EDDSA, r#"{"alg":"EdDSA","kid":"ed","crit":["b64"],"b64":false}"#);
    assert_eq!(expected().verify(&token, &keys(), NOW).err(), Some(TokenError::Invalid("it has a critical extension")));
}

#[test]
fn validity_is_checked_with_the_leeway() {
    for (now, error) in [
        (969, Some(TokenError::Invalid("it is not valid yet"))),
        (970, None),
        (2029, None),
        (2030, Some(TokenError::Expired)),
    ] {
        assert_eq!(expected().verify(EDDSA, &keys(), now).err(), error, "{now}");
    }
}

#[test]
fn a_cached_token_is_not_returned_after_it_expires() {
    let keys = keys();
    assert!(keys.cached(EDDSA, NOW).is_none());
    keys.cache(EDDSA, expected().verify(EDDSA, &keys, NOW).expect("a token"), NOW);
    assert!(keys.cached(EDDSA, NOW).is_some() && keys.cached(RS256, NOW).is_none());
    assert!(keys.cached(EDDSA, 2030).is_none());
}

#[test]
fn the_cache_of_tokens_is_bounded() {
    let keys = keys();
    let principal = expected().verify(EDDSA, &keys, NOW).expect("a token").principal;
    for number in 0..=MAX_CACHED_TOKENS {
        keys.cache(&number.to_string(), Verified { principal: principal.clone(), expires: 1600 }, NOW);
    }
    let remembered = keys.verified.lock().expect("nobody panics with it").len();
    assert!((1..=MAX_CACHED_TOKENS).contains(&remembered), "{remembered}");
}

#[test]
fn the_service_key_grants_no_role_but_service() {
    let folder = std::env::temp_dir().join(jumun_core::name::new_id());
    let key = SigningKey::create(&folder.join("key.pem")).expect("a key");
    std::fs::remove_dir_all(&folder).expect("it was made");
    let claims = Claims {
        issuer: "issuer",
        audience: "jumun",
        subject: "services/order",
        roles: &[OPERATOR, SERVICE],
        table: &ROLES,
        ttl: std::time::Duration::from_secs(60),
    };
    let token = key.sign(&claims);
    let now = crate::token::unix_now();
    let with_key = KeySet::read(JWKS.to_owned(), Some(&key)).expect("keys");
    let verified = expected().verify(&token, &with_key, now).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(verified.principal.roles, Roles::of(&[SERVICE]));
    assert_eq!(expected().verify(&token, &keys(), now).err(), Some(TokenError::UnknownKey));
}

#[test]
fn a_set_without_a_usable_key_is_rejected() {
    for wrong in [
        "",
        "[]",
        r#"{"keys": []}"#,
        r#"{"keys": [{"kty": "oct", "k": "AAAA"}]}"#,
        r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "use": "enc"}]}"#,
        r#"{"keys": [{"kty": "RSA", "alg": "PS256", "n": "AQAB", "e": "AQAB"}]}"#,
    ] {
        assert!(KeySet::read(wrong.to_owned(), None).is_err(), "{wrong}");
    }
    let many = vec![r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#; MAX_KEYS + 1].join(",");
    assert!(KeySet::read(format!(r#"{{"keys": [{many}]}}"#), None).is_err());
}
