import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schemas } from '../../api/client';
import { rowsOf } from '../../api/rows';
import { CopyButton } from '../../components/Copy';
import { Grid, type Column } from '../../components/Grid';
import { Inert } from '../../components/Inert';
import { SeverityCountsView } from '../../components/Severity';
import { Empty } from '../../components/states';
import { Bytes, Count, NotGiven } from '../../components/values';
import { shortDigest } from '../../format/names';
import type { TabProps } from './Image';

type Layer = Schemas['Layer'];

export default function LayersTab({ image }: TabProps) {
  const { t } = useTranslation();
  const columns = useMemo<Column<Layer>[]>(
    () => [
      { id: 'index', header: t('column.layer'), track: '60px', end: true, cell: (row) => row.index + 1 },
      {
        id: 'created',
        header: t('layer.instruction'),
        track: 'minmax(260px, 4fr)',
        cell: (row) => (row.createdBy ? <code className="cut"><Inert text={row.createdBy} title /></code> : <NotGiven />),
      },
      {
        id: 'digest',
        header: t('image.digest'),
        track: '160px',
        cell: (row) => (
          <>
            <code title={row.digest}>{shortDigest(row.digest)}</code>
            <CopyButton text={row.digest} what={row.digest} />
          </>
        ),
      },
      { id: 'size', header: t('image.size'), track: '100px', end: true, cell: (row) => <Bytes value={row.sizeBytes} /> },
      { id: 'packages', header: t('tab.packages'), track: '90px', end: true, cell: (row) => <Count value={row.packages} /> },
      { id: 'findings', header: t('finding.findings'), track: 'minmax(160px, 1fr)', cell: (row) => <SeverityCountsView counts={row.findings} /> },
      { id: 'media', header: t('layer.mediaType'), track: 'minmax(160px, 1.4fr)', cell: (row) => <span className="cut"><Inert text={row.mediaType} title /></span> },
    ],
    [t],
  );
  return (
    <>
      {image.problems.length > 0 && (
        <section className="notice" aria-label={t('layer.problems')}>
          <div>
            <strong>{t('layer.problems')}</strong>
            <ul className="link-list">
              {image.problems.map((problem, index) => (
                <li key={index}>
                  {typeof problem.layer === 'number' && (
                    <>
                      {t('column.layer')} {problem.layer + 1}:{' '}
                    </>
                  )}
                  {problem.path && <code><Inert text={problem.path} /></code>} <Inert text={problem.message} />{' '}
                  <span className="muted">(<Inert text={problem.kind} />)</span>
                </li>
              ))}
            </ul>
          </div>
        </section>
      )}
      {image.layers.length === 0 ? (
        <Empty title={t('layer.none')} />
      ) : (
        <Grid label={t('tab.layers')} columns={columns} rows={rowsOf(image.layers)} rowId={(row) => String(row.index)} />
      )}
    </>
  );
}
