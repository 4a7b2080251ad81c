import { expect, test } from 'vitest';
import { COLUMNS_DEFAULT, columnsFromUrl, columnsToUrl } from './columns';

test('columns in the URL', () => {
  expect(columnsFromUrl(undefined)).toEqual(COLUMNS_DEFAULT);
  expect(columnsFromUrl('epss,id,nonsense')).toEqual(['id', 'epss']);
  expect(columnsFromUrl('nonsense')).toEqual(COLUMNS_DEFAULT);
});

test('the default leaves the URL alone, others round-trip', () => {
  expect(columnsToUrl(COLUMNS_DEFAULT)).toBeUndefined();
  expect(columnsToUrl([])).toBeUndefined();
  expect(columnsFromUrl(columnsToUrl(['cves', 'id']))).toEqual(['id', 'cves']);
});
