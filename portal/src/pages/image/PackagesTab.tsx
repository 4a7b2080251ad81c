import { Link, getRouteApi, useNavigate } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schemas } from '../../api/client';
import { packagesQuery } from '../../api/queries';
import { useRows } from '../../api/rows';
import { FilterBox } from '../../components/FilterBox';
import { Grid, type Column } from '../../components/Grid';
import { Inert } from '../../components/Inert';
import { SeverityCountsView } from '../../components/Severity';
import { Empty, Failure } from '../../components/states';
import type { TabProps } from './Image';

type Package = Schemas['PackageRow'];

const route = getRouteApi('/shell/registries/$reg/$repo/$digest');

export default function PackagesTab({ imageKey, image }: TabProps) {
  const { t } = useTranslation();
  const params = route.useParams();
  const { q } = route.useSearch();
  const navigate = useNavigate();
  const rows = useRows((index) => packagesQuery(imageKey, q, index), JSON.stringify([imageKey, q]));
  const { reg, repo, digest } = params;
  const filter = useCallback(
    (text: string | undefined) =>
      void navigate({
        to: '/registries/$reg/$repo/$digest',
        params: { reg, repo, digest },
        search: (now) => ({ ...now, q: text }),
        replace: true,
      }),
    [navigate, reg, repo, digest],
  );
  const columns = useMemo<Column<Package>[]>(
    () => [
      { id: 'name', header: t('package.name'), track: 'minmax(160px, 1.6fr)', cell: (row) => <Cut text={row.name} /> },
      { id: 'version', header: t('package.version'), track: 'minmax(120px, 1.2fr)', cell: (row) => <Cut text={row.version} /> },
      { id: 'type', header: t('package.type'), track: '80px', cell: (row) => row.type },
      { id: 'arch', header: t('package.arch'), track: '80px', cell: (row) => row.arch && <Cut text={row.arch} /> },
      {
        id: 'source',
        header: t('package.source'),
        track: 'minmax(120px, 1fr)',
        cell: (row) => row.source && <Cut text={[row.source.name, row.source.version].filter(Boolean).join(' ')} />,
      },
      {
        id: 'findings',
        header: t('finding.findings'),
        track: 'minmax(130px, 1fr)',
        cell: (row) =>
          row.undetermined ? (
            <span className="muted cut" title={row.undetermined}>
              {t('package.undetermined')}
            </span>
          ) : (
            <SeverityCountsView
              counts={row.findings}
              link={(severity, children, label) => (
                <Link
                  to="/registries/$reg/$repo/$digest"
                  params={{ reg, repo, digest }}
                  search={{ q: row.name, sev: severity }}
                  className="link plain"
                  aria-label={label}
                  tabIndex={-1}
                >
                  {children}
                </Link>
              )}
            />
          ),
      },
      { id: 'layer', header: t('column.layer'), track: '70px', end: true, cell: (row) => row.layer + 1 },
      { id: 'path', header: t('package.path'), track: 'minmax(180px, 2fr)', cell: (row) => <code className="cut"><Inert text={row.path} title /></code> },
    ],
    [t, reg, repo, digest],
  );
  return (
    <>
      <div className="commands" role="group" aria-label={t('shell.commands')}>
        <FilterBox label={t('package.filter')} value={q} onChange={filter} />
      </div>
      {rows.error && <Failure error={rows.error} retry={rows.retry} />}
      {image.undetermined.length > 0 && (
        <details className="notice">
          <summary>{t('package.undeterminedCount', { count: image.undetermined.length })}</summary>
          <ul className="link-list">
            {image.undetermined.map((item) => (
              <li key={item.package + item.reason}>
                <code><Inert text={item.package} /></code>: <Inert text={item.reason} />
              </li>
            ))}
          </ul>
        </details>
      )}
      {rows.total === 0 ? (
        <Empty title={q ? t('state.noMatch') : t('package.none')} />
      ) : (
        <Grid
          label={t('tab.packages')}
          columns={columns}
          rows={rows}
          rowId={(row) => `${row.purl} ${row.path}`}
        />
      )}
    </>
  );
}

const Cut = ({ text }: { text: string }) => (
  <span className="cut">
    <Inert text={text} title />
  </span>
);
