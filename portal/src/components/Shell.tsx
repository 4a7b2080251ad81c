// The frame of all rooms: header, left menu, main region, live events.
import {
  Button, Menu, MenuDivider, MenuItem, MenuItemRadio, MenuList, MenuPopover, MenuTrigger,
} from '@fluentui/react-components';
import {
  Box20Regular, DarkTheme20Regular, DataPie20Regular, LocalLanguage20Regular, Navigation20Regular,
  Person20Regular, ScanDash20Regular, Search16Regular, ShieldError20Regular, News20Regular,
} from '@fluentui/react-icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, Outlet, useLocation, useNavigate } from '@tanstack/react-router';
import { useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { useTranslation } from 'react-i18next';
import { api } from '../api/client';
import { followEvents, streamState } from '../api/events';
import { sessionQuery } from '../api/queries';
import { LANGUAGES, changeLanguage, type Language } from '../i18n';
import { THEMES, chooseTheme, useThemeChoice, type ThemeChoice } from '../theme';
import { Inert } from './Inert';

const ROOMS = [
  { to: '/overview', name: 'overview', Icon: DataPie20Regular },
  { to: '/registries', name: 'registries', Icon: Box20Regular },
  { to: '/findings', name: 'findings', Icon: ShieldError20Regular },
  { to: '/scans', name: 'scans', Icon: ScanDash20Regular },
  { to: '/settings/advisories', name: 'advisories', Icon: News20Regular },
] as const;

export default function Shell() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [menu, setMenu] = useState(false);
  const path = useLocation({ select: (location) => location.pathname });
  useEffect(() => followEvents(client), [client]);
  useEffect(() => setMenu(false), [path]);

  return (
    <div className="shell">
      <a
        className="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById('main')?.focus();
        }}
      >
        {t('shell.skip')}
      </a>
      <header className="top">
        <Button
          className="menu-button"
          appearance="transparent"
          icon={<Navigation20Regular />}
          aria-label={t('shell.menu')}
          aria-expanded={menu}
          onClick={() => setMenu(!menu)}
        />
        <Link to="/overview" className="product">
          <img src="/favicon.svg" alt="" width="22" height="22" />
          Lazaret
        </Link>
        <Search />
        <div className="top-end">
          <LiveState />
          <LanguageMenu />
          <ThemeMenu />
          <UserMenu />
        </div>
      </header>
      <nav className={menu ? 'rooms open' : 'rooms'} aria-label={t('shell.rooms')}>
        <ul>
          {ROOMS.map(({ to, name, Icon }) => (
            <li key={to}>
              <Link to={to} className="room" activeOptions={{ includeSearch: false }} activeProps={{ className: 'current' }}>
                <Icon aria-hidden="true" />
                {t(`rooms.${name}`)}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <main id="main" tabIndex={-1} className="main">
        <Outlet />
      </main>
    </div>
  );
}

/** Finds CVEs, packages and finding IDs in all images; Ctrl+K. */
function Search() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const onKey = (event: globalThis.KeyboardEvent) => {
      if (event.key.toLowerCase() !== 'k' || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);
  return (
    <form
      className="top-search"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        void navigate({ to: '/findings', search: { q: input.current?.value.trim() || undefined } });
      }}
    >
      <Search16Regular aria-hidden="true" />
      <input
        ref={input}
        type="search"
        aria-label={t('shell.search')}
        aria-keyshortcuts="Control+K"
        placeholder={t('shell.search')}
      />
      <kbd aria-hidden="true">Ctrl K</kbd>
    </form>
  );
}

function LiveState() {
  const { t } = useTranslation();
  const state = useSyncExternalStore(streamState.subscribe, streamState.read);
  return (
    <span className={`live live-${state}`} role="status" title={t(`live.${state}.title`)}>
      {t(`live.${state}.name`)}
    </span>
  );
}

function LanguageMenu() {
  const { t, i18n } = useTranslation();
  return (
    <Menu
      checkedValues={{ language: [i18n.language] }}
      onCheckedValueChange={(_, { checkedItems }) => void changeLanguage(checkedItems[0] as Language)}
    >
      <MenuTrigger disableButtonEnhancement>
        <Button appearance="transparent" icon={<LocalLanguage20Regular />} aria-label={t('shell.language')} />
      </MenuTrigger>
      <MenuPopover>
        <MenuList>
          {Object.entries(LANGUAGES).map(([code, name]) => (
            <MenuItemRadio key={code} name="language" value={code} lang={code}>
              {name}
            </MenuItemRadio>
          ))}
        </MenuList>
      </MenuPopover>
    </Menu>
  );
}

function ThemeMenu() {
  const { t } = useTranslation();
  const choice = useThemeChoice();
  return (
    <Menu
      checkedValues={{ theme: [choice] }}
      onCheckedValueChange={(_, { checkedItems }) => chooseTheme(checkedItems[0] as ThemeChoice)}
    >
      <MenuTrigger disableButtonEnhancement>
        <Button appearance="transparent" icon={<DarkTheme20Regular />} aria-label={t('shell.theme')} />
      </MenuTrigger>
      <MenuPopover>
        <MenuList>
          {THEMES.map((theme) => (
            <MenuItemRadio key={theme} name="theme" value={theme}>
              {t(`theme.${theme}`)}
            </MenuItemRadio>
          ))}
        </MenuList>
      </MenuPopover>
    </Menu>
  );
}

function UserMenu() {
  const { t } = useTranslation();
  const { data } = useQuery(sessionQuery());
  if (!data) return null;
  return (
    <Menu>
      <MenuTrigger disableButtonEnhancement>
        <Button appearance="transparent" icon={<Person20Regular />} className="user">
          <Inert text={data.user.name} />
        </Button>
      </MenuTrigger>
      <MenuPopover>
        <p className="menu-note">{data.user.roles.join(', ')}</p>
        <MenuDivider />
        <MenuList>
          <MenuItem
            onClick={() =>
              // A full load leaves nothing of the session in memory.
              void api.DELETE('/session').finally(() => location.assign('/sign-in'))
            }
          >
            {t('shell.signOut')}
          </MenuItem>
        </MenuList>
      </MenuPopover>
    </Menu>
  );
}
