//! Tokens that another implementation signed (Python's cryptography 48), under keys of each kind.

use jumun_core::{Role, RoleTable, Roles};

use super::*;
use crate::{mint::Claims, token::Expected};

/// The roles that the tokens name, and one that they do not.
const READER: Role = Role::new(1);
const WRITER: Role = Role::new(2);
const OPERATOR: Role = Role::new(3);
const SERVICE: Role = Role::new(4);
const ROLES: RoleTable = RoleTable {
    names: &[(READER, "READER"), (WRITER, "WRITER"), (OPERATOR, "OPERATOR"), (SERVICE, "SERVICE")],
    service: SERVICE,
    unrestricted: Roles::of(&[OPERATOR, SERVICE]),
};

const NOW: u64 = 1500;
const JWKS: &str = r#"{"keys": [
{"kty":"RSA","kid":"rsa","use":"sig","alg":"RS256","n":"vqt_lVnR4x251b6pG8-_TooO1W_7YxIu5IMajd8SUtXuwnzJkavpaX_ZBzNzTmOhVtnJH4w3DkzM0PbeuMZLAU6zrc7pvkWqFCzjc5YeGnXam1hjaPJM1aYOXJPQeKqOc7jU51OageJM8RG7J-kiqcop446b0-WTPum0sYDVQ7_Gi3yNiHlSxoo-kCYdgAjFbWtTslpBIuTrG820RGMg5RwKPplqc4dtxBk-uVt2TCiiQt0D52kGMGJ1vidhP_pop7yj4LZGClS2ZzJvf_MqGiUiR_men9bHRV-aV5GaIDX3G2VuzODMAbzbsAOdqoiL4WmsMGISFtEBVY0hC857XQ","e":"AQAB"},
{"kty":"EC","crv":"P-256","kid":"ec","x":"DlmN3naAqp4ptj6PKMdF4QkbLj3lqkQGXsB7Wg4767I","y":"hIEFfrV4c8WV9p-bT0pse49OPO--jQQX2WS9KtXUrMg"},
{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"7HGyoWgVwGQWdYi7C3guYj8xJJLihoxSQ24c8VlDMjA"}
]}"#;
const RS256: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSJ9.eyJpc3MiOiJpc3N1ZXIiLCJhdWQiOlsib3RoZXIiLCJqdW11biJdLCJz\
    dWIiOiJyZWFkZXJzL21pbmEiLCJyb2xlcyI6WyJyZWFkZXIiLCJ3cml0ZXIiXSwibmJmIjoxMDAwLCJleHAiOjIwMDAuNX0.N2IQvfrofe\
    aW6cOi_-CIs8vQbcw8xax4fkcsPHFWjsqcLMsBrlAax0JsMQUCjhNJP9ro8R7nWy1fLtxwqZIM-udeYlo2-EmqUncAZZNc_PHXubT56hcs\
    XCA-0br8971DYc5l2IcHqhpTddbYHxm3S6bQX2IHk8cXU4i1szFJAWsPRobv8eUCowk91uKq4QlWJpxuiyKoNYIR8r7ejmHkrnzNNrseoN\
    dHITI6GkVJCAeEPKLdbl_IDu_OTvPTNn0u6kxyWQ5SIZqLsJJFfWidaJ1o0PbmcvsrrZFRwibPMcZ70pOcs_rOJyUx4P1hv78Y9cNCme0Y\
    1DakMaRRNUQ76Q";
const ES256: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImVjIn0.eyJpc3MiOiJpc3N1ZXIiLCJhdWQiOlsib3RoZXIiLCJqdW11biJdLCJzd\
    WIiOiJyZWFkZXJzL21pbmEiLCJyb2xlcyI6WyJyZWFkZXIiLCJ3cml0ZXIiXSwibmJmIjoxMDAwLCJleHAiOjIwMDAuNX0.aZZtTdWxEqd\
    3-GxMJA3Vfe-TQc-yv4XFUpFRaMaKbodGjnF2FYb-LCTs5oVcxYDe5hv3gJ-0HIYtCFbrDIU_zw";
const EDDSA: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6ImVkIn0.eyJpc3MiOiJpc3N1ZXIiLCJhdWQiOlsib3RoZXIiLCJqdW11biJdLCJzd\
    WIiOiJyZWFkZXJzL21pbmEiLCJyb2xlcyI6WyJyZWFkZXIiLCJ3cml0ZXIiXSwibmJmIjoxMDAwLCJleHAiOjIwMDAuNX0.V5FKWOQCnE3\
    Oi-hf6e8WBLoxCNHnM6jJd5R0bHfvutzvPxZQpEZrNL7TtXgu3D0Na8kxJ5tbPcL-PHgYjFc2Dw";

fn expected() -> Expected {
    Expected { issuer: "issuer".to_owned(), audience: "jumun".to_owned(), roles: ROLES }
}

fn keys() -> KeySet {
    KeySet::read(JWKS.to_owned(), None).expect("keys")
}

/// A token whose header says something else, under the same signature.
fn with_header(token: &str, header: &str) -> String {
    let (_, rest) = token.split_once('.').expect("three parts");
    format!("{}.{rest}", BASE64_URL.encode(header))
}

#[test]
fn each_kind_of_key_verifies_what_another_implementation_signed() {
    for token in [RS256, ES256, EDDSA] {
        let verified = expected().verify(token, &keys(), NOW).unwrap_or_else(|fault| panic!("{fault:?}: {token}"));
        assert_eq!(verified.principal.subject, "readers/mina");
        assert_eq!(verified.principal.roles, Roles::of(&[READER, WRITER]));
        assert_eq!(verified.expires, 2030, "with the leeway");
    }
}

#[test]
fn a_changed_token_does_not_hold() {
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
        let fault = expected().verify(&token, &keys(), NOW).err();
        assert_eq!(fault, Some(Fault::Invalid("its algorithm is not its key's")), "{algorithm}");
    }
    let token = with_header(EDDSA, r#"{"alg":"EdDSA","kid":"ed","crit":["b64"],"b64":false}"#);
    assert_eq!(expected().verify(&token, &keys(), NOW).err(), Some(Fault::Invalid("it has a critical extension")));
}

#[test]
fn time_is_kept_within_the_leeway() {
    for (now, fault) in
        [(969, Some(Fault::Invalid("it is not valid yet"))), (970, None), (2029, None), (2030, Some(Fault::Expired))]
    {
        assert_eq!(expected().verify(EDDSA, &keys(), now).err(), fault, "{now}");
    }
}

#[test]
fn a_remembered_token_is_forgotten_when_it_expires() {
    let keys = keys();
    assert!(keys.recall(EDDSA, NOW).is_none());
    keys.remember(EDDSA, expected().verify(EDDSA, &keys, NOW).expect("a token"), NOW);
    assert!(keys.recall(EDDSA, NOW).is_some() && keys.recall(RS256, NOW).is_none());
    assert!(keys.recall(EDDSA, 2030).is_none());
}

#[test]
fn what_is_remembered_is_bounded() {
    let keys = keys();
    let principal = expected().verify(EDDSA, &keys, NOW).expect("a token").principal;
    for number in 0..=MAX_REMEMBERED {
        keys.remember(&number.to_string(), Verified { principal: principal.clone(), expires: 1600 }, NOW);
    }
    let remembered = keys.verified.lock().expect("nobody panics with it").len();
    assert!((1..=MAX_REMEMBERED).contains(&remembered), "{remembered}");
}

#[test]
fn the_contexts_key_makes_nobody_else_than_a_service() {
    let folder = std::env::temp_dir().join(jumun_core::name::new_id());
    let key = SigningKey::create(&folder.join("key.pem")).expect("a key");
    std::fs::remove_dir_all(&folder).expect("it was made");
    let claims = Claims {
        issuer: "issuer",
        audience: "jumun",
        subject: "services/things",
        roles: &[OPERATOR, SERVICE],
        table: &ROLES,
        ttl: std::time::Duration::from_secs(60),
    };
    let token = key.sign(&claims);
    let now = crate::token::unix_now();
    let with_key = KeySet::read(JWKS.to_owned(), Some(&key)).expect("keys");
    let verified = expected().verify(&token, &with_key, now).unwrap_or_else(|fault| panic!("{fault:?}"));
    assert_eq!(verified.principal.roles, Roles::of(&[SERVICE]));
    assert_eq!(expected().verify(&token, &keys(), now).err(), Some(Fault::UnknownKey));
}

#[test]
fn a_set_without_a_usable_key_is_refused() {
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
