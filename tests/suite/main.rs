//! suite

mod world;
