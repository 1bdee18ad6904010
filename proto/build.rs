//! Compiles `schema/*.proto` with protox (no protoc to install) into prost types and their canonical JSON mapping.

use prost::Message;
use std::{env, fs, path::PathBuf};

#[allow(clippy::disallowed_methods, reason = "cargo tells a build script where to write by the environment")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["event.proto", "session.proto", "record.proto", "link.proto", "peer.proto", "store.proto"];
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let set = protox::compile(files, ["schema"])?;
    let bytes = set.encode_to_vec();
    fs::write(out.join("descriptor.bin"), &bytes)?;
    prost_build::Config::new()
        .skip_protoc_run()
        .bytes([
            ".waggle.v1.LinkEnvelope",
            ".waggle.v1.Call",
            ".waggle.v1.Answer",
            ".waggle.v1.Notice",
            ".waggle.v1.Piece",
        ])
        .file_descriptor_set_path(out.join("descriptor.bin"))
        .compile_fds(set)?;
    pbjson_build::Builder::new()
        .register_descriptors(&bytes)?
        .ignore_unknown_fields()
        .build(&[".waggle.v1"])?;
    println!("cargo:rerun-if-changed=schema");
    Ok(())
}
