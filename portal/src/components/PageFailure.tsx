import { Button } from '@fluentui/react-components';
import { useRouter, type ErrorComponentProps } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import { Failure } from './states';

/** A page that broke, or whose code is gone since an upgrade. */
export function PageFailure({ error }: ErrorComponentProps) {
  const { t } = useTranslation();
  const router = useRouter();
  return (
    <main className="page">
      <h1 className="sr-only">{t('state.broken')}</h1>
      <Failure error={error instanceof Error ? error : new Error(String(error))} retry={() => void router.invalidate()} />
      <p>
        <Button onClick={() => location.reload()}>{t('state.reload')}</Button>
      </p>
    </main>
  );
}
