//! suite

mod inline;
mod store_contract;
mod tidy;
mod world;
