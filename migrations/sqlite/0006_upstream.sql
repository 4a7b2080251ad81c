-- Copies from other registries: imports as jobs, and rules of the cache.

-- An import is run under a lease, so that a crash hands it to the next runner.
CREATE TABLE imports (
    id TEXT NOT NULL PRIMARY KEY,
    -- JSON: source, targets, platforms, flags.
    request TEXT NOT NULL,
    -- queued, running, done, failed
    state TEXT NOT NULL,
    -- JSON: counts and bytes.
    progress TEXT NOT NULL,
    digest TEXT,
    -- JSON: code and message.
    failure TEXT,
    attempts INTEGER NOT NULL,
    -- The login at the source, gone once the import has ended.
    username TEXT,
    password TEXT,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    runner TEXT,
    lease_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX imports_to_run ON imports (lease_until, created_at) WHERE finished_at IS NULL;
CREATE INDEX imports_by_age ON imports (created_at);

CREATE TABLE credential_sets (
    name TEXT NOT NULL PRIMARY KEY,
    login_server TEXT NOT NULL,
    username TEXT,
    password TEXT NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE cache_rules (
    name TEXT NOT NULL PRIMARY KEY,
    source TEXT NOT NULL,
    target TEXT NOT NULL UNIQUE,
    credential_set TEXT REFERENCES credential_sets (name),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
