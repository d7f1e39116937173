//! Generates the list of contexts: the dependencies in Cargo.toml with a path next to this crate, in that order.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=Cargo.toml");
    let manifest = fs::read_to_string("Cargo.toml")?;
    let contexts = manifest.lines().filter_map(|line| {
        let (name, folder) = line.split_once(" = { path = \"../")?;
        (folder == format!("{name}\" }}")).then(|| format!("{name}::context(), "))
    });
    let list = format!("vec![{}]", contexts.collect::<String>());
    Ok(fs::write(Path::new(&env::var("OUT_DIR")?).join("contexts.rs"), list)?)
}
