// Every read of the API: its key, and how it is fetched. Keys begin with what
// live events name: [kind, registry, repository, digest].
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { repositoryToPath } from '../format/names';
import { api, body } from './client';

/** Rows the server sends at once; lists are windows over such pages. */
export const PAGE_ROWS = 200;

export interface ImageKey {
  registry: string;
  repository: string;
  digest: string;
}

const imagePath = ({ registry, repository, digest }: ImageKey) => ({
  registry,
  repository: repositoryToPath(repository),
  digest,
});

/** Absent and empty filters are the same request. */
const text = (value: string | undefined) => value || undefined;
const flag = (value: string | undefined) => (value === undefined ? undefined : value === 'true');
const page = (index: number) => ({ offset: index * PAGE_ROWS, limit: PAGE_ROWS });

export const sessionQuery = () =>
  queryOptions({
    queryKey: ['session'],
    queryFn: () => body(api.GET('/session')),
    staleTime: Infinity,
    retry: false,
  });

export const overviewQuery = () =>
  queryOptions({ queryKey: ['overview'], queryFn: () => body(api.GET('/overview')) });

export const registriesQuery = () =>
  queryOptions({ queryKey: ['registries'], queryFn: () => body(api.GET('/registries')) });

export const registryQuery = (registry: string) =>
  queryOptions({
    queryKey: ['registry', registry],
    queryFn: () => body(api.GET('/registries/{registry}', { params: { path: { registry } } })),
  });

export const repositoriesQuery = (registry: string, q: string | undefined, index: number) =>
  queryOptions({
    queryKey: ['repositories', registry, { q, index }],
    queryFn: () =>
      body(
        api.GET('/registries/{registry}/repositories', {
          params: { path: { registry }, query: { q: text(q), ...page(index) } },
        }),
      ),
    placeholderData: keepPreviousData,
  });

export interface ImageFilters {
  q?: string;
  status?: 'healthy' | 'unhealthy' | 'notApplicable';
}

export const imagesQuery = (
  registry: string,
  repository: string,
  filters: ImageFilters,
  offset: number,
  limit: number,
) =>
  queryOptions({
    queryKey: ['images', registry, repository, { ...filters, offset, limit }],
    queryFn: () =>
      body(
        api.GET('/registries/{registry}/repositories/{repository}/images', {
          params: {
            path: { registry, repository: repositoryToPath(repository) },
            query: { q: text(filters.q), status: filters.status, offset, limit },
          },
        }),
      ),
    placeholderData: keepPreviousData,
  });

export const imageQuery = (image: ImageKey) =>
  queryOptions({
    queryKey: ['image', image.registry, image.repository, image.digest],
    queryFn: () =>
      body(
        api.GET('/registries/{registry}/repositories/{repository}/images/{digest}', {
          params: { path: imagePath(image) },
        }),
      ),
  });

export interface FindingFilters {
  severity?: string;
  q?: string;
  patchable?: string;
  kev?: string;
  category?: string;
  sort?: string;
}

export const findingsQuery = (image: ImageKey, filters: FindingFilters, index: number) =>
  queryOptions({
    queryKey: ['findings', image.registry, image.repository, image.digest, { ...filters, index }],
    queryFn: () =>
      body(
        api.GET('/registries/{registry}/repositories/{repository}/images/{digest}/findings', {
          params: {
            path: imagePath(image),
            query: {
              severity: text(filters.severity),
              q: text(filters.q),
              category: text(filters.category),
              sort: text(filters.sort),
              patchable: flag(filters.patchable),
              kev: flag(filters.kev),
              ...page(index),
            },
          },
        }),
      ),
  });

export const findingQuery = (image: ImageKey, id: string) =>
  queryOptions({
    queryKey: ['finding', image.registry, image.repository, image.digest, id],
    queryFn: () =>
      body(
        api.GET('/registries/{registry}/repositories/{repository}/images/{digest}/findings/{id}', {
          params: { path: { ...imagePath(image), id } },
        }),
      ),
  });

export const packagesQuery = (image: ImageKey, q: string | undefined, index: number) =>
  queryOptions({
    queryKey: ['packages', image.registry, image.repository, image.digest, { q, index }],
    queryFn: () =>
      body(
        api.GET('/registries/{registry}/repositories/{repository}/images/{digest}/packages', {
          params: { path: imagePath(image), query: { q: text(q), ...page(index) } },
        }),
      ),
  });

export const historyQuery = (image: ImageKey, index: number) =>
  queryOptions({
    queryKey: ['history', image.registry, image.repository, image.digest, { index }],
    queryFn: () =>
      body(
        api.GET('/registries/{registry}/repositories/{repository}/images/{digest}/history', {
          params: { path: imagePath(image), query: page(index) },
        }),
      ),
  });

export const advisoriesQuery = () =>
  queryOptions({ queryKey: ['advisories'], queryFn: () => body(api.GET('/advisories')) });

export const scansQuery = (index: number) =>
  queryOptions({
    queryKey: ['scans', { index }],
    queryFn: () => body(api.GET('/scans', { params: { query: page(index) } })),
  });

export interface SearchFilters {
  q?: string;
  severity?: string;
  registry?: string;
  repository?: string;
}

export const searchQuery = (filters: SearchFilters, index: number) =>
  queryOptions({
    queryKey: ['search', { ...filters, index }],
    queryFn: () =>
      body(
        api.GET('/findings', {
          params: {
            query: {
              q: text(filters.q),
              severity: text(filters.severity),
              registry: text(filters.registry),
              repository: text(filters.repository),
              ...page(index),
            },
          },
        }),
      ),
  });
