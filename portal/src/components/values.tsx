// Numbers, times and addresses as elements.
import { useSyncExternalStore, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { safeHref } from '../format/links';
import { formatAge, formatBytes, formatCount, formatDay, formatMoment, parseMoment } from '../format/values';
import { Inert } from './Inert';

const TICK_MS = 15_000;
let now = new Date();
const clocks = new Set<() => void>();
setInterval(() => {
  now = new Date();
  for (const clock of clocks) clock();
}, TICK_MS);

function useNow(): Date {
  return useSyncExternalStore(
    (listener) => {
      clocks.add(listener);
      return () => clocks.delete(listener);
    },
    () => now,
  );
}

/** What is not known; never an empty cell, never zero. */
export function NotGiven() {
  const { t } = useTranslation();
  return <span className="muted">{t('value.notGiven')}</span>;
}

/** A moment: its age, with local time and UTC on hover. */
export function Age({ at, children }: { at: string | null | undefined; children?: ReactNode }) {
  const { i18n } = useTranslation();
  const current = useNow();
  const moment = parseMoment(at);
  if (!moment) return children ?? <NotGiven />;
  return (
    <time dateTime={moment.toISOString()} title={bothZones(moment, i18n.language)}>
      {formatAge(moment, current > moment ? current : new Date(), i18n.language)}
    </time>
  );
}

/** A moment in local time, with UTC on hover. */
export function Moment({ at }: { at: string | null | undefined }) {
  const { i18n } = useTranslation();
  const moment = parseMoment(at);
  if (!moment) return <NotGiven />;
  return (
    <time dateTime={moment.toISOString()} title={bothZones(moment, i18n.language)}>
      {formatMoment(moment, i18n.language)}
    </time>
  );
}

export function Day({ at }: { at: string | null | undefined }) {
  const { i18n } = useTranslation();
  const moment = parseMoment(at);
  if (!moment) return <NotGiven />;
  return <time dateTime={moment.toISOString()}>{formatDay(moment, i18n.language)}</time>;
}

const bothZones = (moment: Date, language: string) =>
  `${formatMoment(moment, language)}\n${formatMoment(moment, language, 'UTC')} UTC`;

export function Count({ value }: { value: number }) {
  const { i18n } = useTranslation();
  return <>{formatCount(value, i18n.language)}</>;
}

export function Bytes({ value }: { value: number }) {
  const { i18n } = useTranslation();
  return <>{formatBytes(value, i18n.language)}</>;
}

/** An address from outside: a link if http or https, else plain text. */
export function OutsideLink({ href, text }: { href: string | null | undefined; text?: string | null }) {
  const safe = safeHref(href);
  const shown = text || href || '';
  if (!safe) return <Inert text={shown} />;
  return (
    <a className="link" href={safe} target="_blank" rel="noopener noreferrer">
      <Inert text={shown} />
    </a>
  );
}
