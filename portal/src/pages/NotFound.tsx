import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import { Page, PathLink, type Crumb } from '../components/Page';
import { Empty } from '../components/states';
import { Inert } from '../components/Inert';

/** An address that no room has. */
export default function NotFound() {
  const { t } = useTranslation();
  return (
    <main className="lone">
      <Page title={t('notFound.page')}>
        <p>
          <Link to="/overview" className="link">
            {t('notFound.toOverview')}
          </Link>
        </p>
      </Page>
    </main>
  );
}

/** An object that is not there, with the nearest one that may be. */
export function ObjectNotFound({ title, crumbs, parent }: { title: string; crumbs: readonly Crumb[]; parent: Crumb }) {
  const { t } = useTranslation();
  return (
    <Page title={title} crumbs={crumbs}>
      <Empty title={t('notFound.object')}>
        <p>{t('notFound.why')}</p>
        <p>
          {t('notFound.nearest')}{' '}
          <PathLink href={parent.href}>
            <Inert text={parent.text} />
          </PathLink>
        </p>
      </Empty>
    </Page>
  );
}
