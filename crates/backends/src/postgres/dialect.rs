//! What PostgreSQL says in its own way.

use sqlx::PgConnection as Connection;
use store::StoreError;

/// Two transactions each wait for the other: `deadlock_detected`.
const DEADLOCK: &str = "40P01";
/// `serialization_failure`.
const SERIALIZATION: &str = "40001";

/// Joins as the planner likes; it has statistics.
pub const FORCED_JOIN: &str = "JOIN";

/// Ends a SELECT whose rows the transaction is to keep for itself. Others may
/// still refer to them by foreign keys.
pub const LOCK_ROWS: &str = " FOR NO KEY UPDATE";

/// Rows out of a parameter that holds a JSON array of arrays. `columns` are
/// `(name, type)`, by position; `position` counts rows from 0.
pub fn rows(parameter: &str, columns: &[(&str, &str)]) -> String {
    let columns: String = columns
        .iter()
        .enumerate()
        .map(|(i, (name, kind))| match *kind {
            // As in the tables, where bytes say what comes first.
            "TEXT" => format!(", (item ->> {i}) COLLATE \"C\" AS {name}"),
            kind => format!(", CAST(item ->> {i} AS {kind}) AS {name}"),
        })
        .collect();
    format!(
        "(SELECT place - 1 AS position{columns} \
         FROM jsonb_array_elements(CAST({parameter} AS jsonb)) WITH ORDINALITY AS items (item, place))"
    )
}

/// Whether two rows agree in columns of any length, for which there is an index
/// of `text_key` on the left table.
pub fn same(left: &str, right: &str, columns: &[&str]) -> String {
    let key = |row: &str| {
        let columns: Vec<_> = columns.iter().map(|column| format!("{row}.{column}")).collect();
        format!("text_key({})", columns.join(", "))
    };
    format!("{} = {}", key(left), key(right))
}

/// Whether a column of any length, indexed by `text_key`, holds a text.
pub fn equal(column: &str, text: &str) -> String {
    format!("text_key({column}) = text_key({text})")
}

/// A JSON array of an expression's values over a group; `[]` for none.
pub fn json_array(expression: &str) -> String {
    format!("CAST(COALESCE(json_agg({expression}), '[]') AS TEXT)")
}

/// Whether a text holds another one.
pub fn contains(text: &str, part: &str) -> String {
    format!("strpos({text}, {part}) > 0")
}

/// Whether the transaction was ended so that another one could go on.
pub fn lost_to_another(error: &StoreError) -> bool {
    let StoreError::Database { source, .. } = error else { return false };
    let Some(sqlx::Error::Database(error)) = source.downcast_ref::<sqlx::Error>() else {
        return false;
    };
    matches!(error.code().as_deref(), Some(DEADLOCK | SERIALIZATION))
}

/// Every column of our tables: `table_name`, `column_name`, `declared`.
pub const COLUMNS: &str = "SELECT CAST(t.table_name AS TEXT) AS table_name, \
     CAST(c.column_name AS TEXT) AS column_name, CAST(c.data_type AS TEXT) AS declared \
     FROM information_schema.tables t JOIN information_schema.columns c \
     ON c.table_schema = t.table_schema AND c.table_name = t.table_name \
     WHERE t.table_schema = current_schema() AND t.table_type = 'BASE TABLE' \
     AND t.table_name <> '_sqlx_migrations' ORDER BY t.table_name, c.ordinal_position";

/// Which table refers to which: `table_name`, `refers_to`.
pub const REFERENCES: &str = "SELECT CAST(a.relname AS TEXT) AS table_name, CAST(b.relname AS TEXT) AS refers_to \
     FROM pg_constraint f JOIN pg_class a ON a.oid = f.conrelid JOIN pg_class b ON b.oid = f.confrelid \
     JOIN pg_namespace n ON n.oid = a.relnamespace WHERE f.contype = 'f' AND n.nspname = current_schema()";

/// For the transaction that they are said in.
pub const NO_TIME_LIMITS: &[&str] =
    &["SET LOCAL statement_timeout = 0", "SET LOCAL idle_in_transaction_session_timeout = 0"];

/// What moves every identity column past the numbers that were inserted.
pub async fn numbers_after_fill(connection: &mut Connection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT format('SELECT setval(pg_get_serial_sequence(%L, %L), (SELECT COALESCE(MAX(%I), 0) + 1 FROM %I), false)', \
         quote_ident(table_name), column_name, column_name, table_name) FROM information_schema.columns \
         WHERE table_schema = current_schema() AND is_identity = 'YES'",
    )
    .fetch_all(connection)
    .await
}

/// Switches the triggers off, since what they write is brought along. Gives the
/// statements that switch them on again.
pub async fn pause_triggers(connection: &mut Connection) -> Result<Vec<String>, sqlx::Error> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT quote_ident(c.relname) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE NOT t.tgisinternal AND n.nspname = current_schema()",
    )
    .fetch_all(&mut *connection)
    .await?;
    for table in &tables {
        let statement = format!("ALTER TABLE {table} DISABLE TRIGGER USER");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    Ok(tables.into_iter().map(|table| format!("ALTER TABLE {table} ENABLE TRIGGER USER")).collect())
}
