//! What PostgreSQL says in its own way.

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
