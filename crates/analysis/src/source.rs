//! Layer bytes as they are stored -> the tar stream, hashed and counted.
