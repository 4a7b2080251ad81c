import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schemas } from '../api/client';
import { searchQuery } from '../api/queries';
import { useRows } from '../api/rows';
import { FilterBox } from '../components/FilterBox';
import { Grid, type Column } from '../components/Grid';
import { Inert } from '../components/Inert';
import { ImageLink, RepositoryLink } from '../components/links';
import { Page } from '../components/Page';
import { SeverityLabel } from '../components/Severity';
import { SeverityFilter } from '../components/SeverityFilter';
import { Empty, Failure } from '../components/states';
import { Age, NotGiven } from '../components/values';
import { repositoryToPath } from '../format/names';

type Row = Schemas['FindingRef'];

const route = getRouteApi('/shell/findings');

/** Where am I affected: one row per finding and image. */
export default function Findings() {
  const { t } = useTranslation();
  const search = route.useSearch();
  const navigate = useNavigate();
  const { q, sev, registry, repository } = search;
  const rows = useRows(
    (index) => searchQuery({ q, severity: sev, registry, repository }, index),
    JSON.stringify(search),
  );
  const go = useCallback(
    (change: Partial<typeof search>) =>
      void navigate({ to: '/findings', search: (now) => ({ ...now, ...change }), replace: true }),
    [navigate],
  );
  const filter = useCallback((text: string | undefined) => go({ q: text }), [go]);
  const open = useCallback(
    (row: Row) =>
      void navigate({
        to: '/registries/$reg/$repo/$digest',
        params: { reg: row.registry, repo: repositoryToPath(row.repository), digest: row.digest },
        search: { finding: row.id },
      }),
    [navigate],
  );
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: 'severity', header: t('finding.severity'), track: '110px', cell: (row) => <SeverityLabel severity={row.severity} /> },
      {
        id: 'title',
        header: t('finding.title'),
        track: 'minmax(220px, 2.4fr)',
        cell: (row) => (
          <>
            <span className="cut">
              <ImageLink {...row} finding={row.id} inGrid>
                <Inert text={row.title} title />
              </ImageLink>
            </span>
            {row.kev && <span className="kev">{t('finding.kev')}</span>}
          </>
        ),
      },
      {
        id: 'cves',
        header: t('finding.cves'),
        track: 'minmax(140px, 1fr)',
        cell: (row) => (row.cves.length > 0 ? <span className="cut"><Inert text={row.cves.join(', ')} title /></span> : <NotGiven />),
      },
      {
        id: 'package',
        header: t('finding.package'),
        track: 'minmax(120px, 1fr)',
        cell: (row) => <span className="cut"><Inert text={row.packages.map(({ name }) => name).join(', ')} title /></span>,
      },
      { id: 'installed', header: t('finding.installed'), track: 'minmax(100px, .8fr)', cell: (row) => <span className="cut"><Inert text={row.installed} title /></span> },
      {
        id: 'fixed',
        header: t('finding.fixed'),
        track: 'minmax(100px, .8fr)',
        cell: (row) => (row.fixed ? <span className="cut"><Inert text={row.fixed} title /></span> : <span className="muted">{t('finding.noFix')}</span>),
      },
      {
        id: 'repository',
        header: t('repository.name'),
        track: 'minmax(140px, 1.2fr)',
        cell: (row) => <RepositoryLink registry={row.registry} repository={row.repository} inGrid />,
      },
      {
        id: 'image',
        header: t('image.image'),
        track: '130px',
        cell: (row) => (
          <ImageLink {...row} inGrid>
            {row.tags[0] ? <Inert text={row.tags.join(', ')} title /> : undefined}
          </ImageLink>
        ),
      },
      { id: 'seen', header: t('finding.firstSeen'), track: '130px', cell: (row) => <Age at={row.firstSeenAt} /> },
    ],
    [t],
  );

  return (
    <Page
      title={t('findings.title')}
      subtitle={t('findings.subtitle')}
      fill
      commands={
        <>
          <FilterBox label={t('findings.filter')} value={q} onChange={filter} />
          <SeverityFilter value={sev} onChange={(next) => go({ sev: next })} />
          {(registry || repository) && (
            <button type="button" className="chip" onClick={() => go({ registry: undefined, repository: undefined })}>
              <Inert text={[registry, repository].filter(Boolean).join('/')} /> <span aria-hidden="true">×</span>
              <span className="sr-only">{t('filter.remove')}</span>
            </button>
          )}
        </>
      }
    >
      {rows.error && <Failure error={rows.error} retry={rows.retry} />}
      {rows.total === 0 ? (
        <Empty title={q || sev ? t('findings.noMatch') : t('findings.none')}>
          <p>{t('findings.noneWhy')}</p>
        </Empty>
      ) : (
        <Grid
          label={t('findings.title')}
          columns={columns}
          rows={rows}
          rowId={(row) => `${row.id} ${row.registry}/${row.repository}@${row.digest}`}
          onOpen={open}
        />
      )}
    </Page>
  );
}
