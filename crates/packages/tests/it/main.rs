//! Version order held against fixtures, against its laws, and against the
//! tools whose answers it must give.

mod fixtures;
mod generate;
mod laws;
mod observed;
mod oracles;
