// Addresses of rooms, as text, for breadcrumbs and parents of what is missing.
import { repositoryToPath } from '../format/names';
import type { Crumb } from './Page';

export const registryHref = (registry: string) => `/registries/${encodeURIComponent(registry)}`;

export const repositoryHref = (registry: string, repository: string) =>
  `${registryHref(registry)}/${encodeURIComponent(repositoryToPath(repository))}`;

/** From the list of registries down to, and with, what is named. */
export function crumbsTo(registriesName: string, registry?: string, repository?: string): Crumb[] {
  const crumbs: Crumb[] = [{ text: registriesName, href: '/registries' }];
  if (registry !== undefined) crumbs.push({ text: registry, href: registryHref(registry) });
  if (registry !== undefined && repository !== undefined) {
    crumbs.push({ text: repository, href: repositoryHref(registry, repository) });
  }
  return crumbs;
}
