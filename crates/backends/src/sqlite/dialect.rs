//! What SQLite says in its own way.

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
