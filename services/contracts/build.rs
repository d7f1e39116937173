//! Generates Rust from every file below `proto/jumun`, with protox instead of protoc. Nothing generated is in git.

#[path = "build/checks.rs"]
mod checks;
#[path = "build/events.rs"]
mod events;
#[path = "build/rules.rs"]
mod rules;
#[path = "build/wording.rs"]
mod wording;

use std::path::{Path, PathBuf};
use std::{env, error::Error, fs};

const PROTO_DIR: &str = "../../proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO_DIR}");
    println!("cargo:rerun-if-changed=build");
    let mut files = Vec::new();
    collect_protos(&Path::new(PROTO_DIR).join("jumun"), &mut files)?;
    files.sort();

    let mut compiler = protox::Compiler::new([PROTO_DIR])?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    // The encoded set keeps custom options (google.api.http, buf.validate), which the typed one drops.
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    fs::write(out_dir.join("checks.rs"), checks::generate(&compiler.descriptor_pool())?)?;
    fs::write(out_dir.join("events.rs"), events::generate(&compiler.descriptor_pool())?)?;
    tonic_prost_build::configure()
        .compile_well_known_types(false)
        .include_file("packages.rs")
        .codec_path("crate::validation::CheckingCodec")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

fn collect_protos(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect_protos(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
