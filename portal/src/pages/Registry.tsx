import { useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schemas } from '../api/client';
import { registryQuery, repositoriesQuery } from '../api/queries';
import { useRows } from '../api/rows';
import { CopyButton } from '../components/Copy';
import { crumbsTo } from '../components/crumbs';
import { FilterBox } from '../components/FilterBox';
import { Grid, type Column } from '../components/Grid';
import { Inert } from '../components/Inert';
import { FindingCounts, RepositoryLink, UnhealthyOfTotal } from '../components/links';
import { Page } from '../components/Page';
import { PushSteps } from '../components/PushSteps';
import { Empty, Failure, isNotFound } from '../components/states';
import { Age, Bytes, Count } from '../components/values';
import { repositoryToPath } from '../format/names';
import { ObjectNotFound } from './NotFound';

type Repository = Schemas['Repository'];

const route = getRouteApi('/shell/registries/$reg');

export default function Registry() {
  const { t } = useTranslation();
  const { reg } = route.useParams();
  const { q } = route.useSearch();
  const navigate = useNavigate();
  const registry = useQuery(registryQuery(reg));
  const rows = useRows((index) => repositoriesQuery(reg, q, index), `${reg}\n${q ?? ''}`);
  const columns = useMemo<Column<Repository>[]>(
    () => [
      {
        id: 'name',
        header: t('repository.name'),
        track: 'minmax(200px, 2fr)',
        cell: (row) => <RepositoryLink registry={reg} repository={row.name} inGrid />,
      },
      { id: 'tags', header: t('repository.tags'), track: '80px', end: true, cell: (row) => <Count value={row.tags} /> },
      {
        id: 'images',
        header: t('image.unhealthyOfTotal'),
        track: '150px',
        end: true,
        cell: (row) => <UnhealthyOfTotal images={row.images} registry={reg} repository={row.name} />,
      },
      {
        id: 'severities',
        header: t('finding.findings'),
        track: 'minmax(240px, 2fr)',
        cell: (row) => <FindingCounts counts={row.severities} place={{ registry: reg, repository: row.name }} inGrid />,
      },
      { id: 'size', header: t('image.size'), track: '100px', end: true, cell: (row) => <Bytes value={row.sizeBytes} /> },
      { id: 'push', header: t('image.lastPush'), track: '130px', cell: (row) => <Age at={row.lastPushAt} /> },
      { id: 'scan', header: t('image.lastScan'), track: '130px', cell: (row) => <Age at={row.lastScanAt} /> },
    ],
    [t, reg],
  );
  const open = useCallback(
    (row: Repository) =>
      void navigate({ to: '/registries/$reg/$repo', params: { reg, repo: repositoryToPath(row.name) } }),
    [navigate, reg],
  );
  const filter = useCallback(
    (text: string | undefined) =>
      void navigate({ to: '/registries/$reg', params: { reg }, search: { q: text }, replace: true }),
    [navigate, reg],
  );

  const crumbs = crumbsTo(t('rooms.registries'));
  if (isNotFound(registry.error)) {
    return <ObjectNotFound title={reg} crumbs={crumbs} parent={{ text: t('rooms.registries'), href: '/registries' }} />;
  }
  const server = registry.data?.loginServer;
  return (
    <Page
      title={reg}
      crumbs={crumbs}
      fill
      subtitle={
        server && (
          <>
            {t('registry.loginServer')}:{' '}
            <code>
              <Inert text={server} />
            </code>
            <CopyButton text={server} what={server} />
          </>
        )
      }
      commands={<FilterBox label={t('repository.filter')} value={q} onChange={filter} />}
    >
      {registry.error && <Failure error={registry.error} retry={() => void registry.refetch()} />}
      {rows.error && <Failure error={rows.error} retry={rows.retry} />}
      {rows.total === 0 && !q && (
        <Empty title={t('registry.empty')}>{server && <PushSteps server={server} repository="demo/app" />}</Empty>
      )}
      {rows.total === 0 && q && <Empty title={t('state.noMatch')} />}
      {rows.total !== 0 && (
        <Grid label={t('registry.repositories')} columns={columns} rows={rows} rowId={(row) => row.name} onOpen={open} />
      )}
    </Page>
  );
}
