//! Page tokens: opaque, bound to the list that they came from, and worthless when anything in them was changed.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::hmac;

use jumun_core::Error;

use crate::storage::Database;

/// The length of what proves a token (HMAC-SHA256), in bytes. The longest id makes a token of 134 characters, well
/// within what the protos allow.
const PROOF_LENGTH: usize = 32;

/// Writes and reads the tokens of one list: the same caller may go on with another page size, but with nothing else.
pub struct Tokens {
    key: hmac::Key,
    list: Vec<u8>,
}

impl Tokens {
    /// The tokens of the list with these arguments. Every replica has the key, which is made with the database.
    pub async fn of(database: &Database, arguments: &[&str]) -> Result<Self, Error> {
        Ok(Self::signed(database.page_key().await?.clone(), arguments))
    }

    fn signed(key: hmac::Key, arguments: &[&str]) -> Self {
        // With their lengths, so that no two lists look alike.
        let bytes = |argument: &&str| [&(argument.len() as u64).to_be_bytes(), argument.as_bytes()].concat();
        Self { key, list: arguments.iter().flat_map(bytes).collect() }
    }

    /// The token of the page after this position.
    pub fn write(&self, position: &str) -> String {
        let proof = hmac::sign(&self.key, &self.signed_bytes(position.as_bytes()));
        BASE64_URL_SAFE_NO_PAD.encode([proof.as_ref(), position.as_bytes()].concat())
    }

    /// The position that a token stands for; None without a token.
    pub fn read(&self, token: &str) -> Result<Option<String>, String> {
        if token.is_empty() {
            return Ok(None);
        }
        let position = || {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
            let (proof, position) = bytes.split_at_checked(PROOF_LENGTH)?;
            hmac::verify(&self.key, &self.signed_bytes(position), proof).ok()?;
            String::from_utf8(position.to_vec()).ok()
        };
        position().map(Some).ok_or_else(|| "is not the next_page_token of a list with these arguments".to_owned())
    }

    fn signed_bytes(&self, position: &[u8]) -> Vec<u8> {
        [self.list.as_slice(), position].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(key: u8, arguments: &[&str]) -> Tokens {
        Tokens::signed(hmac::Key::new(hmac::HMAC_SHA256, &[key; 32]), arguments)
    }

    #[test]
    fn a_token_serves_only_the_list_it_came_from() {
        let list = ["things", "", "state = OPEN"];
        let token = tokens(1, &list).write("abc");
        assert_eq!(tokens(1, &list).read(&token), Ok(Some("abc".to_owned())));
        assert_eq!(tokens(1, &list).read(""), Ok(None));
        for other in [["shelves", "", "state = OPEN"], ["things", "create_time", "state = OPEN"], ["things", "", ""]] {
            assert!(tokens(1, &other).read(&token).is_err(), "{other:?}");
        }
        assert!(tokens(1, &["things", "state = ", "OPEN"]).read(&token).is_err(), "arguments do not run together");
        assert!(tokens(2, &list).read(&token).is_err(), "another database has another key");
    }

    #[test]
    fn a_token_that_was_changed_anywhere_is_none() {
        let tokens = tokens(1, &["things"]);
        let token = tokens.write(&"a".repeat(68));
        assert!(token.len() <= 134, "{}", token.len());
        for index in 0..token.len() {
            let mut changed = token.clone();
            changed.replace_range(index..=index, if &token[index..=index] == "A" { "B" } else { "A" });
            assert!(tokens.read(&changed).is_err(), "{index}");
        }
        assert!(tokens.read(&token[1..]).is_err() && tokens.read(&token[..token.len() - 1]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn nothing_made_up_is_a_token(token in "[A-Za-z0-9_-]{1,200}", text in ".{1,64}") {
            let tokens = tokens(1, &["things"]);
            proptest::prop_assert!(tokens.read(&token).is_err() && tokens.read(&text).is_err());
        }
    }
}
