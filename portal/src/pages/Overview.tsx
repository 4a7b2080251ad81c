import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schemas } from '../api/client';
import { overviewQuery, registriesQuery } from '../api/queries';
import { Command } from '../components/Copy';
import { Inert } from '../components/Inert';
import { ImageLink } from '../components/links';
import { Page } from '../components/Page';
import { SEVERITIES, SeverityBar, SeverityLabel } from '../components/Severity';
import { Empty, Failure, Loading } from '../components/states';
import { STATUSES, StatusLabel } from '../components/Status';
import { Age, Count } from '../components/values';
import { FeedStateLabel } from './Advisories';

export default function Overview() {
  const { t } = useTranslation();
  const { data, error, refetch } = useQuery(overviewQuery());
  return (
    <Page title={t('overview.title')} subtitle={t('overview.subtitle')}>
      {error && <Failure error={error} retry={() => void refetch()} />}
      {!data && !error && <Loading />}
      {data && data.images.total === 0 && <Welcome />}
      {data && (
        <div className="cards">
          <Images counts={data.images} />
          <Severities data={data} />
          <Queue counts={data.scanQueue} />
          <Newest findings={data.newestCritical} />
          <Freshness feeds={data.advisories} />
        </div>
      )}
    </Page>
  );
}

function Card({ title, wide = false, children }: { title: string; wide?: boolean; children: ReactNode }) {
  return (
    <section className={wide ? 'card card-wide' : 'card'} aria-label={title}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function Images({ counts }: { counts: Schemas['ImageCounts'] }) {
  const { t } = useTranslation();
  return (
    <Card title={t('overview.images')}>
      <p className="figure">
        <Link to="/registries" className="link">
          <Count value={counts.total} />
        </Link>
      </p>
      <ul className="legend">
        {STATUSES.map((status) => (
          <li key={status}>
            <StatusLabel status={status} />
            <Link to="/registries" className="link">
              <Count value={counts[status]} />
            </Link>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Severities({ data }: { data: Schemas['Overview'] }) {
  const { t } = useTranslation();
  const total = SEVERITIES.reduce((sum, severity) => sum + data.severities[severity], 0);
  return (
    <Card title={t('overview.findings')}>
      <p className="figure">
        <Link to="/findings" className="link">
          <Count value={total} />
        </Link>
      </p>
      <SeverityBar counts={data.severities} />
      <ul className="legend">
        {SEVERITIES.map((severity) => (
          <li key={severity}>
            <SeverityLabel severity={severity} />
            <Link to="/findings" search={{ sev: severity }} className="link">
              <Count value={data.severities[severity]} />
            </Link>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Queue({ counts }: { counts: Schemas['ScanCounts'] }) {
  const { t } = useTranslation();
  return (
    <Card title={t('overview.scans')}>
      <ul className="legend">
        {(['queued', 'running', 'failed'] as const).map((state) => (
          <li key={state}>
            {t(`scan.${state}`)}
            <Link to="/scans" className="link">
              <Count value={counts[state]} />
            </Link>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Newest({ findings }: { findings: Schemas['FindingRef'][] }) {
  const { t } = useTranslation();
  return (
    <Card title={t('overview.newest')} wide>
      {findings.length === 0 ? (
        <p className="muted">{t('overview.noneCritical')}</p>
      ) : (
        <table className="plain-table">
          <thead>
            <tr>
              <th>{t('finding.severity')}</th>
              <th>{t('finding.title')}</th>
              <th>{t('image.image')}</th>
              <th>{t('finding.firstSeen')}</th>
            </tr>
          </thead>
          <tbody>
            {findings.map((finding) => (
              <tr key={finding.id + finding.registry + finding.repository + finding.digest}>
                <td>
                  <SeverityLabel severity={finding.severity} />
                </td>
                <td>
                  <ImageLink {...finding} finding={finding.id}>
                    <Inert text={finding.title} />
                  </ImageLink>{' '}
                  {finding.kev && <span className="kev">{t('finding.kev')}</span>}
                </td>
                <td>
                  <ImageLink {...finding}>
                    <Inert text={finding.repository + (finding.tags[0] ? `:${finding.tags[0]}` : '')} />
                  </ImageLink>
                </td>
                <td>
                  <Age at={finding.firstSeenAt} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

function Freshness({ feeds }: { feeds: Schemas['FeedStatus'][] }) {
  const { t } = useTranslation();
  return (
    <Card title={t('overview.advisories')} wide>
      {feeds.length === 0 ? (
        <p className="muted">{t('advisories.none')}</p>
      ) : (
        <table className="plain-table">
          <thead>
            <tr>
              <th>{t('advisories.source')}</th>
              <th className="end">{t('advisories.records')}</th>
              <th>{t('advisories.dataDate')}</th>
              <th>{t('advisories.state')}</th>
            </tr>
          </thead>
          <tbody>
            {feeds.map((feed) => (
              <tr key={feed.source}>
                <td>
                  <Link to="/settings/advisories" className="link">
                    <Inert text={feed.source} />
                  </Link>
                </td>
                <td className="end">
                  <Count value={feed.records} />
                </td>
                <td>
                  <Age at={feed.dataDate} />
                </td>
                <td>
                  <FeedStateLabel state={feed.state} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

/** An empty installation: what to do first, with the real names. */
function Welcome() {
  const { t } = useTranslation();
  const { data } = useQuery(registriesQuery());
  const server = data?.[0]?.loginServer;
  return (
    <Empty title={t('overview.empty')}>
      <p>{t('overview.emptyNext')}</p>
      {server && (
        <>
          <Command label="docker" text={`docker login ${server}`} />
          <Command label="docker" text={`docker tag python:3.12-slim ${server}/demo/app:1`} />
          <Command label="docker" text={`docker push ${server}/demo/app:1`} />
        </>
      )}
    </Empty>
  );
}

