-- Garbage collection (crates/registry/src/collect.rs argues why it is safe).

-- Not NULL: no repository may take the blob any more, its bytes are going.
-- Nothing links a condemned blob and no upload holds it.
ALTER TABLE blobs ADD COLUMN condemned_at BIGINT;
-- Not NULL: its bytes were found missing or changed; not served until they
-- are pushed again or repaired.
ALTER TABLE blobs ADD COLUMN damaged_at BIGINT;
CREATE INDEX blobs_condemned ON blobs (digest) WHERE condemned_at IS NOT NULL;
CREATE INDEX blobs_damaged ON blobs (digest) WHERE damaged_at IS NOT NULL;

-- The blob whose bytes the upload is placing: it cannot be condemned.
ALTER TABLE uploads ADD COLUMN committing TEXT COLLATE "C";
CREATE INDEX uploads_by_committing ON uploads (committing) WHERE committing IS NOT NULL;
CREATE INDEX uploads_by_repository ON uploads (repository);

-- The manifest's repository, so that one look tells whether a repository needs
-- a blob that a hundred thousand manifests elsewhere refer to.
ALTER TABLE manifest_references ADD COLUMN repository_id BIGINT NOT NULL DEFAULT 0;
UPDATE manifest_references SET repository_id =
    (SELECT m.repository_id FROM manifests m WHERE m.id = manifest_references.manifest_id);
DROP INDEX manifest_references_by_digest;
CREATE INDEX manifest_references_by_digest ON manifest_references (digest, repository_id);

-- Who collects, or keeps others from it, and who did. At most one is not ended.
CREATE TABLE collections (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    purpose TEXT COLLATE "C" NOT NULL CHECK (purpose IN ('collect', 'backup')),
    started_at BIGINT NOT NULL,
    -- Believed dead when this is over.
    alive_until BIGINT NOT NULL,
    ended_at BIGINT,
    -- JSON: what was removed.
    figures TEXT COLLATE "C",
    -- Why it did not come to its end.
    error TEXT COLLATE "C"
);
CREATE INDEX collections_by_start ON collections (started_at);
CREATE UNIQUE INDEX collections_under_way ON collections ((ended_at IS NULL)) WHERE ended_at IS NULL;

-- What they freed, kept for a while for those who ask.
CREATE TABLE freed_blobs (
    digest TEXT COLLATE "C" NOT NULL,
    run TEXT COLLATE "C" NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    size BIGINT NOT NULL,
    freed_at BIGINT NOT NULL,
    PRIMARY KEY (digest, run)
);
CREATE INDEX freed_blobs_by_run ON freed_blobs (run);
