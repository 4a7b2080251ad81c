import { useNavigate } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schemas } from '../api/client';
import { scansQuery } from '../api/queries';
import { useRows } from '../api/rows';
import { Grid, type Column } from '../components/Grid';
import { Inert } from '../components/Inert';
import { ImageLink, RepositoryLink } from '../components/links';
import { Page } from '../components/Page';
import { Empty, Failure } from '../components/states';
import { ScanLabel } from '../components/Status';
import { Age, Count } from '../components/values';
import { repositoryToPath } from '../format/names';

type Row = Schemas['ScanJob'];

export default function Scans() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const rows = useRows(scansQuery, '');
  const open = useCallback(
    (row: Row) =>
      void navigate({
        to: '/registries/$reg/$repo/$digest',
        params: { reg: row.registry, repo: repositoryToPath(row.repository), digest: row.digest },
      }),
    [navigate],
  );
  const columns = useMemo<Column<Row>[]>(
    () => [
      {
        id: 'repository',
        header: t('repository.name'),
        track: 'minmax(160px, 1.4fr)',
        cell: (row) => <RepositoryLink registry={row.registry} repository={row.repository} inGrid />,
      },
      { id: 'image', header: t('image.digest'), track: '140px', cell: (row) => <ImageLink {...row} inGrid /> },
      { id: 'tags', header: t('image.tags'), track: 'minmax(100px, 1fr)', cell: (row) => <span className="cut"><Inert text={row.tags.join(', ')} title /></span> },
      { id: 'state', header: t('image.scan'), track: 'minmax(150px, 1fr)', cell: (row) => <ScanLabel scan={row.scan} /> },
      { id: 'trigger', header: t('scans.trigger'), track: '140px', cell: (row) => t(`trigger.${row.trigger}`) },
      { id: 'attempts', header: t('scans.attempts'), track: '90px', end: true, cell: (row) => <Count value={row.attempts} /> },
      { id: 'queued', header: t('scans.queuedAt'), track: '140px', cell: (row) => <Age at={row.queuedAt} /> },
      {
        id: 'failure',
        header: t('scans.failure'),
        track: 'minmax(200px, 2fr)',
        cell: (row) => row.scan.failure && <span className="cut"><Inert text={row.scan.failure} title /></span>,
      },
    ],
    [t],
  );
  return (
    <Page title={t('rooms.scans')} subtitle={t('scans.subtitle')} fill>
      {rows.error && <Failure error={rows.error} retry={rows.retry} />}
      {rows.total === 0 ? (
        <Empty title={t('scans.none')}>
          <p>{t('scans.noneWhy')}</p>
        </Empty>
      ) : (
        <Grid
          label={t('rooms.scans')}
          columns={columns}
          rows={rows}
          rowId={(row) => `${row.registry}/${row.repository}@${row.digest}`}
          onOpen={open}
        />
      )}
    </Page>
  );
}
