use super::*;
use std::fmt::Write;

/// Section, the room's source, its type.
const ROOMS: [(&str, &str, &str); 6] = [
    ("node", include_str!("../config.rs"), "Node"),
    ("cluster", include_str!("cluster.rs"), "Cluster"),
    ("gateway", include_str!("../gateway/config.rs"), "Config"),
    ("storage", include_str!("../storage.rs"), "StorageConfig"),
    ("actors", include_str!("../../../actors/src/config.rs"), "Config"),
    ("log", include_str!("../config.rs"), "Log"),
];

/// Fields of a struct in its source: name and doc comment.
fn fields(source: &str, name: &str) -> Vec<(String, Vec<String>)> {
    let start = source.find(&format!("pub struct {name} {{")).unwrap();
    let (mut fields, mut docs) = (Vec::new(), Vec::new());
    for line in source[start..].lines().skip(1).map(str::trim).take_while(|line| *line != "}") {
        if let Some(doc) = line.strip_prefix("/// ") {
            docs.push(doc.replace('`', ""));
        } else if let Some((field, _)) = line.strip_prefix("pub ").and_then(|rest| rest.split_once(':')) {
            fields.push((field.to_owned(), std::mem::take(&mut docs)));
        }
    }
    fields
}

/// The text that explains the rooms as they are in the source.
fn explained() -> String {
    let head = EXPLAINED.split("\n\n").next().unwrap();
    let defaults = Table::try_from(Config::default()).unwrap();
    let mut text = format!("{head}\n");
    for (section, source, name) in ROOMS {
        writeln!(text, "\n[{section}]").unwrap();
        let fields = fields(source, name);
        let known = defaults[section].as_table().unwrap();
        assert_eq!(
            fields.len(),
            known.len(),
            "{section}: every field has a default and a name in the source"
        );
        for (field, docs) in fields {
            assert!(!docs.is_empty(), "{section}.{field} is not explained");
            docs.iter().for_each(|doc| writeln!(text, "# {doc}").unwrap());
            writeln!(text, "{field} = {}", known[&field]).unwrap();
        }
    }
    text
}

fn loaded(environment: &[(&str, &str)], sets: &[&str]) -> Result<Config, ConfigError> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    load(Sources {
        environment: environment.iter().map(own).collect(),
        sets: sets.iter().map(|set| (*set).to_owned()).collect(),
        ..Default::default()
    })
}

#[test]
fn the_shipped_file_says_what_the_rooms_say() {
    let text = explained();
    assert!(text == EXPLAINED, "cells/config/default.toml should be:\n{text}");
}

#[test]
fn the_shipped_file_is_the_default() {
    let shipped: Config = toml::from_str(EXPLAINED).unwrap();
    assert_eq!(Table::try_from(shipped).unwrap(), Table::try_from(Config::default()).unwrap());
}

#[test]
fn a_flag_wins_over_the_environment_that_over_the_file_and_that_over_the_default() {
    let file = std::env::temp_dir().join(format!("waggle-config-{}.toml", std::process::id()));
    fs::write(
        &file,
        "[node]\ndata = \"/file\"\n[gateway]\nlisten = \"file:1\"\nbody_bytes_max = 5000\nargs_max = 7\n",
    )
    .unwrap();
    let sources = Sources {
        file: Some(file.clone()),
        environment: vec![
            ("WAGGLE_GATEWAY__LISTEN".into(), "environment:2".into()),
            ("WAGGLE_GATEWAY__BODY_BYTES_MAX".into(), "6000".into()),
            ("HOME".into(), "/".into()),
            ("WAGGLE_DATA".into(), "/default".into()),
        ],
        flags: vec![("--listen", "gateway", "listen", "flag:3".into())],
        sets: Vec::new(),
    };
    let config = load(sources).unwrap();
    fs::remove_file(file).unwrap();
    assert_eq!(config.gateway.listen, "flag:3");
    assert_eq!(config.node.data.to_str(), Some("/file"), "$WAGGLE_DATA is a default");
    assert_eq!(config.gateway.body_bytes_max, 6000);
    assert_eq!(config.gateway.args_max, 7);
    assert_eq!(config.gateway.calls_max, 1024);
}

#[test]
fn values_take_the_type_of_their_setting() {
    let config = loaded(
        &[("WAGGLE_GATEWAY__TRUSTED", "10.0.0.1, ::1"), ("WAGGLE_NODE__NAME", "7"), ("WAGGLE_DATA", "/d")],
        &["node.bootstrap=none", "log.format=json", "gateway.trusted=[]"],
    )
    .unwrap();
    assert_eq!(config.gateway.trusted, Vec::<std::net::IpAddr>::new());
    assert_eq!((config.node.name.as_str(), config.node.data.to_str()), ("7", Some("/d")));
    assert_eq!((config.node.bootstrap, config.log.format), (Bootstrap::None, Format::Json));
    let named = loaded(&[("WAGGLE_DATA", "/d"), ("WAGGLE_NODE__DATA", "/e")], &[]).unwrap();
    assert_eq!(named.node.data.to_str(), Some("/e"));
}

#[test]
fn what_is_unknown_or_senseless_is_an_error_that_names_it() {
    /// Environment, `--set`s, what the error says.
    type Case = (&'static [(&'static str, &'static str)], &'static [&'static str], &'static str);
    let cases: [Case; 19] = [
        (&[("WAGGLE_GATEWAY__LISTN", "x")], &[], "WAGGLE_GATEWAY__LISTN names no setting"),
        (&[("WAGGLE_GATWAY__LISTEN", "x")], &[], "WAGGLE_GATWAY__LISTEN names no setting"),
        (&[("WAGGLE_GATEWAY__ARGS_MAX", "many")], &[], "WAGGLE_GATEWAY__ARGS_MAX cannot be \"many\""),
        (&[("WAGGLE_GATEWAY__ARGS_MAX", "-1")], &[], "invalid value: integer `-1`"),
        (&[], &["node.nam=x"], "--set node.nam names no setting"),
        (&[], &["x"], "--set takes SECTION.KEY=VALUE"),
        (&[], &["node.name=a b"], "node.name: \"a b\" cannot name"),
        (&[], &["node.roles=gateway,cook"], "there is no role \"cook\""),
        (&[], &["node.roles=gateway"], "a node without role \"channels\" needs other nodes"),
        (&[], &["cluster.seeds=a:1"], "cluster.seeds: other nodes need cluster.credentials"),
        (&[], &["cluster.store=a"], "cluster.store: other nodes need cluster.credentials"),
        (&[], &["cluster.credentials=c"], "cluster.members: has to name the nodes with role \"channels\""),
        (
            &[],
            &["cluster.credentials=c", "cluster.members=node-1", "cluster.store=s"],
            "is \"s\", and this node has role",
        ),
        (
            &[("WAGGLE_NODE__ROLES", "channels"), ("WAGGLE_CLUSTER__MEMBERS", "node-1")],
            &["cluster.credentials=c"],
            "a node without role \"store\" has to know who has it",
        ),
        (&[], &["cluster.credentials=c", "cluster.listen=x"], "cluster.listen: \"x\""),
        (&[], &["actors.public_url=example.com"], "actors.public_url: \"example.com\" is no http(s) URL"),
        (&[], &["actors.public_url=own"], "actors.public_url: \"own\" is no http(s) URL"),
        (&[], &["actors.gateway_url=http://a b/"], "actors.gateway_url: \"http://a b/\" is no http(s) URL"),
        (
            &[],
            &[
                "cluster.credentials=c",
                "cluster.members=node-1",
                "cluster.store=node-1",
                "node.roles=channels,store",
                "actors.gateway_url=own",
            ],
            "actors.gateway_url: a node without role \"gateway\" is nobody's home",
        ),
    ];
    for (environment, sets, expected) in cases {
        let error = loaded(environment, sets).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} does not contain {expected:?}");
    }
}

#[test]
fn an_error_in_the_file_names_file_line_and_key() {
    let file = std::env::temp_dir().join(format!("waggle-wrong-{}.toml", std::process::id()));
    for (text, expected) in [
        ("[gateway]\nlistn = \"x\"\n", "unknown field `listn`"),
        ("[gatway]\n", "unknown field `gatway`"),
        ("[gateway]\nargs_max = \"x\"\n", "line 2"),
        ("[gateway\n", "line 1"),
    ] {
        fs::write(&file, text).unwrap();
        let error = load(Sources { file: Some(file.clone()), ..Default::default() }).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("waggle-wrong-"), "{error}");
    }
    fs::remove_file(&file).unwrap();
    let error = load(Sources { file: Some(file), ..Default::default() }).unwrap_err();
    assert!(matches!(error, ConfigError::Unreadable(..)));
}
