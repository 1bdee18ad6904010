//! The machine: operating system, sockets, disks, databases and configuration. It gives the actors what they need and
//! decides nothing that Slack's users would notice.

pub mod boot;
pub mod cli;
pub mod config;
pub mod credentials;
pub mod gateway;
pub mod links;
pub mod machine;
pub mod operator;
pub mod storage;
pub mod telemetry;
pub mod up;
