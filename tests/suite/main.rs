//! Everything that runs outside the crates: real processes and sockets, stores of every kind, the house itself.

mod core;
mod disk;
mod fold;
mod inline;
mod kill;
mod native;
mod serve;
mod slack;
mod store_contract;
mod tidy;
mod up;
mod world;
