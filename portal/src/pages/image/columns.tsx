// Columns of the findings table; the URL says which are shown.
import type { TFunction } from 'i18next';
import type { FindingRow } from '../../api/client';
import type { Column } from '../../components/Grid';
import { Inert } from '../../components/Inert';
import { SeverityLabel } from '../../components/Severity';
import { Age, Day, NotGiven } from '../../components/values';
import { formatScore, formatShare } from '../../format/values';

export const COLUMNS = [
  'id', 'severity', 'title', 'cvss', 'patchable', 'package', 'installed', 'fixed', 'epss',
  'category', 'cves', 'kev', 'publishedAt', 'layer', 'firstSeenAt', 'status',
] as const;
export type ColumnName = (typeof COLUMNS)[number];

export const COLUMNS_DEFAULT: readonly ColumnName[] = COLUMNS.slice(0, 9);

/** The columns a URL names, in table order; those unknown are passed over. */
export function columnsFromUrl(text: string | undefined): readonly ColumnName[] {
  if (!text) return COLUMNS_DEFAULT;
  const named = new Set(text.split(','));
  const chosen = COLUMNS.filter((name) => named.has(name));
  return chosen.length > 0 ? chosen : COLUMNS_DEFAULT;
}

/** Nothing in the URL for the default, so that links stay short. */
export function columnsToUrl(chosen: readonly ColumnName[]): string | undefined {
  const text = COLUMNS.filter((name) => chosen.includes(name)).join(',');
  return text === COLUMNS_DEFAULT.join(',') || text === '' ? undefined : text;
}

export function findingColumns(
  chosen: readonly ColumnName[],
  t: TFunction,
  language: string,
): Column<FindingRow>[] {
  const cut = (text: string) => (
    <span className="cut">
      <Inert text={text} title />
    </span>
  );
  const all: Record<ColumnName, Omit<Column<FindingRow>, 'id' | 'header' | 'sort'>> = {
    id: { track: '150px', cell: (row) => <code className="cut">{row.id}</code> },
    severity: { track: '104px', descending: true, cell: (row) => <SeverityLabel severity={row.severity} /> },
    title: {
      track: 'minmax(220px, 3fr)',
      cell: (row) => (
        <>
          {cut(row.title)}
          {row.kev && (
            <span className="kev" title={t('finding.kevLong')}>
              {t('finding.kev')}
            </span>
          )}
        </>
      ),
    },
    cvss: {
      track: '72px',
      end: true,
      descending: true,
      cell: (row) =>
        row.cvss ? (
          <span title={`CVSS ${row.cvss.version}`}>{formatScore(row.cvss.score, language)}</span>
        ) : (
          <NotGiven />
        ),
    },
    patchable: {
      track: '96px',
      descending: true,
      cell: (row) => (row.patchable ? t('value.yes') : <span className="muted">{t('value.no')}</span>),
    },
    package: { track: 'minmax(110px, 1.2fr)', cell: (row) => cut(row.packages.map(({ name }) => name).join(', ')) },
    installed: { track: 'minmax(100px, 1fr)', cell: (row) => cut(row.installed) },
    fixed: {
      track: 'minmax(100px, 1fr)',
      cell: (row) => (row.fixed ? cut(row.fixed) : <span className="muted">{t('finding.noFix')}</span>),
    },
    epss: {
      track: '84px',
      end: true,
      descending: true,
      cell: (row) => (row.epss ? formatShare(row.epss.score, language) : <NotGiven />),
    },
    category: { track: '110px', cell: (row) => cut(row.category) },
    cves: { track: 'minmax(140px, 1fr)', cell: (row) => (row.cves.length > 0 ? cut(row.cves.join(', ')) : <NotGiven />) },
    kev: { track: '90px', descending: true, cell: (row) => (row.kev ? t('value.yes') : t('value.no')) },
    publishedAt: { track: '120px', descending: true, cell: (row) => <Day at={row.publishedAt} /> },
    layer: { track: '70px', end: true, cell: (row) => (typeof row.layer === 'number' ? row.layer + 1 : <NotGiven />) },
    firstSeenAt: { track: '130px', descending: true, cell: (row) => <Age at={row.firstSeenAt} /> },
    status: { track: '100px', cell: (row) => t(`findingStatus.${row.status}`) },
  };
  return chosen.map((id) => {
    const column = all[id];
    return {
      ...column,
      id,
      header: t(`column.${id}`),
      // The server sorts all but lists of names.
      sort: id === 'cves' ? undefined : id,
    };
  });
}
