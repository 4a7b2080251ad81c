-- What may be done to what is held, what was put away, and how much there is.
-- Flags and pull times of manifests have tables of their own: a change of a row
-- of `manifests` writes its bytes once more.

ALTER TABLE repositories ADD COLUMN read_enabled INTEGER NOT NULL DEFAULT 1;
ALTER TABLE repositories ADD COLUMN write_enabled INTEGER NOT NULL DEFAULT 1;
ALTER TABLE repositories ADD COLUMN delete_enabled INTEGER NOT NULL DEFAULT 1;
ALTER TABLE repositories ADD COLUMN list_enabled INTEGER NOT NULL DEFAULT 1;
-- Bytes of its blobs and manifests; the triggers below keep it.
ALTER TABLE repositories ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
-- Put away with everything in it, until something is pushed or restored.
ALTER TABLE repositories ADD COLUMN deleted_at INTEGER;

CREATE INDEX manifests_by_time ON manifests (repository_id, pushed_at, digest);

ALTER TABLE tags ADD COLUMN read_enabled INTEGER NOT NULL DEFAULT 1;
ALTER TABLE tags ADD COLUMN write_enabled INTEGER NOT NULL DEFAULT 1;
ALTER TABLE tags ADD COLUMN delete_enabled INTEGER NOT NULL DEFAULT 1;
ALTER TABLE tags ADD COLUMN list_enabled INTEGER NOT NULL DEFAULT 1;
ALTER TABLE tags ADD COLUMN pulled_at INTEGER;
CREATE INDEX tags_by_time ON tags (repository_id, updated_at, name);

-- A manifest without a row is as it was pushed.
CREATE TABLE manifest_attributes (
    manifest_id INTEGER PRIMARY KEY REFERENCES manifests (id) ON DELETE CASCADE,
    read_enabled INTEGER NOT NULL DEFAULT 1,
    write_enabled INTEGER NOT NULL DEFAULT 1,
    delete_enabled INTEGER NOT NULL DEFAULT 1,
    list_enabled INTEGER NOT NULL DEFAULT 1,
    quarantine_state TEXT,
    quarantine_details TEXT,
    changed_at INTEGER NOT NULL
) STRICT;

CREATE TABLE manifest_pulls (
    manifest_id INTEGER PRIMARY KEY REFERENCES manifests (id) ON DELETE CASCADE,
    pulled_at INTEGER NOT NULL
) STRICT;

-- Manifests that are put away: nobody sees them, and what they refer to stays.
-- Those that went together carry the same deletion.
CREATE TABLE deleted_manifests (
    manifest_id INTEGER PRIMARY KEY REFERENCES manifests (id) ON DELETE CASCADE,
    deletion TEXT NOT NULL,
    deleted_at INTEGER NOT NULL,
    deleted_by TEXT NOT NULL
) STRICT;
CREATE INDEX deleted_manifests_by_time ON deleted_manifests (deleted_at);

-- Tags that went with them.
CREATE TABLE deleted_tags (
    manifest_id INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (manifest_id, name)
) STRICT, WITHOUT ROWID;

-- What everybody reads who does not ask for what was put away.
CREATE VIEW live_manifests AS
    SELECT m.* FROM manifests m
    WHERE NOT EXISTS (SELECT 1 FROM deleted_manifests d WHERE d.manifest_id = m.id);

-- Settings that several may change at once: each is one JSON document.
CREATE TABLE versioned_settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    -- Raised by one at each change.
    version INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    changed_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Bytes of all blobs, each once, and of all manifests. In shards by the last
-- letter of the digest, so that writers seldom wait for each other's.
CREATE TABLE registry_bytes (
    shard INTEGER NOT NULL PRIMARY KEY,
    bytes INTEGER NOT NULL
) STRICT;

INSERT INTO registry_bytes (shard, bytes)
    SELECT shard, SUM(size) FROM
        (SELECT unicode(substr(digest, -1)) % 16 AS shard, size FROM blobs
         UNION ALL SELECT unicode(substr(digest, -1)) % 16, size FROM manifests)
    GROUP BY shard;
UPDATE repositories SET bytes =
    (SELECT COALESCE(SUM(m.size), 0) FROM manifests m WHERE m.repository_id = repositories.id) +
    (SELECT COALESCE(SUM(b.size), 0) FROM repository_blobs rb JOIN blobs b ON b.digest = rb.digest
     WHERE rb.repository_id = repositories.id);

CREATE TRIGGER blobs_count_in AFTER INSERT ON blobs BEGIN
    INSERT INTO registry_bytes (shard, bytes) VALUES (unicode(substr(new.digest, -1)) % 16, new.size)
        ON CONFLICT (shard) DO UPDATE SET bytes = registry_bytes.bytes + excluded.bytes;
END;
CREATE TRIGGER blobs_count_out AFTER DELETE ON blobs BEGIN
    UPDATE registry_bytes SET bytes = bytes - old.size WHERE shard = unicode(substr(old.digest, -1)) % 16;
END;
CREATE TRIGGER repository_blobs_count_in AFTER INSERT ON repository_blobs BEGIN
    UPDATE repositories SET bytes = bytes + (SELECT size FROM blobs WHERE digest = new.digest)
        WHERE id = new.repository_id;
END;
-- Before, since the blob itself may go right after.
CREATE TRIGGER repository_blobs_count_out BEFORE DELETE ON repository_blobs BEGIN
    UPDATE repositories SET bytes = bytes - (SELECT size FROM blobs WHERE digest = old.digest)
        WHERE id = old.repository_id;
END;
CREATE TRIGGER manifests_count_in AFTER INSERT ON manifests BEGIN
    INSERT INTO registry_bytes (shard, bytes) VALUES (unicode(substr(new.digest, -1)) % 16, new.size)
        ON CONFLICT (shard) DO UPDATE SET bytes = registry_bytes.bytes + excluded.bytes;
    UPDATE repositories SET bytes = bytes + new.size WHERE id = new.repository_id;
END;
CREATE TRIGGER manifests_count_out AFTER DELETE ON manifests BEGIN
    UPDATE registry_bytes SET bytes = bytes - old.size WHERE shard = unicode(substr(old.digest, -1)) % 16;
    UPDATE repositories SET bytes = bytes - old.size WHERE id = old.repository_id;
END;
