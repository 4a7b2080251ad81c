//! Values in and out of rows.

use std::borrow::Cow;

use serde_json::Value;
use sqlx::Row;
use store::StoreError;
use time::OffsetDateTime;

use super::{Db, DbRow};

/// One column.
pub(super) fn value<'r, T>(row: &'r DbRow, column: &str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, Db> + sqlx::Type<Db>,
{
    row.try_get(column).map_err(StoreError::database("read a row"))
}

/// A stored text that was parsed before it was stored.
pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    row: &DbRow,
    column: &str,
) -> Result<T, StoreError> {
    let text: &str = value(row, column)?;
    text.parse().map_err(|error| StoreError::corrupt("row", error))
}

/// The same, where there may be none.
pub(super) fn parsed_option<T: std::str::FromStr<Err: std::fmt::Display>>(
    row: &DbRow,
    column: &str,
) -> Result<Option<T>, StoreError> {
    let text: Option<&str> = value(row, column)?;
    text.map(|text| text.parse().map_err(|error| StoreError::corrupt("row", error))).transpose()
}

/// A stored JSON text.
pub(super) fn json<T: serde::de::DeserializeOwned>(
    row: &DbRow,
    column: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(value(row, column)?).map_err(|error| StoreError::corrupt("row", error))
}

/// A number of any width; databases have only the widest.
pub(super) fn number<T: TryFrom<i64, Error: std::fmt::Display>>(
    row: &DbRow,
    column: &str,
) -> Result<T, StoreError> {
    let number: i64 = value(row, column)?;
    T::try_from(number).map_err(|error| StoreError::corrupt("number", error))
}

/// Foreign text as every database keeps it: PostgreSQL refuses a NUL, and
/// SQLite's functions stop at one. Whatever is stored or looked up by a text
/// that nobody has parsed passes through here.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The parameter of `dialect::rows`: a JSON array of the rows, each an array,
/// with their texts as [`text`] has them.
pub(super) fn list(rows: impl IntoIterator<Item = Value>) -> String {
    fn clean(value: &mut Value) {
        match value {
            Value::String(s) => {
                if let Cow::Owned(replaced) = text(s) {
                    *s = replaced;
                }
            }
            Value::Array(values) => values.iter_mut().for_each(clean),
            _ => {}
        }
    }
    let mut rows = Value::from_iter(rows);
    clean(&mut rows);
    rows.to_string()
}

/// Integers of databases are signed; what does not fit is somebody's false claim.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn millis(time: OffsetDateTime) -> i64 {
    // Years up to 9999 fit many times over.
    (time.unix_timestamp_nanos() / 1_000_000) as i64
}

pub(super) fn time(row: &DbRow, column: &str) -> Result<OffsetDateTime, StoreError> {
    from_millis(value(row, column)?)
}

pub(super) fn time_option(row: &DbRow, column: &str) -> Result<Option<OffsetDateTime>, StoreError> {
    value::<Option<i64>>(row, column)?.map(from_millis).transpose()
}

fn from_millis(millis: i64) -> Result<OffsetDateTime, StoreError> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .map_err(|_| StoreError::corrupt("time", millis))
}
