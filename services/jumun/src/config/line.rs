//! How a setting is printed.

use std::{fmt::Display, path::PathBuf};

/// Takes a setting's name and value.
pub(super) type Line<'a> = dyn FnMut(&str, &dyn Display) + 'a;

/// A path that may not be set.
pub(super) fn shown(path: Option<&PathBuf>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}
