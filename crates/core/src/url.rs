//! Removes secrets from URLs, so that they can be logged.

/// A URL with its password, and any secret in its query, replaced by `***`.
pub fn without_password(url: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let base = match (base.split_once("://"), base.rfind('@')) {
        (Some((scheme, rest)), Some(at)) => {
            let user_info = &base[scheme.len() + 3..at];
            match user_info.split_once(':') {
                Some((user, _)) => format!("{scheme}://{user}:***{}", &rest[user_info.len()..]),
                None => base.to_owned(),
            }
        }
        _ => base.to_owned(),
    };
    match query {
        Some(query) if query.contains("password") => format!("{base}?***"),
        Some(query) => format!("{base}?{query}"),
        None => base,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_never_shown() {
        for (url, shown) in [
            ("postgres://u:secret@h:5432/db", "postgres://u:***@h:5432/db"),
            ("postgres://u:se@cret@h/db?sslmode=require", "postgres://u:***@h/db?sslmode=require"),
            ("postgres://h/db?user=u&password=secret", "postgres://h/db?***"),
            ("postgres://u@h/db", "postgres://u@h/db"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
