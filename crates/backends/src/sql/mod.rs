//! The SQL of every store trait, written once.
//!
//! Each database compiles these files for itself (`sqlite/mod.rs` and
//! `postgres/mod.rs` both name this module), with its own row, connection and
//! [`dialect`]: statically typed on either side, and one text to keep right.
//!
//! What holds in here: parameters are `$1`, `$2`, ..., bound as `i64`, `bool`,
//! text, bytes or an option of them, since PostgreSQL has no unsigned
//! integers; a list goes in as one JSON parameter through [`dialect::rows`];
//! truth is a column by itself (`WHERE judged`), never `= 1`; a sum is cast to
//! BIGINT; in an upsert the old value is written with its table's name.

mod accounts;
mod catalog;
mod registry;
mod row;
mod scan;
mod webhooks;

use super::{Db, Store, commit, dialect};

type DbRow = <Db as sqlx::Database>::Row;
type DbConnection = <Db as sqlx::Database>::Connection;
type Tx<'t> = sqlx::Transaction<'t, Db>;
