// Splits a CVSS vector of version 2, 3.x or 4 into its base metrics, which the
// portal then says in words.

// `as const` lists: the languages' files name exactly these, checked by tsc.
export const CVSS_VALUES = {
  AV: ['N', 'A', 'L', 'P'],
  AC: ['L', 'M', 'H'],
  AT: ['N', 'P'],
  Au: ['N', 'S', 'M'],
  PR: ['N', 'L', 'H'],
  UI: ['N', 'R', 'P', 'A'],
  S: ['U', 'C'],
  C: ['N', 'L', 'P', 'H', 'C'],
  I: ['N', 'L', 'P', 'H', 'C'],
  A: ['N', 'L', 'P', 'H', 'C'],
  VC: ['N', 'L', 'H'],
  VI: ['N', 'L', 'H'],
  VA: ['N', 'L', 'H'],
  SC: ['N', 'L', 'H'],
  SI: ['N', 'L', 'H'],
  SA: ['N', 'L', 'H'],
} as const;

export type CvssMetric = keyof typeof CVSS_VALUES;

/** The meaning of a value; letters differ in meaning between metrics. */
export type CvssWord =
  | 'network' | 'adjacent' | 'local' | 'physical'
  | 'none' | 'low' | 'medium' | 'high'
  | 'single' | 'multiple' | 'present' | 'required' | 'passive' | 'active'
  | 'unchanged' | 'changed' | 'partial' | 'complete';

const WORDS: Partial<Record<CvssMetric, Record<string, CvssWord>>> = {
  AV: { N: 'network', A: 'adjacent', L: 'local', P: 'physical' },
  AT: { N: 'none', P: 'present' },
  Au: { N: 'none', S: 'single', M: 'multiple' },
  UI: { N: 'none', R: 'required', P: 'passive', A: 'active' },
  S: { U: 'unchanged', C: 'changed' },
};
const LEVELS: Record<string, CvssWord> = {
  N: 'none', L: 'low', M: 'medium', H: 'high', P: 'partial', C: 'complete',
};

/** Base metrics in the vector's order; what is not known is left out. */
export function cvssMetrics(vector: string): { metric: CvssMetric; word: CvssWord }[] {
  const metrics: { metric: CvssMetric; word: CvssWord }[] = [];
  for (const part of vector.split('/')) {
    const [metric, value, more] = part.split(':');
    if (!metric || !value || more !== undefined || !Object.hasOwn(CVSS_VALUES, metric)) continue;
    const known = metric as CvssMetric;
    if (!(CVSS_VALUES[known] as readonly string[]).includes(value)) continue;
    const word = (WORDS[known] ?? LEVELS)[value];
    if (word) metrics.push({ metric: known, word });
  }
  return metrics;
}
