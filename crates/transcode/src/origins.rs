//! Which web pages of other origins may call (CORS). None, unless it is said.

use std::str::FromStr;

use http::{HeaderValue, Uri};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};

/// Origins whose pages may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

/// Stands for every origin.
const ANY: &str = "*";

impl Origins {
    /// The policy that lets them call, and nobody else; None: it lets nobody.
    pub(crate) fn policy(&self) -> Option<CorsLayer> {
        let allowed = match self.0.as_slice() {
            [] => return None,
            [any] if any == ANY => AllowOrigin::any(),
            exact => AllowOrigin::list(exact.iter().filter_map(|origin| HeaderValue::try_from(origin).ok())),
        };
        Some(
            CorsLayer::new()
                .allow_origin(allowed)
                .allow_methods(AllowMethods::mirror_request())
                .allow_headers(AllowHeaders::mirror_request())
                .expose_headers(ExposeHeaders::any()),
        )
    }
}

impl FromStr for Origins {
    type Err = String;

    /// Reads exact origins joined by commas, or `*`.
    fn from_str(text: &str) -> Result<Self, String> {
        let origins: Vec<_> = text.split(',').map(str::trim).filter(|origin| !origin.is_empty()).collect();
        if origins.len() > 1 && origins.contains(&ANY) {
            return Err("* stands for every origin: let it stand alone".to_owned());
        }
        if let Some(wrong) = origins.iter().find(|origin| **origin != ANY && !is_origin(origin)) {
            return Err(format!("{wrong:?} is not an origin: scheme://host or scheme://host:port, without a path"));
        }
        Ok(Self(origins.into_iter().map(str::to_owned).collect()))
    }
}

impl std::fmt::Display for Origins {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0.join(","))
    }
}

/// Whether a browser would write it so.
fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"));
    let authority = uri.authority().filter(|authority| !authority.as_str().contains(['@', '*']));
    let written = scheme.zip(authority).map(|(scheme, authority)| format!("{scheme}://{authority}"));
    written.is_some_and(|written| written == text && written == text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_exact() {
        for (right, count) in
            [("", 0), ("*", 1), ("https://app.example", 1), ("http://127.0.0.1:5173, https://a.example", 2)]
        {
            assert_eq!(right.parse::<Origins>().map(|origins| origins.0.len()), Ok(count), "{right}");
        }
        for wrong in [
            "app.example",
            "https://app.example/",
            "https://app.example/x",
            "https://*.example",
            "https://App.example",
            "https://a@app.example",
            "ftp://app.example",
            "null",
            "*,https://app.example",
        ] {
            let origins = wrong.parse::<Origins>();
            // A star in a host is no origin that a browser sends; it matches nobody, so it is a mistake.
            assert!(origins.is_err(), "{wrong}: {origins:?}");
        }
    }
}
