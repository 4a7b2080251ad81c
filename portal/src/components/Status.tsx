// The verdict on an image and, apart from it, where its scan stands.
import { Spinner } from '@fluentui/react-components';
import { CheckmarkCircle16Filled, CircleHint16Regular, ErrorCircle16Filled } from '@fluentui/react-icons';
import { useTranslation } from 'react-i18next';
import type { ImageStatus, Schemas } from '../api/client';
import { Inert } from './Inert';

export const STATUSES = ['unhealthy', 'healthy', 'notApplicable'] as const satisfies readonly ImageStatus[];

const ICONS = {
  healthy: CheckmarkCircle16Filled,
  unhealthy: ErrorCircle16Filled,
  notApplicable: CircleHint16Regular,
};

type Cause = Schemas['Cause'] | null | undefined;

/** On an image "not applicable" always has its cause beside it; counts have none. */
export function StatusLabel({ status, cause }: { status: ImageStatus; cause?: Cause }) {
  const { t } = useTranslation();
  const Icon = ICONS[status];
  return (
    <span className={`status status-${status}`}>
      <Icon aria-hidden="true" />
      <span>
        {t(`status.${status}`)}
        {status === 'notApplicable' && cause && (
          <span className="muted">: {t(`cause.${cause.kind}.title`)}</span>
        )}
      </span>
    </span>
  );
}

/** Why there is no verdict and what to do, in full. */
export function CausePanel({ cause }: { cause: Cause }) {
  const { t } = useTranslation();
  const kind = cause?.kind ?? 'notScannedYet';
  return (
    <section className="notice" aria-label={t('status.notApplicable')}>
      <CircleHint16Regular aria-hidden="true" />
      <div>
        <strong>
          {t('status.notApplicable')}: {t(`cause.${kind}.title`)}
        </strong>
        {cause?.detail && (
          <p>
            <Inert text={cause.detail} />
          </p>
        )}
        <p>{t(`cause.${kind}.next`)}</p>
      </div>
    </section>
  );
}

export function ScanLabel({ scan }: { scan: Schemas['Scan'] }) {
  const { t } = useTranslation();
  const busy = scan.state === 'running' || scan.state === 'queued';
  return (
    <span className={`scan scan-${scan.state}`} title={scan.failure ?? undefined}>
      {busy && <Spinner size="extra-tiny" aria-hidden="true" />}
      {t(`scan.${scan.state}`)}
      {scan.state === 'running' && scan.stage && <span>: {t(`stage.${scan.stage}`)}</span>}
    </span>
  );
}
