import { expect, test } from 'vitest';
import { moveCell } from './grid-keys';

const size = { rows: 50_000, columns: 9, page: 20 };
const check = (row: number, column: number, key: string, expected: [number, number] | undefined, ctrlKey = false) => {
  const cell = moveCell({ row, column }, { key, ctrlKey, metaKey: false, altKey: false }, size);
  expect(cell && [cell.row, cell.column]).toEqual(expected);
};

test('keys move within the grid and stop at its edges', () => {
  check(0, 0, 'ArrowUp', [0, 0]);
  check(0, 0, 'ArrowDown', [1, 0]);
  check(3, 8, 'ArrowRight', [3, 8]);
  check(3, 4, 'Home', [3, 0]);
  check(3, 4, 'End', [3, 8]);
  check(3, 4, 'Home', [0, 0], true);
  check(3, 4, 'End', [49_999, 8], true);
  check(5, 1, 'PageUp', [0, 1]);
  check(49_990, 1, 'PageDown', [49_999, 1]);
  check(5, 1, 'x', undefined);
});

test('an empty grid has nowhere to go', () => {
  const key = { key: 'ArrowDown', ctrlKey: false, metaKey: false, altKey: false };
  expect(moveCell({ row: 0, column: 0 }, key, { ...size, rows: 0 })).toBeUndefined();
});
