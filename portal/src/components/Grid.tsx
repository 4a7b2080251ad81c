// The one table of the portal: an ARIA grid over a virtual window of rows, so
// that fifty thousand rows cost as many nodes as fifty.
import { useVirtualizer } from '@tanstack/react-virtual';
import {
  memo, useCallback, useEffect, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState,
  type KeyboardEvent, type ReactNode, type Ref,
} from 'react';
import { useTranslation } from 'react-i18next';
import type { RowWindow } from '../api/rows';
import { moveCell, type Cell } from './grid-keys';

export interface Column<Row> {
  id: string;
  header: string;
  /** A CSS grid track, such as `minmax(160px, 2fr)`. */
  track: string;
  /** Name to sort by, where the server can. */
  sort?: string;
  /** Sorted descending at first, as scores are. */
  descending?: boolean;
  end?: boolean;
  cell(row: Row): ReactNode;
}

/** What a page may ask of its grid. */
export interface GridHandle {
  /** Moves by rows and gives the row arrived at, if it is loaded. */
  step(rows: number): void;
  /** Puts the focus back on the current cell. */
  focus(): void;
}

interface GridProps<Row> {
  label: string;
  columns: readonly Column<Row>[];
  rows: RowWindow<Row>;
  rowId(row: Row): string;
  selectedId?: string;
  /** Enter, or a click on a row. Must be stable. */
  onOpen?(row: Row): void;
  /** Column to sort by, `-` first for descending. */
  sort?: string;
  onSort?(sort: string): void;
  handle?: Ref<GridHandle>;
}

const ROW_PX = 36;
const HEADER_PX = 36;
const OVERSCAN_ROWS = 6;
const HEADER_ROW = -1;

export function Grid<Row>(props: GridProps<Row>) {
  const { label, columns, rows, rowId, selectedId, onOpen, sort, onSort, handle } = props;
  const { t } = useTranslation();
  const scroller = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState<Cell>({ row: 0, column: 0 });
  const wanted = useRef<Cell | null>(null);
  const openAfterMove = useRef<number | null>(null);
  const total = rows.total ?? 0;

  const virtual = useVirtualizer({
    count: total,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: OVERSCAN_ROWS,
    scrollPaddingStart: HEADER_PX,
  });
  const shown = virtual.getVirtualItems();
  const first = shown[0]?.index ?? 0;
  const last = shown.at(-1)?.index ?? 0;
  const { show } = rows;
  useEffect(() => show(first, last), [show, first, last]);

  // A shorter list leaves no active cell behind.
  const current = useMemo(
    () => ({
      row: Math.min(active.row, Math.max(0, total - 1)),
      column: Math.min(active.column, columns.length - 1),
    }),
    [active, total, columns.length],
  );

  const go = useCallback(
    (cell: Cell) => {
      setActive(cell);
      wanted.current = cell;
      if (cell.row !== HEADER_ROW) virtual.scrollToIndex(cell.row);
    },
    [virtual],
  );

  // The cell to focus may only exist after scrolling has drawn it.
  useLayoutEffect(() => {
    const cell = wanted.current;
    if (!cell) return;
    const element = scroller.current?.querySelector<HTMLElement>(
      `[data-row="${cell.row}"] > [data-column="${cell.column}"]`,
    );
    if (!element) return;
    wanted.current = null;
    element.focus({ preventScroll: cell.row !== HEADER_ROW });
  });

  // Stepping with an open pane opens the row arrived at, once it is loaded.
  useEffect(() => {
    const index = openAfterMove.current;
    if (index === null) return;
    const row = rows.row(index);
    if (!row) return;
    openAfterMove.current = null;
    onOpen?.(row);
  });

  useImperativeHandle(handle, () => ({
    step(by) {
      const row = Math.max(0, Math.min(total - 1, current.row + by));
      openAfterMove.current = row;
      go({ row, column: current.column });
    },
    focus: () => go(current),
  }));

  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    if (event.defaultPrevented) return;
    const inHeader = (event.target as HTMLElement).closest('[role="columnheader"]');
    if (inHeader) return;
    if (event.key === 'Enter') {
      const cell = event.target as HTMLElement;
      if (cell.getAttribute('role') !== 'gridcell') return;
      // A cell that is a link goes where it leads, the others open the row.
      const link = cell.querySelector<HTMLElement>('a, button');
      const row = rows.row(current.row);
      if (link) link.click();
      else if (row && onOpen) onOpen(row);
      event.preventDefault();
      return;
    }
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? ROW_PX) / ROW_PX) - 2);
    const cell = moveCell(current, event, { rows: total, columns: columns.length, page });
    if (!cell) return;
    event.preventDefault();
    go(cell);
  };

  const template = useMemo(() => columns.map((column) => column.track).join(' '), [columns]);
  const select = useCallback((row: number, column: number) => setActive({ row, column }), []);

  return (
    <div className="grid-scroller" ref={scroller}>
      <div
        className="grid"
        role="grid"
        aria-label={label}
        aria-rowcount={rows.total === undefined ? -1 : total + 1}
        aria-colcount={columns.length}
        aria-busy={rows.total === undefined}
        onKeyDown={onKeyDown}
      >
        <div role="rowgroup" className="grid-head">
          <div role="row" aria-rowindex={1} className="grid-row" style={{ gridTemplateColumns: template }}>
            {columns.map((column) => (
              <HeaderCell key={column.id} column={column} sort={sort} onSort={onSort} />
            ))}
          </div>
        </div>
        <div role="rowgroup" className="grid-body" style={{ height: virtual.getTotalSize() }}>
          {shown.map(({ index, start }) => {
            const row = rows.row(index);
            return (
              <GridRow
                key={index}
                index={index}
                start={start}
                row={row}
                columns={columns}
                template={template}
                active={index === current.row ? current.column : -1}
                selected={row !== undefined && selectedId !== undefined && rowId(row) === selectedId}
                selectable={onOpen !== undefined}
                onSelect={select}
                onOpen={onOpen}
              />
            );
          })}
        </div>
        {rows.total === undefined && !rows.error && <LoadingRows columns={columns.length} template={template} />}
      </div>
      <span className="sr-only" role="status">
        {rows.total !== undefined && t('grid.rows', { count: total })}
      </span>
    </div>
  );
}

interface HeaderCellProps<Row> {
  column: Column<Row>;
  sort?: string;
  onSort?(sort: string): void;
}

function HeaderCell<Row>({ column, sort, onSort }: HeaderCellProps<Row>) {
  const ascending = column.sort !== undefined && sort === column.sort;
  const descending = column.sort !== undefined && sort === `-${column.sort}`;
  const next = column.descending
    ? descending ? column.sort : `-${column.sort}`
    : ascending ? `-${column.sort}` : column.sort;
  return (
    <div
      role="columnheader"
      className={column.end ? 'grid-cell cell-end' : 'grid-cell'}
      aria-sort={ascending ? 'ascending' : descending ? 'descending' : undefined}
    >
      {column.sort && onSort ? (
        <button type="button" className="sort" onClick={() => onSort(next ?? '')}>
          <span className="cut">{column.header}</span>
          <span aria-hidden="true">{ascending ? '↑' : descending ? '↓' : ''}</span>
        </button>
      ) : (
        <span className="cut">{column.header}</span>
      )}
    </div>
  );
}

interface GridRowProps<Row> {
  index: number;
  start: number;
  row: Row | undefined;
  columns: readonly Column<Row>[];
  template: string;
  /** Column of the active cell, -1 on other rows. */
  active: number;
  selected: boolean;
  selectable: boolean;
  onSelect(row: number, column: number): void;
  onOpen?(row: Row): void;
}

// Memoised: opening a pane redraws two rows, not the window.
const GridRow = memo(function GridRow<Row>(props: GridRowProps<Row>) {
  const { index, start, row, columns, template, active, selected, selectable, onSelect, onOpen } = props;
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      aria-selected={selectable ? selected : undefined}
      data-row={index}
      className={`grid-row${selected ? ' selected' : ''}${selectable ? ' selectable' : ''}`}
      style={{ gridTemplateColumns: template, transform: `translateY(${start}px)` }}
      onClick={(event) => {
        const target = event.target as HTMLElement;
        const cell = target.closest<HTMLElement>('[data-column]');
        onSelect(index, Number(cell?.dataset.column ?? 0));
        if (row && onOpen && !target.closest('a, button')) onOpen(row);
      }}
    >
      {columns.map((column, position) => (
        <div
          key={column.id}
          role="gridcell"
          data-column={position}
          tabIndex={position === active ? 0 : -1}
          className={column.end ? 'grid-cell cell-end' : 'grid-cell'}
          onFocus={(event) => {
            if (event.target === event.currentTarget && position !== active) onSelect(index, position);
          }}
        >
          {row === undefined ? <span className="bone" /> : column.cell(row)}
        </div>
      ))}
    </div>
  );
}) as <Row>(props: GridRowProps<Row>) => ReactNode;

const LOADING_ROWS = 8;

function LoadingRows({ columns, template }: { columns: number; template: string }) {
  return (
    <div className="grid-loading" aria-hidden="true">
      {Array.from({ length: LOADING_ROWS }, (_, row) => (
        <div key={row} className="grid-row" style={{ gridTemplateColumns: template }}>
          {Array.from({ length: columns }, (_, column) => (
            <div key={column} className="grid-cell">
              <span className="bone" />
            </div>
          ))}
        </div>
      ))}
    </div>
  );
}
