import { Tab, TabList } from '@fluentui/react-components';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { Suspense, lazy, useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import type { ImageDetail } from '../../api/client';
import { imageQuery, type ImageKey } from '../../api/queries';
import { CopyButton } from '../../components/Copy';
import { crumbsTo, repositoryHref } from '../../components/crumbs';
import { Inert } from '../../components/Inert';
import { ImageLink } from '../../components/links';
import { Page } from '../../components/Page';
import { Failure, Loading, isNotFound } from '../../components/states';
import { CausePanel, ScanLabel, StatusLabel } from '../../components/Status';
import { Age, Bytes, Count } from '../../components/values';
import { repositoryFromPath, shortDigest } from '../../format/names';
import { ObjectNotFound } from '../NotFound';
import FindingsTab from './FindingsTab';

const PackagesTab = lazy(() => import('./PackagesTab'));
const LayersTab = lazy(() => import('./LayersTab'));
const ConfigTab = lazy(() => import('./ConfigTab'));
const HistoryTab = lazy(() => import('./HistoryTab'));

const TABS = ['findings', 'packages', 'layers', 'config', 'activity'] as const;
type TabName = (typeof TABS)[number];

const route = getRouteApi('/shell/registries/$reg/$repo/$digest');

export default function Image() {
  const { t } = useTranslation();
  const { reg, repo, digest } = route.useParams();
  const search = route.useSearch();
  const navigate = useNavigate();
  const repository = repositoryFromPath(repo);
  const key = useMemo<ImageKey>(() => ({ registry: reg, repository, digest }), [reg, repository, digest]);
  const { data, error, refetch } = useQuery(imageQuery(key));
  const tab: TabName = TABS.find((name) => name === search.tab) ?? 'findings';
  const crumbs = crumbsTo(t('rooms.registries'), reg, repository);
  if (isNotFound(error)) {
    return (
      <ObjectNotFound
        title={shortDigest(digest)}
        crumbs={crumbs}
        parent={{ text: repository, href: repositoryHref(reg, repository) }}
      />
    );
  }
  return (
    <Page
      title={data ? imageTitle(data, repository) : shortDigest(digest)}
      crumbs={crumbs}
      fill
      subtitle={data && <Facts image={data} />}
    >
      {error && <Failure error={error} retry={() => void refetch()} />}
      {!data && !error && <Loading lines={10} />}
      {data && (
        <>
          {data.status === 'notApplicable' && <CausePanel cause={data.cause} />}
          {data.scan.failure && data.status !== 'notApplicable' && (
            <section className="notice" aria-label={t('scan.failed')}>
              <div>
                <strong>{t('scan.failed')}</strong>
                <p>
                  <Inert text={data.scan.failure} />
                </p>
              </div>
            </section>
          )}
          {data.children.length > 0 && <Platforms image={data} imageKey={key} />}
          <TabList
            className="tabs"
            selectedValue={tab}
            onTabSelect={(_, { value }) =>
              void navigate({
                to: '/registries/$reg/$repo/$digest',
                params: { reg, repo, digest },
                search: { tab: value === 'findings' ? undefined : String(value) },
              })
            }
          >
            {TABS.map((name) => (
              <Tab key={name} value={name} id={`tab-${name}`}>
                {t(`tab.${name}`)}
                <TabCount image={data} name={name} />
              </Tab>
            ))}
          </TabList>
          <div className="tab-panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
            <Suspense fallback={<Loading />}>
              {tab === 'findings' && <FindingsTab imageKey={key} image={data} />}
              {tab === 'packages' && <PackagesTab imageKey={key} image={data} />}
              {tab === 'layers' && <LayersTab imageKey={key} image={data} />}
              {tab === 'config' && <ConfigTab image={data} />}
              {tab === 'activity' && <HistoryTab imageKey={key} />}
            </Suspense>
          </div>
        </>
      )}
    </Page>
  );
}

export interface TabProps {
  imageKey: ImageKey;
  image: ImageDetail;
}

const imageTitle = (image: ImageDetail, repository: string) =>
  image.tags[0] ? `${repository}:${image.tags[0]}` : `${repository}@${shortDigest(image.digest)}`;

function TabCount({ image, name }: { image: ImageDetail; name: TabName }) {
  const { critical, high, medium, low, unscored } = image.severities;
  const counts: Partial<Record<TabName, number>> = {
    findings: critical + high + medium + low + unscored,
    packages: image.packages,
    layers: image.layers.length,
  };
  const count = counts[name];
  return count === undefined ? null : (
    <span className="tab-count">
      <Count value={count} />
    </span>
  );
}

/** Status, scan, digest, tags, platform, size and age, in one line. */
function Facts({ image }: { image: ImageDetail }) {
  const { t } = useTranslation();
  const platform = image.platform;
  return (
    <dl className="facts">
      <div>
        <dt>{t('image.status')}</dt>
        <dd>
          <StatusLabel status={image.status} cause={image.cause} />
        </dd>
      </div>
      <div>
        <dt>{t('image.scan')}</dt>
        <dd>
          <ScanLabel scan={image.scan} /> {image.scan.finishedAt && <Age at={image.scan.finishedAt} />}
        </dd>
      </div>
      {image.advisories.newestDataDate && (
        <div>
          <dt>{t('image.advisoriesOf')}</dt>
          <dd>
            <Age at={image.advisories.newestDataDate} />
          </dd>
        </div>
      )}
      <div>
        <dt>{t('image.digest')}</dt>
        <dd>
          <code title={image.digest}>{shortDigest(image.digest)}</code>
          <CopyButton text={image.digest} what={image.digest} />
        </dd>
      </div>
      <div>
        <dt>{t('image.tags')}</dt>
        <dd>
          {image.tags.length > 0 ? (
            image.tags.map((tag) => (
              <span key={tag} className="chip">
                <Inert text={tag} />
              </span>
            ))
          ) : (
            <span className="muted">{t('image.untagged')}</span>
          )}
        </dd>
      </div>
      <div>
        <dt>{t('image.platform')}</dt>
        <dd>
          {platform ? (
            <Inert text={[platform.os, platform.architecture, platform.variant].filter(Boolean).join('/')} />
          ) : (
            t(`kind.${image.kind}`)
          )}
        </dd>
      </div>
      {image.os && (
        <div>
          <dt>{t('image.os')}</dt>
          <dd>
            <Inert text={image.os.name ?? [image.os.id, image.os.version].filter(Boolean).join(' ')} />{' '}
            {image.os.eol && <span className="eol">{t('image.eol')}</span>}
          </dd>
        </div>
      )}
      <div>
        <dt>{t('image.size')}</dt>
        <dd>
          <Bytes value={image.sizeBytes} />
        </dd>
      </div>
      <div>
        <dt>{t('image.pushed')}</dt>
        <dd>
          <Age at={image.pushedAt} />
          {image.pushedBy && (
            <>
              {' '}
              {t('image.by')} <Inert text={image.pushedBy} />
            </>
          )}
        </dd>
      </div>
    </dl>
  );
}

/** The images of an index, to switch to. */
function Platforms({ image, imageKey }: { image: ImageDetail; imageKey: ImageKey }) {
  const { t } = useTranslation();
  return (
    <nav className="platforms" aria-label={t('image.platforms')}>
      <span>{t('image.platforms')}</span>
      {image.children.map((child) => (
        <span key={child.digest} className="chip">
          <ImageLink {...imageKey} digest={child.digest}>
            {child.platform ? (
              <Inert text={[child.platform.os, child.platform.architecture, child.platform.variant].filter(Boolean).join('/')} />
            ) : (
              <code>{shortDigest(child.digest)}</code>
            )}
          </ImageLink>
          <StatusLabel status={child.status} cause={child.cause} />
        </span>
      ))}
    </nav>
  );
}
