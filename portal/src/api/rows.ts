// A long list seen through server pages: only pages near the visible rows are
// read, and rows not here yet are undefined.
import { useQueries, type QueryKey, type UseQueryOptions } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useState } from 'react';
import { PAGE_ROWS } from './queries';

interface ServerPage<Row> {
  total: number;
  items: Row[];
  scanId?: string;
}

export interface RowWindow<Row> {
  /** Undefined until the first page is here. */
  total: number | undefined;
  row(index: number): Row | undefined;
  /** Tells which rows are visible, so that their pages are read. */
  show(first: number, last: number): void;
  error: Error | null;
  retry(): void;
}

/** A list that is here already. */
export function rowsOf<Row>(items: readonly Row[]): RowWindow<Row> {
  return {
    total: items.length,
    row: (index) => items[index],
    show: () => {},
    error: null,
    retry: () => {},
  };
}

/**
 * `query(n)` reads page n. `filters` names the list: when it changes, reading
 * starts again at the first page.
 */
export function useRows<Page extends ServerPage<unknown>, Key extends QueryKey>(
  query: (index: number) => UseQueryOptions<Page, Error, Page, Key>,
  filters: string,
): RowWindow<Page['items'][number]> {
  const [range, setRange] = useState({ filters, first: 0, last: 0 });
  const { first, last } = range.filters === filters ? range : { first: 0, last: 0 };
  const indexes = useMemo(() => {
    const wanted = new Set([0]);
    for (let index = first; index <= last; index += 1) wanted.add(index);
    return [...wanted];
  }, [first, last]);

  const results = useQueries({
    queries: indexes.map((index) => query(index) as unknown as UseQueryOptions<Page, Error, Page>),
  });

  const head = results[0]?.data;
  // A new result came between two pages: read the others again, so that rows
  // of two results never stand in one table.
  const mixed = results.find((result) => result.data && result.data.scanId !== head?.scanId);
  const refetchHead = results[0]?.refetch;
  const refetchMixed = mixed?.refetch;
  useEffect(() => {
    if (!mixed || mixed.isFetching) return;
    void refetchHead?.();
    void refetchMixed?.();
  }, [mixed, refetchHead, refetchMixed]);

  const show = useCallback(
    (firstRow: number, lastRow: number) => {
      const next = {
        filters,
        first: Math.floor(firstRow / PAGE_ROWS),
        last: Math.floor(Math.max(firstRow, lastRow) / PAGE_ROWS),
      };
      setRange((now) =>
        now.filters === filters && now.first === next.first && now.last === next.last ? now : next,
      );
    },
    [filters],
  );

  const failed = results.find((result) => result.error);
  return {
    total: head?.total,
    row: (index) => {
      const at = indexes.indexOf(Math.floor(index / PAGE_ROWS));
      return at < 0 ? undefined : results[at]?.data?.items[index % PAGE_ROWS];
    },
    show,
    error: failed?.error ?? null,
    retry: () => results.forEach((result) => result.error && void result.refetch()),
  };
}
