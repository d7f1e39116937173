//! Writes the list of contexts: the crates that Cargo.toml names by a folder beside this one, in their order there.

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
