import { Button, Field, Input } from '@fluentui/react-components';
import { useQueryClient } from '@tanstack/react-query';
import { getRouteApi, useRouter } from '@tanstack/react-router';
import { useEffect, useState, type FormEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { ApiError, api, body } from '../api/client';
import { sessionQuery } from '../api/queries';
import { Failure } from '../components/states';
import { safeReturnPath } from '../format/links';

const route = getRouteApi('/sign-in');

export default function SignIn() {
  const { t } = useTranslation();
  const { to } = route.useSearch();
  const client = useQueryClient();
  const router = useRouter();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error>();
  const refused = error instanceof ApiError && error.status === 401;
  useEffect(() => {
    document.title = `${t('signIn.title')} - Lazaret`;
  }, [t]);

  async function signIn(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    setBusy(true);
    setError(undefined);
    try {
      const session = await body(
        api.POST('/session', {
          body: { username: String(fields.get('username')), password: String(fields.get('password')) },
        }),
      );
      client.clear();
      client.setQueryData(sessionQuery().queryKey, session);
      router.history.push(safeReturnPath(to));
    } catch (reason) {
      setError(reason as Error);
      setBusy(false);
    }
  }

  return (
    <main className="sign-in">
      <form onSubmit={(event) => void signIn(event)}>
        <img src="/favicon.svg" alt="" width="40" height="40" />
        <h1>{t('signIn.title')}</h1>
        <Field label={t('signIn.username')} required>
          <Input name="username" autoComplete="username" autoCapitalize="none" autoFocus />
        </Field>
        <Field label={t('signIn.password')} required>
          <Input name="password" type="password" autoComplete="current-password" />
        </Field>
        {refused && (
          <p role="alert" className="refused">
            {t('signIn.refused')}
          </p>
        )}
        {error && !refused && <Failure error={error} />}
        <Button type="submit" appearance="primary" disabledFocusable={busy}>
          {busy ? t('signIn.busy') : t('signIn.submit')}
        </Button>
      </form>
    </main>
  );
}
