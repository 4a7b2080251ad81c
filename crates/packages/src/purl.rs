//! Package URLs (purl-spec): written for every package, read by `match`.
