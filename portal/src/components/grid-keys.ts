// Which cell a key leads to, in a grid of rows and columns.

export interface Cell {
  row: number;
  column: number;
}

export interface GridSize {
  rows: number;
  columns: number;
  /** Rows that fit on screen. */
  page: number;
}

interface Key {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

/** The cell to go to, or undefined when the key does not move. */
export function moveCell({ row, column }: Cell, key: Key, size: GridSize): Cell | undefined {
  const last = { row: size.rows - 1, column: size.columns - 1 };
  if (size.rows < 1 || size.columns < 1 || key.altKey) return undefined;
  const far = key.ctrlKey || key.metaKey;
  const at = (toRow: number, toColumn: number): Cell => ({
    row: Math.max(0, Math.min(last.row, toRow)),
    column: Math.max(0, Math.min(last.column, toColumn)),
  });
  switch (key.key) {
    case 'ArrowUp':
      return at(far ? 0 : row - 1, column);
    case 'ArrowDown':
      return at(far ? last.row : row + 1, column);
    case 'ArrowLeft':
      return at(row, far ? 0 : column - 1);
    case 'ArrowRight':
      return at(row, far ? last.column : column + 1);
    case 'Home':
      return at(far ? 0 : row, 0);
    case 'End':
      return at(far ? last.row : row, last.column);
    case 'PageUp':
      return at(row - size.page, column);
    case 'PageDown':
      return at(row + size.page, column);
    default:
      return undefined;
  }
}
