//! Layer bytes -> packages and path events; layers merged into an inventory.
