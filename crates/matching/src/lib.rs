//! Inventory + advisories -> findings, each with its evidence.
