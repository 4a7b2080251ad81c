//! What SQLite says in its own way.

/// Joins in the written order: the left side is the small one.
pub const FORCED_JOIN: &str = "CROSS JOIN";

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

/// A JSON array of an expression's values over a group; `[]` for none.
pub fn json_array(expression: &str) -> String {
    format!("json_group_array({expression})")
}

/// The first element of a JSON array that a text column holds.
pub fn json_first(column: &str) -> String {
    format!("{column} ->> 0")
}

/// Whether a text holds another one.
pub fn contains(text: &str, part: &str) -> String {
    format!("instr({text}, {part}) > 0")
}
