import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schemas } from '../api/client';
import { advisoriesQuery } from '../api/queries';
import { rowsOf } from '../api/rows';
import { Command } from '../components/Copy';
import { Grid, type Column } from '../components/Grid';
import { Inert } from '../components/Inert';
import { Page } from '../components/Page';
import { Empty, Failure, Loading } from '../components/states';
import { Age, Count } from '../components/values';

type Feed = Schemas['FeedStatus'];

export default function Advisories() {
  const { t } = useTranslation();
  const { data, error, refetch } = useQuery(advisoriesQuery());
  const columns = useMemo<Column<Feed>[]>(
    () => [
      { id: 'source', header: t('advisories.source'), track: 'minmax(140px, 1fr)', cell: (row) => <span className="cut"><Inert text={row.source} title /></span> },
      { id: 'state', header: t('advisories.state'), track: '160px', cell: (row) => <FeedStateLabel state={row.state} /> },
      { id: 'records', header: t('advisories.records'), track: '120px', end: true, cell: (row) => <Count value={row.records} /> },
      { id: 'data', header: t('advisories.dataDate'), track: '150px', cell: (row) => <Age at={row.dataDate} /> },
      { id: 'imported', header: t('advisories.importedAt'), track: '150px', cell: (row) => <Age at={row.importedAt} /> },
      {
        id: 'namespaces',
        header: t('advisories.namespaces'),
        track: 'minmax(220px, 2fr)',
        cell: (row) => <span className="cut"><Inert text={row.namespaces.join(', ')} title /></span>,
      },
    ],
    [t],
  );
  return (
    <Page title={t('rooms.advisories')} subtitle={t('advisories.subtitle')} fill>
      {error && <Failure error={error} retry={() => void refetch()} />}
      {!data && !error && <Loading />}
      {data && data.length === 0 && (
        <Empty title={t('advisories.none')}>
          <p>{t('advisories.noneNext')}</p>
          <Command label="lazaret" text="lazaret advisories update" />
        </Empty>
      )}
      {data && data.length > 0 && (
        <Grid label={t('rooms.advisories')} columns={columns} rows={rowsOf(data)} rowId={(row) => row.source} />
      )}
    </Page>
  );
}

/** Age in words and colour: amber after 24 hours, red after 72. */
export function FeedStateLabel({ state }: { state: Feed['state'] }) {
  const { t } = useTranslation();
  return <span className={`feed feed-${state}`}>{t(`feed.${state}`)}</span>;
}
