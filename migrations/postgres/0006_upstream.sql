-- Copies from other registries: imports as jobs, and rules of the cache.

-- An import is run under a lease, so that a crash hands it to the next runner.
CREATE TABLE imports (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- JSON: source, targets, platforms, flags.
    request TEXT COLLATE "C" NOT NULL,
    -- queued, running, done, failed
    state TEXT COLLATE "C" NOT NULL,
    -- JSON: counts and bytes.
    progress TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C",
    -- JSON: code and message.
    failure TEXT COLLATE "C",
    attempts BIGINT NOT NULL,
    -- The login at the source, gone once the import has ended.
    username TEXT COLLATE "C",
    password TEXT COLLATE "C",
    created_by TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    runner TEXT COLLATE "C",
    lease_until BIGINT NOT NULL
);
CREATE INDEX imports_to_run ON imports (lease_until, created_at) WHERE finished_at IS NULL;
CREATE INDEX imports_by_age ON imports (created_at);

CREATE TABLE credential_sets (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    login_server TEXT COLLATE "C" NOT NULL,
    username TEXT COLLATE "C",
    password TEXT COLLATE "C" NOT NULL,
    changed_at BIGINT NOT NULL
);

CREATE TABLE cache_rules (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    source TEXT COLLATE "C" NOT NULL,
    target TEXT COLLATE "C" NOT NULL UNIQUE,
    credential_set TEXT COLLATE "C" REFERENCES credential_sets (name),
    created_at BIGINT NOT NULL
);
