// Addresses from advisories are foreign: only http and https become links.

/** The address if it may be followed, else undefined. */
export function safeHref(address: string | null | undefined): string | undefined {
  if (!address || !/^https?:\/\//i.test(address)) return undefined;
  try {
    const url = new URL(address);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : undefined;
  } catch {
    return undefined;
  }
}

/** Where to go after signing in: a path of this portal, nothing else. */
export function safeReturnPath(to: string | undefined): string {
  if (!to || !/^\/(?![/\\])/.test(to)) return '/overview';
  try {
    const url = new URL(to, 'https://portal.invalid');
    if (url.origin !== 'https://portal.invalid' || url.pathname === '/sign-in') return '/overview';
    return url.pathname + url.search + url.hash;
  } catch {
    return '/overview';
  }
}
