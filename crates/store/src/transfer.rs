//! All metadata out of one database and into another, table by table, whatever
//! the tables are.

use async_trait::async_trait;

use crate::StoreError;

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// None.
    Null,
    /// A number, or a truth where the other database has no truths.
    Integer(i64),
    /// A truth.
    Truth(bool),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Cell {
    /// About how much memory it takes.
    pub fn size(&self) -> usize {
        match self {
            Self::Null | Self::Integer(_) | Self::Truth(_) => 8,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

/// A table with its number of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRows {
    /// Its name.
    pub table: String,
    /// How many there are.
    pub rows: u64,
}

/// Rows of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its name.
    pub table: String,
    /// Names of the columns of each row.
    pub columns: Vec<String>,
    /// As many cells each as there are columns.
    pub rows: Vec<Vec<Cell>>,
}

/// Takes rows, those that others refer to first.
#[async_trait]
pub trait RowSink: Send {
    /// Rows of a table; a table may come in any number of batches.
    async fn take(&mut self, batch: Batch) -> Result<(), StoreError>;
}

/// A database on its way from another one. Dropped, it is as empty as before.
#[async_trait]
pub trait Fill: RowSink {
    /// Makes it so, if every table holds as many rows as were taken. After it
    /// returns, they are durable; gives the number of rows of each table.
    async fn finish(self: Box<Self>) -> Result<Vec<TableRows>, StoreError>;
}

/// Moves everything that a database keeps.
#[async_trait]
pub trait Transfer: Send + Sync {
    /// Every table, those that others refer to first.
    async fn tables(&self) -> Result<Vec<TableRows>, StoreError>;

    /// Gives every row of every table as of one moment, in the order of
    /// [`Transfer::tables`].
    async fn export(&self, sink: &mut dyn RowSink) -> Result<(), StoreError>;

    /// Begins to fill a database that holds nothing; one that holds anything is
    /// an error. Nobody else can write until it ends.
    async fn fill(&self) -> Result<Box<dyn Fill>, StoreError>;
}
