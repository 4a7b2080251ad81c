// Generated data in the shapes of the API, for development without a server.
// Names include hostile ones on purpose.

export const REGISTRY = 'main';
export const SERVER = 'localhost:4400';
const HOUR = 3_600_000;

/** The same pseudo-random numbers on every start (mulberry32). */
export function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export const digestOf = (seed) => {
  const next = random(seed);
  return `sha256:${Array.from({ length: 64 }, () => Math.floor(next() * 16).toString(16)).join('')}`;
};

const ago = (hours) => new Date(Date.now() - hours * HOUR).toISOString();
const NAMES = ['openssl', 'zlib1g', 'libc6', 'curl', 'perl-base', 'Django', 'PyYAML', 'Jinja2', 'lodash', 'minimist', 'busybox', 'libxml2'];
const CATEGORIES = ['Debian', 'Python', 'Node.js', 'Alpine'];
const TYPES = { Debian: 'deb', Python: 'pypi', 'Node.js': 'npm', Alpine: 'apk' };
const SEVERITIES = ['unscored', 'low', 'medium', 'high', 'critical'];

export function makeFindings(count, seed) {
  const next = random(seed);
  return Array.from({ length: count }, (_, index) => {
    const name = NAMES[Math.floor(next() * NAMES.length)];
    const category = CATEGORIES[Math.floor(next() * CATEGORIES.length)];
    const score = Math.round(next() * 100) / 10;
    const rated = next() > 0.1;
    const severity = !rated ? 'unscored' : score >= 9 ? 'critical' : score >= 7 ? 'high' : score >= 4 ? 'medium' : 'low';
    const year = 2015 + Math.floor(next() * 11);
    const cve = `CVE-${year}-${1000 + Math.floor(next() * 50_000)}`;
    const patchable = next() > 0.3;
    const major = 1 + Math.floor(next() * 4);
    return {
      // Longer than a JSON number can hold: text all the way.
      id: `9${String(100_000_000_000_000 + index * 7919 + seed)}`,
      severity,
      title: index === 3 ? `<img src=x onerror="document.title='owned'"> \u202Egpj.exe` : `${category} security update for ${name} (${cve})`,
      cvss: rated ? { version: next() > 0.2 ? '3.1' : '4.0', score } : null,
      patchable,
      packages: [{ name, type: TYPES[category] }],
      installed: `${major}.${index % 17}.0`,
      fixed: patchable ? `${major}.${(index % 17) + 1}.2` : null,
      epss: next() > 0.2 ? { score: next() ** 6, percentile: next(), date: '2026-01-05' } : null,
      kev: next() > 0.985,
      category,
      cves: [cve],
      publishedAt: `${year}-0${1 + Math.floor(next() * 9)}-11T00:00:00Z`,
      layer: Math.floor(next() * 5),
      firstSeenAt: ago(next() * 900),
      status: 'open',
    };
  });
}

export const countSeverities = (findings) => {
  const counts = { critical: 0, high: 0, medium: 0, low: 0, unscored: 0 };
  for (const { severity } of findings) counts[severity] += 1;
  return counts;
};

const rank = (row) => SEVERITIES.indexOf(row.severity);
const SORTS = {
  severity: rank,
  cvss: (row) => row.cvss?.score ?? -1,
  epss: (row) => row.epss?.score ?? -1,
  package: (row) => row.packages[0].name,
};

export function selectFindings(findings, query) {
  const severities = query.get('severity')?.split(',');
  const text = query.get('q')?.toLowerCase();
  const rows = findings.filter(
    (row) =>
      (!severities || severities.includes(row.severity)) &&
      (!text || [row.id, row.title, row.cves.join(), row.packages[0].name].join('\n').toLowerCase().includes(text)) &&
      (!query.has('patchable') || String(row.patchable) === query.get('patchable')) &&
      (!query.has('kev') || String(row.kev) === query.get('kev')) &&
      (!query.has('category') || row.category === query.get('category')),
  );
  const sort = query.get('sort');
  if (!sort) return rows.sort((a, b) => b.kev - a.kev || rank(b) - rank(a) || SORTS.epss(b) - SORTS.epss(a));
  const column = sort.replace(/^-/, '');
  const value = SORTS[column] ?? ((row) => row[column] ?? '');
  const sign = sort.startsWith('-') ? -1 : 1;
  return rows.sort((a, b) => sign * (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0));
}

export function makeImage(seed, tags, extra = {}) {
  const findings = makeFindings(extra.findings ?? 0, seed);
  const status = extra.cause ? 'notApplicable' : findings.length > 0 ? 'unhealthy' : 'healthy';
  const summary = {
    digest: digestOf(seed),
    tags,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    kind: 'image',
    platform: { os: 'linux', architecture: 'amd64', variant: null },
    sizeBytes: 20_000_000 + (seed * 7_654_321) % 900_000_000,
    pushedAt: ago(seed % 200),
    pushedBy: 'admin',
    lastPulledAt: seed % 3 ? ago(seed % 40) : null,
    status,
    cause: extra.cause ?? null,
    scan: { state: extra.cause?.kind === 'scanFailed' ? 'failed' : 'done', stage: null, startedAt: ago(1), finishedAt: ago(0.99), failure: extra.failure ?? null },
    severities: countSeverities(findings),
    patchable: findings.filter((row) => row.patchable).length,
    packages: extra.cause ? 0 : 180 + (seed % 200),
    children: extra.children ?? [],
    ...extra.summary,
  };
  return { summary, findings };
}
