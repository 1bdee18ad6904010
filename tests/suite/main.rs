//! suite

mod inline;
mod store_contract;
mod world;
