// What every page shows while it has no data: loading, empty, failed, not found.
import { Button, Skeleton, SkeletonItem } from '@fluentui/react-components';
import { ArrowClockwise16Regular, ErrorCircle24Regular } from '@fluentui/react-icons';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { ApiError } from '../api/client';
import { Inert } from './Inert';

/** A skeleton of so many lines. */
export function Loading({ lines = 6 }: { lines?: number }) {
  const { t } = useTranslation();
  return (
    <Skeleton className="loading" aria-label={t('state.loading')}>
      {Array.from({ length: lines }, (_, line) => (
        <SkeletonItem key={line} size={line === 0 ? 24 : 16} />
      ))}
    </Skeleton>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** What failed, the request id to find it by, and another try. */
export function Failure({ error, retry }: { error: Error; retry?: () => void }) {
  const { t } = useTranslation();
  const problem = error instanceof ApiError ? error : undefined;
  return (
    <div className="failure" role="alert">
      <ErrorCircle24Regular aria-hidden="true" />
      <div>
        <strong>{failureTitle()}</strong>
        {error.message && (
          <p>
            <Inert text={error.message} />
          </p>
        )}
        {problem?.requestId && (
          <p className="muted">
            {t('state.requestId')}: <code><Inert text={problem.requestId} /></code>
          </p>
        )}
        {retry && (
          <Button size="small" icon={<ArrowClockwise16Regular />} onClick={retry}>
            {t('state.retry')}
          </Button>
        )}
      </div>
    </div>
  );

  function failureTitle() {
    switch (problem?.status) {
      case undefined:
        return t('state.broken');
      case 0:
        return t('state.unreachable');
      case 403:
        return t('state.forbidden');
      case 404:
        return t('state.notFound');
      case 409:
        return t('state.conflict');
      case 429:
        return t('state.tooMany');
      default:
        return t('state.failed', { status: problem?.status });
    }
  }
}

export const isNotFound = (error: Error | null | undefined) =>
  error instanceof ApiError && error.status === 404;
