//! `store::Transfer`: tables and columns are what the database says there are,
//! so that a new table needs nothing here.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, QueryBuilder, Row};
use store::StoreError;
use store::transfer::{Batch, Cell, Fill, RowSink, TableRows, Transfer};

use super::row::{text, value};
use super::{Db, DbConnection, DbRow, Store, Tx, commit, dialect};

/// Rows in a batch, all of whose cells are parameters of one statement; SQLite
/// takes 32,766 of them.
const BATCH_ROWS_MAX: usize = 500;
/// Bytes after which a batch is full.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// What a column holds.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Integer,
    Truth,
    Text,
    Bytes,
}

impl Kind {
    fn of(table: &str, column: &str, declared: &str) -> Result<Self, StoreError> {
        match declared.to_ascii_lowercase().as_str() {
            "integer" | "bigint" => Ok(Self::Integer),
            "boolean" => Ok(Self::Truth),
            "text" => Ok(Self::Text),
            "blob" | "bytea" => Ok(Self::Bytes),
            other => Err(StoreError::database("copy a table")(format!(
                "column {column} of {table} is of type {other}, which nobody knows how to copy"
            ))),
        }
    }
}

/// Names come from the database itself and are quoted all the same.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The tables, those that others refer to first, each with its columns.
async fn shape(
    connection: &mut DbConnection,
) -> Result<Vec<(String, Vec<(String, Kind)>)>, StoreError> {
    const ATTEMPTED: &str = "list the tables";
    let rows = sqlx::query(dialect::COLUMNS)
        .fetch_all(&mut *connection)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
    let mut columns: BTreeMap<String, Vec<(String, Kind)>> = BTreeMap::new();
    for row in &rows {
        let (table, column): (String, String) =
            (value(row, "table_name")?, value(row, "column_name")?);
        let kind = Kind::of(&table, &column, value(row, "declared")?)?;
        columns.entry(table).or_default().push((column, kind));
    }
    let rows = sqlx::query(dialect::REFERENCES)
        .fetch_all(connection)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
    let mut waits_for: BTreeSet<(String, String)> = BTreeSet::new();
    for row in &rows {
        let pair: (String, String) = (value(row, "table_name")?, value(row, "refers_to")?);
        if pair.0 != pair.1 {
            waits_for.insert(pair);
        }
    }
    let mut ordered = Vec::new();
    while !columns.is_empty() {
        let ready: Vec<String> = columns
            .keys()
            .filter(|table| {
                !waits_for.iter().any(|(t, on)| t == *table && columns.contains_key(on))
            })
            .cloned()
            .collect();
        if ready.is_empty() {
            return Err(StoreError::corrupt("schema", "tables refer to each other in a circle"));
        }
        for table in ready {
            let its = columns.remove(&table).unwrap_or_default();
            ordered.push((table, its));
        }
    }
    Ok(ordered)
}

async fn count(connection: &mut DbConnection, table: &str) -> Result<u64, StoreError> {
    let query = format!("SELECT COUNT(*) FROM {}", quoted(table));
    let rows: i64 = sqlx::query_scalar(AssertSqlSafe(query))
        .fetch_one(connection)
        .await
        .map_err(StoreError::database("count the rows of a table"))?;
    Ok(rows.unsigned_abs())
}

fn cells(row: &DbRow, columns: &[(String, Kind)]) -> Result<Vec<Cell>, StoreError> {
    fn cell<'r, T: sqlx::Decode<'r, Db> + sqlx::Type<Db>>(
        row: &'r DbRow,
        i: usize,
        make: impl Fn(T) -> Cell,
    ) -> Result<Cell, StoreError> {
        let value: Option<T> = row.try_get(i).map_err(StoreError::database("read a row"))?;
        Ok(value.map_or(Cell::Null, make))
    }
    let read = |(i, (_, kind)): (usize, &(String, Kind))| match kind {
        Kind::Integer => cell(row, i, Cell::Integer),
        Kind::Truth => cell(row, i, Cell::Truth),
        Kind::Text => cell(row, i, Cell::Text),
        Kind::Bytes => cell(row, i, Cell::Bytes),
    };
    columns.iter().enumerate().map(read).collect()
}

#[async_trait]
impl Transfer for Store {
    async fn tables(&self) -> Result<Vec<TableRows>, StoreError> {
        let mut tx = self.read_moment().await?;
        let mut tables = Vec::new();
        for (table, _) in shape(&mut tx).await? {
            let rows = count(&mut tx, &table).await?;
            tables.push(TableRows { table, rows });
        }
        Ok(tables)
    }

    async fn export(&self, sink: &mut dyn RowSink) -> Result<(), StoreError> {
        const ATTEMPTED: &str = "read a table";
        let mut tx = self.read_moment().await?;
        without_time_limits(&mut tx).await?;
        for (table, columns) in shape(&mut tx).await? {
            let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
            let list = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
            let query = format!("SELECT {list} FROM {}", quoted(&table));
            let batch = |rows| Batch { table: table.clone(), columns: names.clone(), rows };
            let mut stream = sqlx::query(AssertSqlSafe(query)).fetch(&mut *tx);
            let (mut rows, mut bytes) = (Vec::new(), 0);
            while let Some(row) =
                stream.try_next().await.map_err(StoreError::database(ATTEMPTED))?
            {
                let row = cells(&row, &columns)?;
                bytes += row.iter().map(Cell::size).sum::<usize>();
                rows.push(row);
                if rows.len() == BATCH_ROWS_MAX || bytes >= BATCH_BYTES_MAX {
                    sink.take(batch(std::mem::take(&mut rows))).await?;
                    bytes = 0;
                }
            }
            if !rows.is_empty() {
                sink.take(batch(rows)).await?;
            }
        }
        Ok(())
    }

    async fn fill(&self) -> Result<Box<dyn Fill>, StoreError> {
        let mut tx = self.write_alone().await?;
        without_time_limits(&mut tx).await?;
        let tables = shape(&mut tx).await?;
        for (table, _) in &tables {
            let rows = count(&mut tx, table).await?;
            if rows > 0 {
                return Err(StoreError::database("fill the database")(format!(
                    "it is not empty: {table} has {rows} rows"
                )));
            }
        }
        let triggers = dialect::pause_triggers(&mut tx)
            .await
            .map_err(StoreError::database("pause the triggers"))?;
        let tables = tables.into_iter();
        let tables = tables.map(|(table, columns)| (table, Filling { columns, rows: 0 })).collect();
        Ok(Box::new(TableFill { tx, tables, triggers }))
    }
}

/// A table that takes rows.
struct Filling {
    columns: Vec<(String, Kind)>,
    rows: u64,
}

/// One transaction from the first row to the last.
struct TableFill {
    tx: Tx<'static>,
    tables: BTreeMap<String, Filling>,
    /// What puts the triggers back.
    triggers: Vec<String>,
}

#[async_trait]
impl RowSink for TableFill {
    async fn take(&mut self, batch: Batch) -> Result<(), StoreError> {
        const ATTEMPTED: &str = "fill a table";
        let refuse = |why: String| StoreError::database(ATTEMPTED)(why);
        let Some(table) = self.tables.get_mut(&batch.table) else {
            return Err(refuse(format!("there is no table {} here", batch.table)));
        };
        let kind = |name: &String| {
            let column = table.columns.iter().find(|(column, _)| column == name);
            column
                .map(|(_, kind)| *kind)
                .ok_or_else(|| refuse(format!("{} has no column {name} here", batch.table)))
        };
        let kinds = batch.columns.iter().map(kind).collect::<Result<Vec<_>, _>>()?;
        let columns = batch.columns.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(", ");
        let mut query =
            QueryBuilder::<Db>::new(format!("INSERT INTO {} ({columns}) ", quoted(&batch.table)));
        table.rows += batch.rows.len() as u64;
        query.push_values(batch.rows, |mut separated, row| {
            for (cell, kind) in row.into_iter().zip(&kinds) {
                match (kind, cell) {
                    (Kind::Integer, Cell::Integer(number)) => separated.push_bind(number),
                    (Kind::Integer, Cell::Truth(truth)) => separated.push_bind(i64::from(truth)),
                    (Kind::Integer, _) => separated.push_bind(None::<i64>),
                    (Kind::Truth, Cell::Truth(truth)) => separated.push_bind(truth),
                    (Kind::Truth, Cell::Integer(number)) => separated.push_bind(number != 0),
                    (Kind::Truth, _) => separated.push_bind(None::<bool>),
                    (Kind::Text, Cell::Text(t)) => separated.push_bind(text(&t).into_owned()),
                    (Kind::Text, _) => separated.push_bind(None::<String>),
                    (Kind::Bytes, Cell::Bytes(bytes)) => separated.push_bind(bytes),
                    (Kind::Bytes, _) => separated.push_bind(None::<Vec<u8>>),
                };
            }
        });
        query.build().execute(&mut *self.tx).await.map_err(StoreError::database(ATTEMPTED))?;
        Ok(())
    }
}

#[async_trait]
impl Fill for TableFill {
    async fn finish(mut self: Box<Self>) -> Result<Vec<TableRows>, StoreError> {
        let mut counted = Vec::new();
        for (table, filled) in &self.tables {
            let rows = count(&mut self.tx, table).await?;
            if rows != filled.rows {
                return Err(StoreError::database("fill the database")(format!(
                    "{table} took {} rows and holds {rows}",
                    filled.rows
                )));
            }
            counted.push(TableRows { table: table.clone(), rows });
        }
        // New rows get numbers above those that were brought along.
        let numbers = dialect::numbers_after_fill(&mut self.tx)
            .await
            .map_err(StoreError::database("number rows"))?;
        for statement in numbers.into_iter().chain(self.triggers) {
            sqlx::query(AssertSqlSafe(statement))
                .execute(&mut *self.tx)
                .await
                .map_err(StoreError::database("put numbers and triggers in place"))?;
        }
        commit(self.tx).await?;
        Ok(counted)
    }
}

/// One transaction may copy for hours.
async fn without_time_limits(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    for statement in dialect::NO_TIME_LIMITS {
        sqlx::query(*statement)
            .execute(&mut **tx)
            .await
            .map_err(StoreError::database("lift the time limits"))?;
    }
    Ok(())
}
