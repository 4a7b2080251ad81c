//! Digest, descriptor, manifest, index, reference, media types.
