//! The `waggle` binary.

fn main() {}
