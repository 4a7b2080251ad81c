// Links from numbers to the rows that make them.
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { ImageStatus, Schemas, Severity, SeverityCounts } from '../api/client';
import { repositoryToPath, shortDigest } from '../format/names';
import { Inert } from './Inert';
import { SeverityCountsView } from './Severity';
import { Count } from './values';

// In a grid the cells take the focus, not each link in them.
const IN_GRID = -1;

export interface Place {
  registry?: string;
  repository?: string;
}

/** Severity counts of some images; each leads to these findings. */
export function FindingCounts({ counts, place = {}, inGrid = false }: { counts: SeverityCounts; place?: Place; inGrid?: boolean }) {
  return (
    <SeverityCountsView
      counts={counts}
      link={(severity, children, label) => (
        <Link
          to="/findings"
          search={{ sev: severity, ...place }}
          className="link plain"
          aria-label={label}
          tabIndex={inGrid ? IN_GRID : undefined}
        >
          {children}
        </Link>
      )}
    />
  );
}

interface ImageFindingCountsProps {
  counts: SeverityCounts;
  registry: string;
  repository: string;
  digest: string;
  inGrid?: boolean;
}

/** Severity counts of one image; each leads to its findings table. */
export function ImageFindingCounts({ counts, registry, repository, digest, inGrid = false }: ImageFindingCountsProps) {
  return (
    <SeverityCountsView
      counts={counts}
      link={(severity: Severity, children: ReactNode, label: string) => (
        <Link
          to="/registries/$reg/$repo/$digest"
          params={{ reg: registry, repo: repositoryToPath(repository), digest }}
          search={{ sev: severity }}
          className="link plain"
          aria-label={label}
          tabIndex={inGrid ? IN_GRID : undefined}
        >
          {children}
        </Link>
      )}
    />
  );
}

/** Unhealthy of all images, leading to a repository's or registry's list. */
export function UnhealthyOfTotal({ images, registry, repository }: { images: Schemas['ImageCounts']; registry: string; repository?: string }) {
  const { t } = useTranslation();
  const count = (value: number, status: ImageStatus | undefined, label: string) =>
    repository === undefined ? (
      <Link to="/registries/$reg" params={{ reg: registry }} className="link" tabIndex={IN_GRID} aria-label={label}>
        <Count value={value} />
      </Link>
    ) : (
      <Link
        to="/registries/$reg/$repo"
        params={{ reg: registry, repo: repositoryToPath(repository) }}
        search={{ status, by: 'digest' }}
        className="link"
        tabIndex={IN_GRID}
        aria-label={label}
      >
        <Count value={value} />
      </Link>
    );
  return (
    <span>
      {count(images.unhealthy, 'unhealthy', `${images.unhealthy} ${t('status.unhealthy')}`)}
      {' / '}
      {count(images.total, undefined, `${images.total} ${t('image.all')}`)}
    </span>
  );
}

interface ImageLinkProps {
  registry: string;
  repository: string;
  digest: string;
  finding?: string;
  inGrid?: boolean;
  children?: ReactNode;
}

export function ImageLink({ registry, repository, digest, finding, inGrid = false, children }: ImageLinkProps) {
  return (
    <Link
      to="/registries/$reg/$repo/$digest"
      params={{ reg: registry, repo: repositoryToPath(repository), digest }}
      search={{ finding }}
      className="link"
      tabIndex={inGrid ? IN_GRID : undefined}
    >
      {children ?? <code>{shortDigest(digest)}</code>}
    </Link>
  );
}

export function RepositoryLink({ registry, repository, inGrid = false }: { registry: string; repository: string; inGrid?: boolean }) {
  return (
    <Link
      to="/registries/$reg/$repo"
      params={{ reg: registry, repo: repositoryToPath(repository) }}
      className="link cut"
      tabIndex={inGrid ? IN_GRID : undefined}
    >
      <Inert text={repository} title />
    </Link>
  );
}
