use super::{
    folder::{
        AUTHORITY_KEY_FILE, FolderError, GOSSIP_KEYS_FILE, gossip_keys, make_authority, make_node, read,
    },
    *,
};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

const NOW: u64 = 1_795_000_000_000_000;

fn node(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}
fn roles() -> Vec<String> {
    ["gateway", "channels"].map(str::to_owned).into()
}

/// A folder that is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("waggle-credentials-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_certificate_names_its_node_and_its_roles() {
    let (authority, kept) = Authority::make(NOW).unwrap();
    let issued = authority.issue(&node("Node_1.eu-a"), &roles(), NOW, 90).unwrap();
    let credentials = Credentials::of(&kept.certificate, &issued).unwrap();
    assert_eq!(credentials.node().unwrap(), node("Node_1.eu-a"));
    assert_eq!(credentials.roles().unwrap().to_string(), roles().join(", "));
    let authority = Credentials::of(&kept.certificate, &kept).unwrap();
    assert!(matches!(authority.node(), Err(UnnamedError::Names(0))), "an authority is no node");
}

#[test]
fn a_folder_is_made_once_keys_are_secret_and_what_is_there_stays() {
    let folder = Folder::new("once");
    make_authority(&folder.0, NOW).unwrap();
    let files = make_node(&folder.0, &node("n"), &roles(), NOW, 90).unwrap();
    for secret in [folder.0.join(AUTHORITY_KEY_FILE), folder.0.join(GOSSIP_KEYS_FILE), files[2].clone()] {
        assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600, "{secret:?}");
    }
    let before = fs::read(&files[1]).unwrap();
    for again in [make_authority(&folder.0, NOW), make_node(&folder.0, &node("n"), &[], NOW, 1).map(drop)] {
        assert!(again.unwrap_err().to_string().contains(".key"), "the file in the way is named");
    }
    assert_eq!(fs::read(&files[1]).unwrap(), before);
    assert_eq!(read(&folder.0, &node("n")).unwrap().roles().unwrap().to_string(), roles().join(", "));
}

#[test]
fn files_that_are_missing_broken_or_somebody_elses_are_named() {
    let folder = Folder::new("wrong");
    make_authority(&folder.0, NOW).unwrap();
    let [_, certificate, key] = make_node(&folder.0, &node("n"), &roles(), NOW, 90).unwrap();
    let said = |error: FolderError| error.to_string();
    assert!(said(read(&folder.0, &node("m")).unwrap_err()).contains("m.pem"));
    fs::rename(&certificate, folder.0.join("m.pem")).unwrap();
    fs::rename(&key, folder.0.join("m.key")).unwrap();
    let other = said(read(&folder.0, &node("m")).unwrap_err());
    assert!(other.ends_with("was given to node n, and this is node m"), "{other}");
    fs::write(folder.0.join("m.pem"), "hello").unwrap();
    assert!(matches!(read(&folder.0, &node("m")), Err(FolderError::Pem(..))));
}

#[test]
fn keys_of_gossip_are_lines_of_digits_and_each_authority_has_its_own() {
    let (folder, other) = (Folder::new("keys"), Folder::new("keys-other"));
    for folder in [&folder, &other] {
        make_authority(&folder.0, NOW).unwrap();
    }
    let key = gossip_keys(&folder.0).unwrap()[0];
    assert_ne!(key, gossip_keys(&other.0).unwrap()[0]);
    let line = |byte: u8| format!("{byte:02x}").repeat(32);
    fs::write(folder.0.join(GOSSIP_KEYS_FILE), format!("{}\n{}\n", line(0xab), line(1))).unwrap();
    assert_eq!(gossip_keys(&folder.0).unwrap(), [[0xab; 32], [1; 32]]);
    for wrong in [
        "".to_owned(),
        "ab".to_owned(),
        format!("{}\n", "é".repeat(32)),
        line(2) + "0",
        (line(3) + "\n").repeat(9),
    ] {
        fs::write(folder.0.join(GOSSIP_KEYS_FILE), &wrong).unwrap();
        assert!(matches!(gossip_keys(&folder.0), Err(FolderError::Keys(_))), "{wrong:?}");
    }
}
