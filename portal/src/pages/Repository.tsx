import { Button, ToggleButton } from '@fluentui/react-components';
import { useQuery } from '@tanstack/react-query';
import { Link, getRouteApi, useNavigate } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import type { ImageSummary } from '../api/client';
import { imagesQuery, registryQuery } from '../api/queries';
import { rowsOf, type RowWindow } from '../api/rows';
import { CopyButton } from '../components/Copy';
import { crumbsTo, registryHref } from '../components/crumbs';
import { FilterBox } from '../components/FilterBox';
import { Grid, type Column } from '../components/Grid';
import { Inert } from '../components/Inert';
import { ImageFindingCounts, ImageLink } from '../components/links';
import { Page } from '../components/Page';
import { PushSteps } from '../components/PushSteps';
import { Empty, Failure, isNotFound } from '../components/states';
import { STATUSES, ScanLabel, StatusLabel } from '../components/Status';
import { Age, Bytes, Count, NotGiven } from '../components/values';
import { repositoryFromPath, repositoryToPath, shortDigest } from '../format/names';
import { rowsByDigest, rowsByTag, type ImageRow } from './image-rows';
import { ObjectNotFound } from './NotFound';

// An index brings its platforms along, so pages are shorter than the most there can be.
const PAGE_IMAGES = 50;

const route = getRouteApi('/shell/registries/$reg/$repo');

export default function Repository() {
  const { t } = useTranslation();
  const { reg, repo } = route.useParams();
  const search = route.useSearch();
  const repository = repositoryFromPath(repo);
  const navigate = useNavigate();
  const byTag = search.by !== 'digest';
  const status = STATUSES.find((name) => name === search.status);
  const page = Math.max(0, Number.parseInt(search.page ?? '1', 10) - 1 || 0);
  const registry = useQuery(registryQuery(reg));
  const images = useQuery(imagesQuery(reg, repository, { q: search.q, status }, page * PAGE_IMAGES, PAGE_IMAGES));
  const columns = useColumns(reg, repository, byTag);
  const rows = useMemo<RowWindow<ImageRow>>(
    () =>
      images.data
        ? rowsOf(byTag ? rowsByTag(images.data.items) : rowsByDigest(images.data.items))
        : { ...rowsOf<ImageRow>([]), total: undefined },
    [images.data, byTag],
  );
  const go = useCallback(
    (change: Partial<typeof search>) =>
      void navigate({
        to: '/registries/$reg/$repo',
        params: { reg, repo },
        search: (now) => ({ ...now, page: undefined, ...change }),
        replace: true,
      }),
    [navigate, reg, repo],
  );
  const filter = useCallback((q: string | undefined) => go({ q }), [go]);
  const open = useCallback(
    ({ image }: ImageRow) =>
      void navigate({ to: '/registries/$reg/$repo/$digest', params: { reg, repo, digest: image.digest } }),
    [navigate, reg, repo],
  );

  const crumbs = crumbsTo(t('rooms.registries'), reg);
  const parent = { text: reg, href: registryHref(reg) };
  if (isNotFound(registry.error)) {
    return <ObjectNotFound title={repository} crumbs={crumbs} parent={{ text: t('rooms.registries'), href: '/registries' }} />;
  }
  if (isNotFound(images.error)) return <ObjectNotFound title={repository} crumbs={crumbs} parent={parent} />;
  const server = registry.data?.loginServer;
  const filtered = Boolean(search.q || status);
  const total = images.data?.total ?? 0;
  const pages = Math.ceil(total / PAGE_IMAGES);
  return (
    <Page
      title={repository}
      crumbs={crumbs}
      fill
      subtitle={
        server && (
          <>
            <code>
              <Inert text={`${server}/${repository}`} />
            </code>
            <CopyButton text={`${server}/${repository}`} what={`${server}/${repository}`} />
          </>
        )
      }
      commands={
        <>
          <span className="segments" role="group" aria-label={t('repository.view')}>
            <ToggleButton size="small" checked={byTag} onClick={() => go({ by: undefined })}>
              {t('repository.byTag')}
            </ToggleButton>
            <ToggleButton size="small" checked={!byTag} onClick={() => go({ by: 'digest' })}>
              {t('repository.byDigest')}
            </ToggleButton>
          </span>
          <FilterBox label={t('repository.filterImages')} value={search.q} onChange={filter} />
          <span className="segments" role="group" aria-label={t('image.status')}>
            {STATUSES.map((name) => (
              <ToggleButton
                key={name}
                size="small"
                checked={status === name}
                onClick={() => go({ status: status === name ? undefined : name })}
              >
                {t(`status.${name}`)}
              </ToggleButton>
            ))}
          </span>
        </>
      }
    >
      {registry.error && <Failure error={registry.error} retry={() => void registry.refetch()} />}
      {images.error && <Failure error={images.error} retry={() => void images.refetch()} />}
      {images.data && total === 0 && !filtered && (
        <Empty title={t('repository.empty')}>{server && <PushSteps server={server} repository={repository} />}</Empty>
      )}
      {images.data && total === 0 && filtered && <Empty title={t('state.noMatch')} />}
      {(!images.data || total > 0) && !images.error && (
        <Grid label={t('image.images')} columns={columns} rows={rows} rowId={(row) => row.key} onOpen={open} />
      )}
      {pages > 1 && (
        <nav className="pager" aria-label={t('pager.pager')}>
          <Button size="small" disabled={page === 0} onClick={() => go({ page: String(page) })}>
            {t('pager.previous')}
          </Button>
          <span>{t('pager.position', { page: page + 1, pages })}</span>
          <Button size="small" disabled={page + 1 >= pages} onClick={() => go({ page: String(page + 2) })}>
            {t('pager.next')}
          </Button>
        </nav>
      )}
    </Page>
  );
}

function useColumns(registry: string, repository: string, byTag: boolean) {
  const { t } = useTranslation();
  return useMemo<Column<ImageRow>[]>(() => {
    const link = (image: ImageSummary, text: string) => (
      <ImageLink registry={registry} repository={repository} digest={image.digest} inGrid>
        <Inert text={text} title />
      </ImageLink>
    );
    const tag: Column<ImageRow> = {
      id: 'tag',
      header: byTag ? t('image.tag') : t('image.tags'),
      track: 'minmax(90px, 1fr)',
      cell: ({ image, tags, depth }) =>
        depth > 0 ? (
          <span className="child">{t('image.platformOf')}</span>
        ) : tags.length > 0 ? (
          <span className="cut">
            {tags.map((name, index) => (
              <span key={name}>
                {index > 0 && ', '}
                {link(image, name)}
              </span>
            ))}
          </span>
        ) : (
          <span className="muted">{t('image.untagged')}</span>
        ),
    };
    const digest: Column<ImageRow> = {
      id: 'digest',
      header: t('image.digest'),
      track: '134px',
      cell: ({ image, depth }) => (
        <span className={depth > 0 ? 'child' : undefined} title={image.digest}>
          <ImageLink registry={registry} repository={repository} digest={image.digest} inGrid>
            <code>{shortDigest(image.digest)}</code>
          </ImageLink>
          <CopyButton text={image.digest} what={image.digest} />
        </span>
      ),
    };
    return [
      ...(byTag ? [tag, digest] : [digest, tag]),
      {
        id: 'platform',
        header: t('image.platform'),
        track: '104px',
        cell: ({ image }) =>
          image.platform ? (
            <span className="cut">
              <Inert
                text={[image.platform.os, image.platform.architecture, image.platform.variant].filter(Boolean).join('/')}
                title
              />
            </span>
          ) : (
            <span className="muted">{t(`kind.${image.kind}`)}</span>
          ),
      },
      {
        id: 'status',
        header: t('image.status'),
        track: 'minmax(170px, 1.5fr)',
        cell: ({ image }) => <StatusLabel status={image.status} cause={image.cause} />,
      },
      { id: 'scan', header: t('image.scan'), track: 'minmax(92px, 1fr)', cell: ({ image }) => <ScanLabel scan={image.scan} /> },
      {
        id: 'severities',
        header: t('finding.findings'),
        track: 'minmax(196px, 1.4fr)',
        cell: ({ image }) =>
          image.status === 'notApplicable' ? (
            <NotGiven />
          ) : (
            <ImageFindingCounts
              counts={image.severities}
              registry={registry}
              repository={repository}
              digest={image.digest}
              inGrid
            />
          ),
      },
      {
        id: 'patchable',
        header: t('image.fixable'),
        track: '78px',
        end: true,
        cell: ({ image }) => (
          <ImageFixable image={image} registry={registry} repository={repository} />
        ),
      },
      { id: 'size', header: t('image.size'), track: '82px', end: true, cell: ({ image }) => <Bytes value={image.sizeBytes} /> },
      { id: 'pushed', header: t('image.pushed'), track: '106px', cell: ({ image }) => <Age at={image.pushedAt} /> },
      {
        id: 'pulled',
        header: t('image.lastPull'),
        track: '106px',
        cell: ({ image }) => (
          <Age at={image.lastPulledAt}>
            <span className="muted">{t('image.neverPulled')}</span>
          </Age>
        ),
      },
    ];
  }, [t, registry, repository, byTag]);
}

function ImageFixable({ image, registry, repository }: { image: ImageSummary; registry: string; repository: string }) {
  if (image.status === 'notApplicable') return <NotGiven />;
  return (
    <Link
      to="/registries/$reg/$repo/$digest"
      params={{ reg: registry, repo: repositoryToPath(repository), digest: image.digest }}
      search={{ patchable: 'true' }}
      className="link"
      tabIndex={-1}
    >
      <Count value={image.patchable} />
    </Link>
  );
}
