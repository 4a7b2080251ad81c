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
//! BIGINT; in an upsert the old value is written with its table's name; a text
//! that nobody has parsed is bound through `row::text`, a list through
//! `row::list`; what one answer reads in two statements reads from
//! `read_moment`.
//!
//! What a transaction checks must hold when it commits. SQLite has one writer,
//! and PostgreSQL many. So whoever checks what a repository holds and then
//! changes it locks its row first (`registry::ensure_repository` and
//! `lock_repository`); whoever checks across repositories takes `write_alone`.

mod accounts;
mod cache_rules;
mod catalog;
mod collect;
mod imports;
mod policy;
mod registry;
mod row;
mod scan;
mod scrub;
mod settings;
mod transfer;
mod webhooks;

use store::StoreError;

use super::{Db, Store, commit, dialect};

type DbRow = <Db as sqlx::Database>::Row;
type DbConnection = <Db as sqlx::Database>::Connection;
type Tx<'t> = sqlx::Transaction<'t, Db>;

/// How often an operation is done again that lost to another one.
const RETRIES_MAX: u32 = 5;

/// Does a whole operation again where the database ended its transaction for
/// the sake of another one.
async fn retried<T, F: Future<Output = Result<T, StoreError>>>(
    mut operation: impl FnMut() -> F,
) -> Result<T, StoreError> {
    let mut retries = 0;
    loop {
        match operation().await {
            Err(error) if dialect::lost_to_another(&error) && retries < RETRIES_MAX => {
                retries += 1;
                tracing::debug!(%error, retries, "doing it again");
            }
            outcome => return outcome,
        }
    }
}
