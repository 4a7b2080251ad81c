// One server-sent event stream for the whole portal. Events are hints: what
// they name is read again, and scan stages are shown at once.
import type { QueryClient, QueryKey } from '@tanstack/react-query';
import type { ImageSummary, Schemas } from './client';
import { sessionQuery } from './queries';

type ImageEvent = Schemas['ImageEvent'];
type RepositoryEvent = Schemas['RepositoryEvent'];

export type StreamState = 'connecting' | 'live' | 'lost';

// A push of many layers sends many events; lists are read at most this often.
const REFRESH_MS = 300;
const RECONNECT_MS_FIRST = 1_000;
const RECONNECT_MS_MAX = 30_000;

let state: StreamState = 'connecting';
const listeners = new Set<() => void>();

function setState(next: StreamState) {
  if (next === state) return;
  state = next;
  for (const listener of listeners) listener();
}

/** For useSyncExternalStore. */
export const streamState = {
  subscribe(listener: () => void) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
  read: () => state,
};

/** Follows events until the returned function is called. */
export function followEvents(client: QueryClient): () => void {
  let source: EventSource | undefined;
  let stopped = false;
  let dropped = false;
  let wait = RECONNECT_MS_FIRST;
  let reconnect: ReturnType<typeof setTimeout> | undefined;
  let refresh: ReturnType<typeof setTimeout> | undefined;
  const stale = new Map<string, QueryKey>();

  const refreshSoon = (...keys: QueryKey[]) => {
    for (const key of keys) stale.set(JSON.stringify(key), key);
    refresh ??= setTimeout(() => {
      refresh = undefined;
      for (const queryKey of stale.values()) void client.invalidateQueries({ queryKey });
      stale.clear();
    }, REFRESH_MS);
  };

  const onImage = (event: ImageEvent) => {
    showProgress(client, event);
    const { registry, repository, digest } = event;
    refreshSoon(
      ['images', registry, repository],
      ['image', registry, repository, digest],
      ['repositories', registry],
      ['registry', registry],
      ['registries'],
      ['overview'],
      ['scans'],
    );
    if (event.scan.state === 'running' || event.scan.state === 'queued') return;
    refreshSoon(
      ['findings', registry, repository, digest],
      ['finding', registry, repository, digest],
      ['packages', registry, repository, digest],
      ['history', registry, repository, digest],
      ['search'],
    );
  };

  const onRepository = ({ registry, repository }: RepositoryEvent) =>
    refreshSoon(
      ['images', registry, repository],
      ['repositories', registry],
      ['registry', registry],
      ['registries'],
      ['overview'],
    );

  const open = () => {
    source = new EventSource('/api/v1/events');
    source.onopen = () => {
      wait = RECONNECT_MS_FIRST;
      setState('live');
      // Nothing is replayed: what happened meanwhile is read instead.
      if (dropped) void client.invalidateQueries();
      dropped = false;
    };
    source.onerror = () => {
      dropped = true;
      setState('lost');
      // The browser retries a broken stream, but gives up on an error answer.
      if (source?.readyState !== EventSource.CLOSED || stopped) return;
      void client.fetchQuery({ ...sessionQuery(), staleTime: 0 }).catch(() => {});
      reconnect = setTimeout(open, wait);
      wait = Math.min(wait * 2, RECONNECT_MS_MAX);
    };
    listen(source, 'image', onImage);
    listen(source, 'repository', onRepository);
    listen(source, 'advisories', () => refreshSoon(['overview'], ['advisories'], ['image']));
  };
  open();

  return () => {
    stopped = true;
    clearTimeout(reconnect);
    clearTimeout(refresh);
    source?.close();
    setState('connecting');
  };
}

function listen<Event>(source: EventSource, name: string, act: (event: Event) => void) {
  source.addEventListener(name, (message) => {
    let event: Event;
    try {
      event = JSON.parse((message as MessageEvent<string>).data) as Event;
    } catch {
      return; // A broken hint only means that nothing is read sooner.
    }
    act(event);
  });
}

/** Puts a scan's state and stage into the lists that are on screen. */
function showProgress(client: QueryClient, event: ImageEvent) {
  const update = <Image extends ImageSummary>(image: Image): Image =>
    image.digest === event.digest
      ? {
          ...image,
          tags: event.tags,
          status: event.status,
          scan: { ...image.scan, state: event.scan.state, stage: event.scan.stage },
        }
      : { ...image, children: image.children.map(update) };

  client.setQueriesData<{ items: ImageSummary[] }>(
    { queryKey: ['images', event.registry, event.repository] },
    (page) => page && { ...page, items: page.items.map(update) },
  );
  client.setQueryData<ImageSummary>(
    ['image', event.registry, event.repository, event.digest],
    (image) => image && update(image),
  );
}
