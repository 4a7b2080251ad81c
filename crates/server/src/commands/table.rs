//! Tables for people. Text from images and feeds is hostile: control and
//! direction characters are shown escaped, so that nothing can rewrite the terminal.

use std::fmt::Write;

/// Widest cell; longer text is cut with an ellipsis.
const CELL_CHARS_MAX: usize = 60;

/// Lays out rows in columns under their headings.
pub fn render(headings: &[&str], rows: &[Vec<String>]) -> String {
    let cells: Vec<Vec<String>> =
        std::iter::once(headings.iter().map(|h| (*h).to_owned()).collect())
            .chain(rows.iter().map(|row| row.iter().map(|c| cut(&printable(c))).collect()))
            .collect();
    let widths: Vec<usize> = (0..headings.len())
        .map(|i| {
            cells.iter().filter_map(|row| row.get(i)).map(|c| c.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for row in &cells {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Text without characters that act on a terminal.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let acts = c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if acts {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

fn cut(text: &str) -> String {
    if text.chars().count() <= CELL_CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        assert_eq!(printable("\x1b[2Jred\u{202e}x"), "\\u{1b}[2Jred\\u{202e}x");
        let table = render(&["A", "B"], &[vec!["x\ny".into(), "1".into()]]);
        assert_eq!(table, "A        B\nx\\u{a}y  1\n");
    }
}
