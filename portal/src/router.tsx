// Every room and its address. Filters, sort, columns and the open pane live in
// the query string, whose values are always text: IDs are longer than numbers.
import type { QueryClient } from '@tanstack/react-query';
import {
  createRootRouteWithContext, createRoute, createRouter, lazyRouteComponent, redirect,
} from '@tanstack/react-router';
import {
  advisoriesQuery, imageQuery, overviewQuery, registriesQuery, registryQuery, repositoriesQuery, scansQuery,
  sessionQuery,
} from './api/queries';
import { ApiError } from './api/client';
import { PageFailure } from './components/PageFailure';
import { Loading } from './components/states';
import { repositoryFromPath } from './format/names';

interface Context {
  client: QueryClient;
}

/** Takes these values from the query string, others stay out. */
function search<const Name extends string>(...names: Name[]) {
  return (raw: Record<string, unknown>): Partial<Record<Name, string>> => {
    const taken: Partial<Record<Name, string>> = {};
    for (const name of names) {
      const value = raw[name];
      if (typeof value === 'string' && value !== '') taken[name] = value;
    }
    return taken;
  };
}

const root = createRootRouteWithContext<Context>()({
  notFoundComponent: lazyRouteComponent(() => import('./pages/NotFound')),
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: search('to'),
  component: lazyRouteComponent(() => import('./pages/SignIn')),
});

/** All but sign-in: needs a session, else sign-in leads back to the same URL. */
const shell = createRoute({
  getParentRoute: () => root,
  id: 'shell',
  component: lazyRouteComponent(() => import('./components/Shell')),
  async beforeLoad({ context, location }) {
    try {
      await context.client.ensureQueryData(sessionQuery());
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        throw redirect({ to: '/sign-in', search: { to: location.href } });
      }
      throw error;
    }
  },
});

const index = createRoute({
  getParentRoute: () => root,
  path: '/',
  beforeLoad() {
    throw redirect({ to: '/overview' });
  },
});

const overview = createRoute({
  getParentRoute: () => shell,
  path: '/overview',
  loader: ({ context }) => void context.client.prefetchQuery(overviewQuery()),
  component: lazyRouteComponent(() => import('./pages/Overview')),
});

const registries = createRoute({
  getParentRoute: () => shell,
  path: '/registries',
  loader: ({ context }) => void context.client.prefetchQuery(registriesQuery()),
  component: lazyRouteComponent(() => import('./pages/Registries')),
});

const registry = createRoute({
  getParentRoute: () => shell,
  path: '/registries/$reg',
  validateSearch: search('q'),
  loader({ context, params }) {
    void context.client.prefetchQuery(registryQuery(params.reg));
    void context.client.prefetchQuery(repositoriesQuery(params.reg, undefined, 0));
  },
  component: lazyRouteComponent(() => import('./pages/Registry')),
});

const repository = createRoute({
  getParentRoute: () => shell,
  path: '/registries/$reg/$repo',
  validateSearch: search('q', 'by', 'status', 'page'),
  loader: ({ context, params }) => void context.client.prefetchQuery(registryQuery(params.reg)),
  component: lazyRouteComponent(() => import('./pages/Repository')),
});

const tag = createRoute({
  getParentRoute: () => shell,
  path: '/registries/$reg/$repo/tags/$tag',
  component: lazyRouteComponent(() => import('./pages/Tag')),
});

const image = createRoute({
  getParentRoute: () => shell,
  path: '/registries/$reg/$repo/$digest',
  validateSearch: search('tab', 'finding', 'sev', 'q', 'patchable', 'kev', 'category', 'sort', 'cols', 'layer'),
  loader({ context, params }) {
    const repository = repositoryFromPath(params.repo);
    void context.client.prefetchQuery(imageQuery({ registry: params.reg, repository, digest: params.digest }));
  },
  component: lazyRouteComponent(() => import('./pages/image/Image')),
});

const findings = createRoute({
  getParentRoute: () => shell,
  path: '/findings',
  validateSearch: search('q', 'sev', 'registry', 'repository'),
  component: lazyRouteComponent(() => import('./pages/Findings')),
});

const cve = createRoute({
  getParentRoute: () => shell,
  path: '/cves/$id',
  beforeLoad({ params }) {
    throw redirect({ to: '/findings', search: { q: params.id } });
  },
});

const scans = createRoute({
  getParentRoute: () => shell,
  path: '/scans',
  loader: ({ context }) => void context.client.prefetchQuery(scansQuery(0)),
  component: lazyRouteComponent(() => import('./pages/Scans')),
});

const advisories = createRoute({
  getParentRoute: () => shell,
  path: '/settings/advisories',
  loader: ({ context }) => void context.client.prefetchQuery(advisoriesQuery()),
  component: lazyRouteComponent(() => import('./pages/Advisories')),
});

const tree = root.addChildren([
  index,
  signIn,
  shell.addChildren([
    overview, registries, registry, repository, tag, image, findings, cve, scans, advisories,
  ]),
]);

export function createPortalRouter(client: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { client },
    defaultPreload: 'intent',
    defaultPendingComponent: Loading,
    defaultErrorComponent: PageFailure,
    scrollRestoration: true,
    // Digests stand in paths as they are written.
    pathParamsAllowedCharacters: [':'],
    parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
    stringifySearch(values) {
      const query = new URLSearchParams();
      for (const [name, value] of Object.entries(values)) {
        if (value !== undefined && value !== '') query.set(name, String(value));
      }
      const text = query.toString();
      return text && `?${text}`;
    },
  });
}
