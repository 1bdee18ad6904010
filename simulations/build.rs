//! Exports the C functions that `waggle-sim` overrides, for crates that look them up at run time.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for name in ["getrandom", "getentropy", "clock_gettime"] {
        println!("cargo:rustc-link-arg-bin=waggle-sim=-Wl,--export-dynamic-symbol={name}");
    }
}
