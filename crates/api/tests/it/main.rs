//! Black-box tests of the distribution API.
