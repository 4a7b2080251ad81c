// Numbers, sizes and times in the reader's language.

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;
const STEP = 1000;

/** A size in decimal units with three significant digits at most. */
export function formatBytes(bytes: number, language: string): string {
  let value = bytes;
  let unit = 0;
  // 999.5 would be rounded to a fourth digit.
  while (value >= STEP - 0.5 && unit < UNITS.length - 1) {
    value /= STEP;
    unit += 1;
  }
  return new Intl.NumberFormat(language, {
    style: 'unit',
    unit: UNITS[unit],
    unitDisplay: unit === 0 ? 'long' : 'short',
    maximumSignificantDigits: 3,
  }).format(value);
}

export const formatCount = (value: number, language: string) =>
  new Intl.NumberFormat(language).format(value);

/** A CVSS score always has one decimal. */
export const formatScore = (value: number, language: string) =>
  new Intl.NumberFormat(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(value);

/** A share of 0 to 1 as percent; small ones keep digits, since 0.04 % is not 0 %. */
export const formatShare = (value: number, language: string) =>
  new Intl.NumberFormat(language, {
    style: 'percent',
    minimumFractionDigits: 1,
    maximumFractionDigits: value < 0.001 ? 3 : 1,
  }).format(value);

const PERIODS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31_557_600],
  ['month', 2_629_800],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];

/** How long ago, or how far ahead, in the largest unit that fills once. */
export function formatAge(at: Date, now: Date, language: string): string {
  const seconds = (at.getTime() - now.getTime()) / 1000;
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  for (const [unit, length] of PERIODS) {
    if (Math.abs(seconds) >= length) return format.format(Math.trunc(seconds / length), unit);
  }
  // Clocks differ by seconds; "in 2 seconds" for a push that happened reads wrong.
  return format.format(Math.min(0, Math.trunc(seconds)), 'second');
}

export const formatMoment = (at: Date, language: string, timeZone?: string) =>
  new Intl.DateTimeFormat(language, {
    dateStyle: 'medium',
    timeStyle: 'medium',
    ...(timeZone ? { timeZone } : {}),
  }).format(at);

/** A calendar day, which has no zone. */
export const formatDay = (at: Date, language: string) =>
  new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeZone: 'UTC' }).format(at);

/** Undefined for what is no date, so that a bad one is never shown as 1970. */
export function parseMoment(text: string | null | undefined): Date | undefined {
  if (!text) return undefined;
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? undefined : at;
}
