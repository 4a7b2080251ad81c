// The frame of a page: breadcrumb, heading, commands, content.
import { useLocation, useRouter } from '@tanstack/react-router';
import { useEffect, useRef, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { visibleText } from '../format/visible';
import { Inert } from './Inert';

export interface Crumb {
  text: string;
  href: string;
}

interface PageProps {
  title: string;
  /** Ancestors, the root first. */
  crumbs?: readonly Crumb[];
  subtitle?: ReactNode;
  commands?: ReactNode;
  /** Content that fills the window and scrolls inside itself. */
  fill?: boolean;
  children: ReactNode;
}

// The first page keeps the browser's own focus; later ones move it to the heading.
let firstPath: string | undefined;

export function Page({ title, crumbs = [], subtitle, commands, fill = false, children }: PageProps) {
  const { t } = useTranslation();
  const path = useLocation({ select: (location) => location.pathname });
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    firstPath ??= path;
    if (path === firstPath) return;
    firstPath = '';
    heading.current?.focus();
  }, [path]);
  useEffect(() => {
    document.title = `${visibleText(title)} - Lazaret`;
  }, [title]);

  return (
    <div className={fill ? 'page page-fill' : 'page'}>
      <header className="page-header">
        {crumbs.length > 0 && (
          <nav aria-label={t('shell.breadcrumb')}>
            <ol className="crumbs">
              {crumbs.map((crumb) => (
                <li key={crumb.href}>
                  <PathLink href={crumb.href}>
                    <Inert text={crumb.text} />
                  </PathLink>
                </li>
              ))}
            </ol>
          </nav>
        )}
        <h1 ref={heading} tabIndex={-1}>
          <Inert text={title} />
        </h1>
        {subtitle && <div className="subtitle">{subtitle}</div>}
        {commands && (
          <div className="commands" role="group" aria-label={t('shell.commands')}>
            {commands}
          </div>
        )}
      </header>
      {children}
    </div>
  );
}

/** A link to a path of this portal that is known only as text. */
export function PathLink({ href, children }: { href: string; children: ReactNode }) {
  const router = useRouter();
  return (
    <a
      className="link"
      href={href}
      onClick={(event) => {
        if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        router.history.push(href);
      }}
    >
      {children}
    </a>
  );
}
