import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schemas } from '../../api/client';
import { historyQuery, type ImageKey } from '../../api/queries';
import { useRows } from '../../api/rows';
import { Grid, type Column } from '../../components/Grid';
import { Inert } from '../../components/Inert';
import { SeverityLabel } from '../../components/Severity';
import { Empty, Failure } from '../../components/states';
import { Moment } from '../../components/values';

type Row = Schemas['HistoryRow'];

const route = getRouteApi('/shell/registries/$reg/$repo/$digest');

/** What opened and closed on this image, and why. */
export default function HistoryTab({ imageKey }: { imageKey: ImageKey }) {
  const { t } = useTranslation();
  const { reg, repo, digest } = route.useParams();
  const navigate = useNavigate();
  const rows = useRows((index) => historyQuery(imageKey, index), JSON.stringify(imageKey));
  const open = useCallback(
    (row: Row) =>
      void navigate({
        to: '/registries/$reg/$repo/$digest',
        params: { reg, repo, digest },
        search: { finding: row.findingId },
      }),
    [navigate, reg, repo, digest],
  );
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: 'at', header: t('history.at'), track: '200px', cell: (row) => <Moment at={row.at} /> },
      { id: 'what', header: t('history.what'), track: '110px', cell: (row) => t(`historyWhat.${row.what}`) },
      { id: 'severity', header: t('finding.severity'), track: '110px', cell: (row) => <SeverityLabel severity={row.severity} /> },
      { id: 'title', header: t('finding.title'), track: 'minmax(220px, 2.4fr)', cell: (row) => <span className="cut"><Inert text={row.title} title /></span> },
      {
        id: 'package',
        header: t('finding.package'),
        track: 'minmax(120px, 1fr)',
        cell: (row) => <span className="cut"><Inert text={row.packages.map(({ name }) => name).join(', ')} title /></span>,
      },
      {
        id: 'cause',
        header: t('history.cause'),
        track: 'minmax(180px, 1.6fr)',
        cell: (row) => (
          <span className="cut">
            {t(`historyCause.${row.cause.kind}`)} {row.cause.detail && <Inert text={row.cause.detail} title />}
          </span>
        ),
      },
    ],
    [t],
  );
  if (rows.error) return <Failure error={rows.error} retry={rows.retry} />;
  if (rows.total === 0) return <Empty title={t('history.none')} />;
  return (
    <Grid
      label={t('tab.activity')}
      columns={columns}
      rows={rows}
      rowId={(row) => `${row.at} ${row.findingId} ${row.what}`}
      onOpen={open}
    />
  );
}
