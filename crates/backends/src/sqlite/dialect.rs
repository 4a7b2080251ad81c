//! What SQLite says in its own way.

use sqlx::SqliteConnection as Connection;
use store::StoreError;

/// Joins in the written order: the left side is the small one.
pub const FORCED_JOIN: &str = "CROSS JOIN";

/// Ends a SELECT whose rows the transaction is to keep for itself. Here there
/// is one writer, who has everything.
pub const LOCK_ROWS: &str = "";

/// Rows out of a parameter that holds a JSON array of arrays. `columns` are
/// `(name, type)`, by position; `position` counts rows from 0.
pub fn rows(parameter: &str, columns: &[(&str, &str)]) -> String {
    let columns: String = columns
        .iter()
        .enumerate()
        .map(|(i, (name, _))| format!(", value ->> {i} AS {name}"))
        .collect();
    format!("(SELECT key AS position{columns} FROM json_each({parameter}))")
}

/// Whether two rows agree in columns, of which there is an index.
pub fn same(left: &str, right: &str, columns: &[&str]) -> String {
    let pairs: Vec<_> =
        columns.iter().map(|column| format!("{left}.{column} = {right}.{column}")).collect();
    pairs.join(" AND ")
}

/// Whether a column that is indexed holds a text.
pub fn equal(column: &str, text: &str) -> String {
    format!("{column} = {text}")
}

/// A JSON array of an expression's values over a group; `[]` for none.
pub fn json_array(expression: &str) -> String {
    format!("json_group_array({expression})")
}

/// Whether a text holds another one.
pub fn contains(text: &str, part: &str) -> String {
    format!("instr({text}, {part}) > 0")
}

/// Whether the transaction was ended so that another one could go on. Here it
/// cannot be: it waited for its turn before it began.
pub fn lost_to_another(_: &StoreError) -> bool {
    false
}

/// Every column of our tables: `table_name`, `column_name`, `declared`.
pub const COLUMNS: &str = "SELECT t.name AS table_name, c.name AS column_name, c.type AS declared \
     FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' \
     AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND t.name <> '_sqlx_migrations' ORDER BY t.name, c.cid";

/// Which table refers to which: `table_name`, `refers_to`.
pub const REFERENCES: &str = "SELECT t.name AS table_name, f.\"table\" AS refers_to \
     FROM sqlite_schema t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table'";

/// There are none.
pub const NO_TIME_LIMITS: &[&str] = &[];

/// Rows are numbered from the highest number on.
pub async fn numbers_after_fill(_: &mut Connection) -> Result<Vec<String>, sqlx::Error> {
    Ok(Vec::new())
}

/// Takes the triggers away, since what they write is brought along. Gives the
/// statements that put them back.
pub async fn pause_triggers(connection: &mut Connection) -> Result<Vec<String>, sqlx::Error> {
    let triggers: Vec<(String, String)> =
        sqlx::query_as("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
            .fetch_all(&mut *connection)
            .await?;
    for (name, _) in &triggers {
        let statement = format!("DROP TRIGGER \"{name}\"");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    Ok(triggers.into_iter().map(|(_, sql)| sql).collect())
}
