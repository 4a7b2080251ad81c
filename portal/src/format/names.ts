// How names stand in paths and how long ones are shortened.

/** A repository's name in a path: `/` is written `~`, which names cannot hold. */
export const repositoryToPath = (name: string) => name.replaceAll('/', '~');

/** The name again. */
export const repositoryFromPath = (segment: string) => segment.replaceAll('~', '/');

/** The first twelve digits of a digest, enough to tell images apart by eye. */
export function shortDigest(digest: string): string {
  const colon = digest.indexOf(':');
  return digest.slice(colon + 1, colon + 13);
}
