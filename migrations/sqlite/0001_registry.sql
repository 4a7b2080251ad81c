-- What repositories hold, and who may sign in. Digests are written
-- algorithm:hex. Times are Unix milliseconds.

CREATE TABLE repositories (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

-- A blob whose bytes are on disk: the row is written after they are.
CREATE TABLE blobs (
    digest TEXT NOT NULL PRIMARY KEY,
    size INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who may see a blob: readers of a repository that holds it.
CREATE TABLE repository_blobs (
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest TEXT NOT NULL REFERENCES blobs (digest),
    linked_at INTEGER NOT NULL,
    PRIMARY KEY (repository_id, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX repository_blobs_by_digest ON repository_blobs (digest);

CREATE TABLE manifests (
    id INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    -- NULL: nothing says what kind of artifact it is.
    artifact_type TEXT,
    -- The manifest it is about, which need not exist.
    subject TEXT,
    -- JSON object.
    annotations TEXT NOT NULL,
    pushed_at INTEGER NOT NULL,
    pushed_by TEXT NOT NULL,
    -- Exactly as pushed. Last, so that reading the rest passes over it.
    bytes BLOB NOT NULL,
    UNIQUE (repository_id, digest)
) STRICT;
CREATE INDEX manifests_by_subject ON manifests (repository_id, subject, digest) WHERE subject IS NOT NULL;
CREATE INDEX manifests_by_digest ON manifests (digest);

CREATE TABLE manifest_references (
    manifest_id INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('config', 'layer', 'child')),
    -- 0-based, among those of its kind.
    position INTEGER NOT NULL,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    -- As the manifest claims.
    size INTEGER NOT NULL,
    PRIMARY KEY (manifest_id, kind, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX manifest_references_by_digest ON manifest_references (digest);

CREATE TABLE tags (
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    manifest_id INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (repository_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_by_manifest ON tags (manifest_id);

-- How much of an upload has arrived is the length of its file.
CREATE TABLE uploads (
    id TEXT NOT NULL PRIMARY KEY,
    repository TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    started_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    name TEXT NOT NULL PRIMARY KEY,
    -- Argon2, PHC string.
    password_hash TEXT NOT NULL,
    admin INTEGER NOT NULL CHECK (admin IN (0, 1)),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys the server signs with.
CREATE TABLE secrets (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
