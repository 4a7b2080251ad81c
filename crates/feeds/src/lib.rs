//! Downloads advisory sources; knows URLs and fingerprints, not formats.
