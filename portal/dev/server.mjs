// A stand-in for the server with generated data: `npm run sample`, then open
// the printed address. For development and for flows that need 50,000 findings;
// what the product does is tested against the real server.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  REGISTRY, SERVER, countSeverities, digestOf, makeImage, random, selectFindings,
} from './sample-data.mjs';

const DIST = fileURLToPath(new URL('../dist', import.meta.url));
export const PASSWORD = 'sample';
const PORT = 4400;
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self'; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const repositories = new Map();
repositories.set('demo/python-app', [makeImage(1, ['1', 'latest'], { findings: 86 }), makeImage(2, ['2'], {})]);
repositories.set('bench/fifty-thousand', [makeImage(3, ['1'], { findings: 50_000 })]);
repositories.set('team/api', [
  makeImage(10, ['1.4'], {
    findings: 12,
    summary: {
      kind: 'index', platform: null, mediaType: 'application/vnd.oci.image.index.v1+json',
      children: ['amd64', 'arm64'].map((architecture, index) => ({
        ...makeImage(11 + index, [], { findings: 12 }).summary,
        platform: { os: 'linux', architecture, variant: architecture === 'arm64' ? 'v8' : null },
      })),
    },
  }),
  makeImage(13, [], { findings: 40 }),
]);
repositories.set('team/odd', [
  makeImage(20, ['no-feed'], { cause: { kind: 'noFeed', detail: 'plan9 4' } }),
  makeImage(21, ['failed'], { cause: { kind: 'scanFailed', detail: null }, failure: 'layer 2: gzip stream breaks off after 1,048,576 bytes' }),
  makeImage(22, ['chart'], { cause: { kind: 'unsupportedContent', detail: 'application/vnd.cncf.helm.config.v1+json' }, summary: { kind: 'artifact', platform: null } }),
  makeImage(23, ['waiting'], { cause: { kind: 'notScannedYet', detail: null }, summary: { scan: { state: 'queued', stage: null, startedAt: null, finishedAt: null, failure: null } } }),
]);
for (let index = 0; index < 320; index += 1) {
  repositories.set(`mass/repo-${String(index).padStart(3, '0')}`, [makeImage(1000 + index, ['1'], { findings: index % 5 })]);
}

const feeds = [
  ['debian-tracker', 48_211, 3, ['debian:11', 'debian:12', 'debian:13'], 'fresh'],
  ['alpine-secdb', 9_120, 30, ['alpine:3.18', 'alpine:3.19'], 'amber'],
  ['osv-PyPI', 15_904, 90, ['PyPI'], 'red'],
].map(([source, records, hours, namespaces, state]) => ({
  source, records, namespaces, state,
  dataDate: new Date(Date.now() - hours * 3_600_000).toISOString(),
  importedAt: new Date(Date.now() - 3_600_000).toISOString(),
}));

const sessions = new Set();
const listeners = new Set();
const send = (name, data) => {
  for (const listener of listeners) listener.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
};
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Plays a push: the row and the stages of its scan appear in turn. */
async function push(name, tag, stepMs) {
  const done = makeImage(5000 + repositories.size, [tag], { findings: 17 });
  const image = { summary: { ...done.summary }, findings: done.findings };
  const list = repositories.get(name) ?? [];
  repositories.set(name, [image, ...list]);
  send('repository', { registry: REGISTRY, repository: name });
  for (const [state, stage] of [['queued', null], ['running', 'analysing'], ['running', 'matching'], ['done', null]]) {
    image.summary.scan = { ...done.summary.scan, state, stage, finishedAt: state === 'done' ? new Date().toISOString() : null };
    image.summary.pushedAt ??= new Date().toISOString();
    image.summary.status = state === 'done' ? 'unhealthy' : 'notApplicable';
    image.summary.cause = state === 'done' ? null : { kind: 'notScannedYet', detail: null };
    const { digest, tags, status } = image.summary;
    send('image', { registry: REGISTRY, repository: name, digest, tags, status, scan: { state, stage } });
    await wait(stepMs);
  }
}

const imageCounts = (images) => ({
  total: images.length,
  healthy: images.filter(({ summary }) => summary.status === 'healthy').length,
  unhealthy: images.filter(({ summary }) => summary.status === 'unhealthy').length,
  notApplicable: images.filter(({ summary }) => summary.status === 'notApplicable').length,
});
const allImages = () => [...repositories.values()].flat();
const sum = (images) => countSeverities(images.flatMap(({ findings }) => findings));
const aggregate = (images) => ({
  images: imageCounts(images),
  severities: sum(images),
  lastPushAt: images.map(({ summary }) => summary.pushedAt).sort().at(-1) ?? null,
  lastScanAt: images.map(({ summary }) => summary.scan.finishedAt).filter(Boolean).sort().at(-1) ?? null,
});
const page = (items, query, most = 200) => {
  const offset = Number(query.get('offset') ?? 0);
  const limit = Math.min(most, Number(query.get('limit') ?? 50));
  return { total: items.length, offset, items: items.slice(offset, offset + limit) };
};
const references = (query) => {
  const rows = [];
  for (const [repository, images] of repositories) {
    if (query.get('repository') && query.get('repository') !== repository) continue;
    for (const { summary, findings } of images) {
      for (const row of selectFindings([...findings], query)) {
        rows.push({
          ...row, registry: REGISTRY, repository, digest: summary.digest, tags: summary.tags,
        });
      }
    }
  }
  return rows;
};

const registry = () => ({
  name: REGISTRY, loginServer: SERVER, repositories: repositories.size, ...aggregate(allImages()),
});

class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

function answer(request, url, body) {
  const query = url.searchParams;
  const parts = url.pathname.slice('/api/v1/'.length).split('/').map(decodeURIComponent);
  if (parts[0] === 'fail') throw new Problem(Number(parts[1]), 'asked for');
  if (parts[0] === 'overview') {
    const images = allImages();
    const critical = new URLSearchParams({ severity: 'critical' });
    return {
      images: imageCounts(images), severities: sum(images),
      newestCritical: references(critical).sort((a, b) => (a.firstSeenAt < b.firstSeenAt ? 1 : -1)).slice(0, 10),
      scanQueue: { queued: 1, running: 0, failed: 1 }, advisories: feeds,
    };
  }
  if (parts[0] === 'advisories') return feeds;
  if (parts[0] === 'findings') return page(references(query), query);
  if (parts[0] === 'scans') {
    const waiting = [];
    for (const [repository, images] of repositories) {
      for (const { summary } of images) {
        if (!['queued', 'running', 'failed'].includes(summary.scan.state)) continue;
        waiting.push({
          registry: REGISTRY, repository, digest: summary.digest, tags: summary.tags, trigger: 'push',
          scan: summary.scan, attempts: 1, queuedAt: summary.pushedAt,
        });
      }
    }
    return page(waiting, query);
  }
  if (parts[0] === 'sample-push') {
    void push(query.get('repository') ?? 'demo/new', query.get('tag') ?? '1', Number(query.get('step') ?? 800));
    return {};
  }
  // The stream breaks, and a push happens that nobody is told of.
  if (parts[0] === 'sample-drop') {
    for (const listener of listeners) listener.destroy();
    listeners.clear();
    void push(query.get('repository') ?? 'demo/new', query.get('tag') ?? '1', 0);
    return {};
  }
  if (parts[0] !== 'registries') throw new Problem(404, 'no such path');
  if (parts.length === 1) return [registry()];
  if (parts[1] !== REGISTRY) throw new Problem(404, `no registry is called ${parts[1]}`);
  if (parts.length === 2) return registry();
  if (parts.length === 3) {
    const text = query.get('q');
    const names = [...repositories.keys()].filter((name) => !text || name.includes(text)).sort();
    return page(
      names.map((name) => {
        const images = repositories.get(name);
        return {
          name, tags: images.flatMap(({ summary }) => summary.tags).length, ...aggregate(images),
          sizeBytes: images.reduce((total, { summary }) => total + summary.sizeBytes, 0),
        };
      }),
      query,
    );
  }
  const name = parts[3].replaceAll('~', '/');
  const images = repositories.get(name) ?? [];
  if (parts.length === 5) {
    const text = query.get('q');
    const status = query.get('status');
    return page(
      images
        .map(({ summary }) => summary)
        .filter((image) => (!status || image.status === status) && (!text || image.digest.includes(text) || image.tags.some((tag) => tag.includes(text)))),
      query,
    );
  }
  return answerImage(name, images, parts, query);
}

function answerImage(name, images, parts, query) {
  const child = images.flatMap(({ summary }) => summary.children).find(({ digest }) => digest === parts[5]);
  const image = images.find(({ summary }) => summary.digest === parts[5]) ?? (child && { summary: child, findings: images[0].findings });
  if (!image) throw new Problem(404, `no image ${parts[5]} in ${name}`);
  const { summary, findings } = image;
  if (parts.length === 6) return imageDetail(name, summary);
  if (parts[6] === 'findings' && parts.length === 7) {
    return { ...page(selectFindings([...findings], query), query), scanId: summary.digest.slice(7, 19) };
  }
  if (parts[6] === 'findings') {
    const row = findings.find(({ id }) => id === parts[7]);
    if (!row) throw new Problem(404, `no finding ${parts[7]} in this image`);
    return findingDetail(row);
  }
  if (parts[6] === 'history') {
    return page(
      findings.slice(0, 400).map((row) => ({
        at: row.firstSeenAt, what: 'opened', cause: { kind: 'push', detail: 'push by admin' }, findingId: row.id,
        title: row.title, severity: row.severity, packages: row.packages,
      })),
      query,
    );
  }
  const next = random(summary.packages);
  const text = query.get('q');
  return page(
    Array.from({ length: summary.packages }, (_, index) => {
      const row = findings[index];
      const type = row?.packages[0].type ?? 'deb';
      const packageName = row?.packages[0].name ?? `lib-sample-${index}`;
      return {
        type, name: packageName, version: row?.installed ?? `1.${index}`, arch: 'amd64',
        source: { name: packageName, version: null }, purl: `pkg:${type}/${packageName}@${row?.installed ?? `1.${index}`}`,
        layer: Math.floor(next() * 4), path: 'var/lib/dpkg/status', findings: countSeverities(row ? [row] : []),
        undetermined: index === 5 ? 'the version "x y" cannot be compared' : null,
      };
    }).filter((row) => !text || row.name.includes(text)),
    query,
  );
}

function imageDetail(name, summary) {
  const layers = summary.kind === 'image' ? 5 : 0;
  const reference = `${SERVER}/${name}@${summary.digest}`;
  return {
    ...summary,
    os: summary.kind === 'image' ? { id: 'debian', version: '12', name: 'Debian GNU/Linux 12 (bookworm)', eol: false } : null,
    layers: Array.from({ length: layers }, (_, index) => ({
      index, digest: digestOf(9000 + index), mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      sizeBytes: 1_000_000 * (index + 1) ** 3, packages: 10 * index, findings: countSeverities([]),
      createdBy: index === 2 ? 'RUN /bin/sh -c echo "</script><script>alert(1)</script>"' : 'RUN /bin/sh -c apt-get install -y libpq5 # buildkit',
    })),
    config: layers
      ? {
          created: '2026-01-04T10:00:00Z', author: null, user: '1000', workingDir: '/app', entrypoint: ['python'], cmd: ['-m', 'app'],
          env: [{ name: 'PATH', value: '/usr/local/bin:/usr/bin' }, { name: 'API_TOKEN', value: null }],
          labels: [{ name: 'org.opencontainers.image.title', value: 'a\u202Eb<b>bold</b>' }],
        }
      : null,
    problems: summary.cause?.kind === 'scanFailed' ? [{ layer: 1, path: null, kind: 'unreadable_layer', message: 'gzip stream breaks off' }] : [],
    undetermined: summary.cause ? [] : [{ package: 'pkg:deb/debian/odd@x%20y', reason: 'the version cannot be compared' }],
    advisories: { snapshot: '2026-01-05T08:00:00Z-4f2a', newestDataDate: feeds[0].dataDate },
    pullCommands: [
      { client: 'docker', command: `docker pull ${reference}` },
      { client: 'podman', command: `podman pull ${reference}` },
      { client: 'skopeo', command: `skopeo copy docker://${reference} oci:image` },
    ],
  };
}

function findingDetail(row) {
  const name = row.packages[0].name;
  return {
    id: row.id, title: row.title, severity: row.severity, status: 'open',
    severityReason: 'Rated by the distribution, which goes before NVD (7.5).',
    description: 'A crafted record makes the parser read past its buffer.\nSecond line with <b>markup</b> that stays text.',
    impact: 'A remote attacker may crash the service.', textLanguage: 'en',
    cves: row.cves.map((id) => ({ id, url: `https://nvd.nist.gov/vuln/detail/${id}` })),
    aliases: [{ id: 'GHSA-xxxx-yyyy-zzzz', url: 'javascript:alert(1)' }],
    kev: row.kev ? { addedAt: '2025-11-03', dueAt: '2025-11-24', ransomware: true } : null,
    epss: row.epss,
    cvss: row.cvss
      ? [{ ...row.cvss, vector: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:N', source: 'NVD' },
         { version: '2.0', score: 5, vector: 'AV:N/AC:L/Au:N/C:P/I:N/A:N', source: null }]
      : [],
    publishedAt: row.publishedAt, modifiedAt: null, firstSeenAt: row.firstSeenAt,
    advisory: { id: 'DSA-5532-1', feed: 'debian-tracker', snapshot: '2026-01-05-4f2a', dataDate: feeds[0].dataDate, url: 'https://security-tracker.debian.org/tracker/DSA-5532-1' },
    category: row.category, type: 'Vulnerability', patchable: row.patchable, fixedVersions: row.fixed ? [row.fixed] : [],
    packages: [{
      type: row.packages[0].type, name, installed: row.installed, fixed: row.fixed,
      purl: `pkg:${row.packages[0].type}/${name}@${row.installed}`,
      layer: { index: row.layer, digest: digestOf(9000 + row.layer), createdBy: 'RUN /bin/sh -c apt-get install -y libpq5' },
      path: 'var/lib/dpkg/status',
      evidence: { feed: 'debian-tracker', advisory: 'DSA-5532-1', rule: 'source package, fixed version of the release', installed: row.installed, comparedWith: `< ${row.fixed ?? 'any'}` },
    }],
    remediation: {
      steps: row.fixed ? [`Upgrade ${name} to ${row.fixed} or later.`, 'Rebuild the image and push it.'] : [],
      dockerfile: row.fixed ? `RUN apt-get update && apt-get install -y --only-upgrade ${name}` : null,
    },
    references: [{ title: 'Vendor notice', url: 'https://www.debian.org/security/' }, { title: null, url: 'https://example.org/a' }],
    otherImages: [{ registry: REGISTRY, repository: 'team/api', digest: digestOf(10), tags: ['1.4'] }],
    history: [{ at: row.firstSeenAt, what: 'opened', cause: { kind: 'advisory', detail: 'DSA-5532-1' } }],
  };
}

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.json': 'application/json' };

async function serveFile(path, response) {
  const inside = normalize(path).replace(/^(\.\.[/\\])+/, '');
  const asset = inside.startsWith('/assets/') || extname(inside) === '.svg';
  const file = join(DIST, asset ? inside : 'index.html');
  try {
    const bytes = await readFile(file);
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'content-security-policy': POLICY });
    response.end(bytes);
  } catch {
    response.writeHead(404).end();
  }
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://sample');
  if (!url.pathname.startsWith('/api/v1/')) return serveFile(url.pathname, response);
  const id = `sample-${Math.random().toString(36).slice(2, 10)}`;
  response.setHeader('x-request-id', id);
  const json = (status, body, type = 'application/json') => {
    response.writeHead(status, { 'content-type': type });
    response.end(JSON.stringify(body));
  };
  const problem = (status, detail) =>
    json(status, { type: '/problems/sample', title: 'Sample', status, detail, requestId: id }, 'application/problem+json');
  let text = '';
  for await (const chunk of request) text += chunk;
  const cookie = /lazaret_session=([^;]+)/.exec(request.headers.cookie ?? '')?.[1];
  const user = { user: { name: 'admin', roles: ['Owner'] } };
  if (url.pathname === '/api/v1/session') {
    if (request.method === 'POST') {
      const { username, password } = JSON.parse(text);
      if (username !== 'admin' || password !== PASSWORD) return problem(401, 'name or password is wrong');
      const token = Math.random().toString(36).slice(2);
      sessions.add(token);
      response.setHeader('set-cookie', `lazaret_session=${token}; HttpOnly; SameSite=Strict; Path=/`);
      return json(200, user);
    }
    if (request.method === 'DELETE') {
      sessions.delete(cookie);
      return response.writeHead(204).end();
    }
  }
  if (!sessions.has(cookie)) return problem(401, 'sign in first');
  if (url.pathname === '/api/v1/session') return json(200, user);
  if (url.pathname === '/api/v1/events') {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(':\n\n');
    listeners.add(response);
    return request.on('close', () => listeners.delete(response));
  }
  try {
    json(200, answer(request, url, text));
  } catch (error) {
    if (error instanceof Problem) problem(error.status, error.message);
    else problem(500, String(error));
  }
});
/** Starts it on a port, 0 for a free one; gives its address and how to stop it. */
export async function start(port) {
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await start(Number(process.env.PORT ?? PORT));
  console.log(`${url} (admin / ${PASSWORD})`);
}
