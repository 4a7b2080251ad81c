//! The whole crate on real and on hostile images.
//!
//! The images are those of the shared corpus; `LAZARET_CORPUS` names the
//! folder that its `build.py` wrote. Without it these tests say that they were
//! skipped, and pass.

mod accuracy;
mod differential;
mod hostile;
mod layout;
