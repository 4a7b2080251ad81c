import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schemas } from '../api/client';
import { registriesQuery } from '../api/queries';
import { rowsOf } from '../api/rows';
import { CopyButton } from '../components/Copy';
import { Grid, type Column } from '../components/Grid';
import { Inert } from '../components/Inert';
import { FindingCounts, UnhealthyOfTotal } from '../components/links';
import { Page } from '../components/Page';
import { Failure, Loading } from '../components/states';
import { Age, Count } from '../components/values';

type Registry = Schemas['Registry'];

export default function Registries() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { data, error, refetch } = useQuery(registriesQuery());
  const columns = useMemo<Column<Registry>[]>(
    () => [
      {
        id: 'name',
        header: t('registry.name'),
        track: 'minmax(140px, 1fr)',
        cell: (row) => (
          <Link to="/registries/$reg" params={{ reg: row.name }} className="link cut" tabIndex={-1}>
            <Inert text={row.name} title />
          </Link>
        ),
      },
      {
        id: 'server',
        header: t('registry.loginServer'),
        track: 'minmax(180px, 1.4fr)',
        cell: (row) => (
          <>
            <code className="cut">
              <Inert text={row.loginServer} title />
            </code>
            <CopyButton text={row.loginServer} what={row.loginServer} />
          </>
        ),
      },
      {
        id: 'repositories',
        header: t('registry.repositories'),
        track: '110px',
        end: true,
        cell: (row) => (
          <Link to="/registries/$reg" params={{ reg: row.name }} className="link" tabIndex={-1}>
            <Count value={row.repositories} />
          </Link>
        ),
      },
      {
        id: 'images',
        header: t('image.unhealthyOfTotal'),
        track: '150px',
        end: true,
        cell: (row) => <UnhealthyOfTotal images={row.images} registry={row.name} />,
      },
      {
        id: 'severities',
        header: t('finding.findings'),
        track: 'minmax(240px, 2fr)',
        cell: (row) => <FindingCounts counts={row.severities} place={{ registry: row.name }} inGrid />,
      },
      { id: 'push', header: t('image.lastPush'), track: '130px', cell: (row) => <Age at={row.lastPushAt} /> },
      { id: 'scan', header: t('image.lastScan'), track: '130px', cell: (row) => <Age at={row.lastScanAt} /> },
    ],
    [t],
  );
  const open = useCallback(
    (row: Registry) => void navigate({ to: '/registries/$reg', params: { reg: row.name } }),
    [navigate],
  );
  return (
    <Page title={t('rooms.registries')} subtitle={t('registry.subtitle')} fill>
      {error && <Failure error={error} retry={() => void refetch()} />}
      {!data && !error && <Loading />}
      {data && (
        <Grid
          label={t('rooms.registries')}
          columns={columns}
          rows={rowsOf(data)}
          rowId={(row) => row.name}
          onOpen={open}
        />
      )}
    </Page>
  );
}
