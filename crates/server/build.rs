//! Builds again when the portal was built: its files are embedded.

fn main() {
    println!("cargo:rerun-if-changed=../../portal/dist");
}
