import { expect, test } from 'vitest';
import { cvssMetrics } from './cvss';

const check = (vector: string, expected: string) =>
  expect(cvssMetrics(vector).map(({ metric, word }) => `${metric} ${word}`).join(', ')).toBe(expected);

test('vectors of every version', () => {
  check('AV:N/AC:M/Au:N/C:P/I:N/A:C', 'AV network, AC medium, Au none, C partial, I none, A complete');
  check(
    'CVSS:3.1/AV:L/AC:L/PR:H/UI:R/S:C/C:H/I:L/A:N',
    'AV local, AC low, PR high, UI required, S changed, C high, I low, A none',
  );
  check('CVSS:4.0/AV:P/AC:H/AT:P/PR:N/UI:A/VC:H/SC:N/E:A', 'AV physical, AC high, AT present, PR none, UI active, VC high, SC none');
});

test('what is not a vector has no metrics', () => {
  check('', '');
  check('constructor:N/AV:Z/AV:N:N', '');
});
