//! Resource names (AIP-122) and ids.

use ring::digest::{SHA256, digest};
use uuid::Uuid;

use crate::Time;

/// The longest id within a resource name.
const MAX_ID_LENGTH: usize = 63;

/// The id in `collection/{id}`, e.g. "mina" of "readers/mina".
pub fn id_in<'a>(collection: &str, name: &'a str) -> Result<&'a str, String> {
    name.strip_prefix(collection)
        .and_then(|rest| rest.strip_prefix('/'))
        .filter(|id| is_id(id))
        .ok_or_else(|| {
            format!("must be {collection}/{{id}}, where id is 1 to {MAX_ID_LENGTH} of a-z, 0-9 and -, and begins and ends with a letter or digit")
        })
}

/// Whether `name` is any `collection/{id}`.
pub fn is_name(name: &str) -> bool {
    name.split_once('/').is_some_and(|(collection, id)| {
        !collection.is_empty() && collection.bytes().all(|byte| byte.is_ascii_alphabetic()) && is_id(id)
    })
}

fn is_id(id: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=MAX_ID_LENGTH).contains(&id.len())
        && id.bytes().all(|byte| inner(byte) || byte == b'-')
        && id.bytes().next().is_some_and(inner)
        && id.bytes().last().is_some_and(inner)
}

/// A new UUID (version 7): sorts by time.
#[allow(clippy::disallowed_methods, reason = "it is the one place")]
pub fn new_id() -> String {
    Uuid::now_v7().to_string()
}

/// The id of what `reason` led to at `time`: the same each time, and a UUID (version 7), so it sorts by time, too.
pub fn id_of(time: Time, reason: &str) -> String {
    let millis = u64::try_from(time.0 / 1_000).unwrap_or_default();
    let hash = digest(&SHA256, reason.as_bytes());
    let random = hash.as_ref().first_chunk().copied().unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string()
}

/// Tells a request's repetition from another request under the same `request_id`.
pub fn fingerprint(message: &impl prost::Message) -> String {
    short_hash(&message.encode_to_vec())
}

/// Half of a SHA-256, in hexadecimal digits.
pub fn short_hash(bytes: &[u8]) -> String {
    let hash = digest(&SHA256, bytes);
    let half = hash.as_ref().first_chunk().copied().unwrap_or_default();
    format!("{:032x}", u128::from_be_bytes(half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_a_reason_has_its_id_and_sorts_by_time() {
        let id = |time, reason| id_of(Time(time), reason);
        assert_eq!(id(1_700_000_000_000_000, "thing/a/1"), id(1_700_000_000_000_999, "thing/a/1"));
        assert_ne!(id(1_700_000_000_000_000, "thing/a/1"), id(1_700_000_000_000_000, "thing/a/2"));
        assert!(id(1_700_000_000_000_000, "thing/a/2") < id(1_700_000_000_001_000, "thing/a/1"));
        assert!(is_id(&id(0, "")) && id(0, "").as_bytes()[14] == b'7');
    }

    #[test]
    fn a_name_is_a_collection_and_an_id() {
        assert_eq!(id_in("things", "things/a-1"), Ok("a-1"));
        for wrong in
            ["", "things", "things/", "things/A", "things/a/b", "thing/a", "things/-a", "things/a-", "things/a b"]
        {
            assert!(id_in("things", wrong).is_err(), "{wrong:?}");
        }
        assert!(id_in("things", &format!("things/{}", "a".repeat(64))).is_err());
    }
}
