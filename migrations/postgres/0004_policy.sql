-- What may be done to what is held, what was put away, and how much there is.
-- Flags and pull times of manifests have tables of their own: a change of a row
-- of `manifests` writes its bytes once more.

ALTER TABLE repositories ADD COLUMN read_enabled BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE repositories ADD COLUMN write_enabled BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE repositories ADD COLUMN delete_enabled BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE repositories ADD COLUMN list_enabled BOOLEAN NOT NULL DEFAULT TRUE;
-- Bytes of its blobs and manifests; the triggers below keep it.
ALTER TABLE repositories ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
-- Put away with everything in it, until something is pushed or restored.
ALTER TABLE repositories ADD COLUMN deleted_at BIGINT;

CREATE INDEX manifests_by_time ON manifests (repository_id, pushed_at, digest);

ALTER TABLE tags ADD COLUMN read_enabled BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE tags ADD COLUMN write_enabled BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE tags ADD COLUMN delete_enabled BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE tags ADD COLUMN list_enabled BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE tags ADD COLUMN pulled_at BIGINT;
CREATE INDEX tags_by_time ON tags (repository_id, updated_at, name);

-- A manifest without a row is as it was pushed.
CREATE TABLE manifest_attributes (
    manifest_id BIGINT PRIMARY KEY REFERENCES manifests (id) ON DELETE CASCADE,
    read_enabled BOOLEAN NOT NULL DEFAULT TRUE,
    write_enabled BOOLEAN NOT NULL DEFAULT TRUE,
    delete_enabled BOOLEAN NOT NULL DEFAULT TRUE,
    list_enabled BOOLEAN NOT NULL DEFAULT TRUE,
    quarantine_state TEXT COLLATE "C",
    quarantine_details TEXT COLLATE "C",
    changed_at BIGINT NOT NULL
);

CREATE TABLE manifest_pulls (
    manifest_id BIGINT PRIMARY KEY REFERENCES manifests (id) ON DELETE CASCADE,
    pulled_at BIGINT NOT NULL
);

-- Manifests that are put away: nobody sees them, and what they refer to stays.
-- Those that went together carry the same deletion.
CREATE TABLE deleted_manifests (
    manifest_id BIGINT PRIMARY KEY REFERENCES manifests (id) ON DELETE CASCADE,
    deletion TEXT COLLATE "C" NOT NULL,
    deleted_at BIGINT NOT NULL,
    deleted_by TEXT COLLATE "C" NOT NULL
);
CREATE INDEX deleted_manifests_by_time ON deleted_manifests (deleted_at);

-- Tags that went with them.
CREATE TABLE deleted_tags (
    manifest_id BIGINT NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (manifest_id, name)
);

-- What everybody reads who does not ask for what was put away.
CREATE VIEW live_manifests AS
    SELECT m.* FROM manifests m
    WHERE NOT EXISTS (SELECT 1 FROM deleted_manifests d WHERE d.manifest_id = m.id);

-- Settings that several may change at once: each is one JSON document.
CREATE TABLE versioned_settings (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL,
    -- Raised by one at each change.
    version BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT COLLATE "C" NOT NULL
);

-- Bytes of all blobs, each once, and of all manifests. In shards by the last
-- letter of the digest, so that writers seldom wait for each other's.
CREATE TABLE registry_bytes (
    shard BIGINT NOT NULL PRIMARY KEY,
    bytes BIGINT NOT NULL
);

INSERT INTO registry_bytes (shard, bytes)
    SELECT shard, CAST(SUM(size) AS BIGINT) FROM
        (SELECT ascii(right(digest, 1)) % 16 AS shard, size FROM blobs
         UNION ALL SELECT ascii(right(digest, 1)) % 16, size FROM manifests) counted
    GROUP BY shard;
UPDATE repositories SET bytes =
    (SELECT CAST(COALESCE(SUM(m.size), 0) AS BIGINT) FROM manifests m WHERE m.repository_id = repositories.id) +
    (SELECT CAST(COALESCE(SUM(b.size), 0) AS BIGINT) FROM repository_blobs rb JOIN blobs b ON b.digest = rb.digest
     WHERE rb.repository_id = repositories.id);

CREATE FUNCTION count_registry_bytes(digest TEXT, size BIGINT) RETURNS void LANGUAGE sql AS $$
    INSERT INTO registry_bytes (shard, bytes) VALUES (ascii(right(digest, 1)) % 16, size)
        ON CONFLICT (shard) DO UPDATE SET bytes = registry_bytes.bytes + excluded.bytes;
$$;
CREATE FUNCTION count_blob() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM count_registry_bytes(NEW.digest, NEW.size);
    ELSE
        PERFORM count_registry_bytes(OLD.digest, -OLD.size);
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION count_repository_blob() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE repositories SET bytes = bytes + (SELECT size FROM blobs b WHERE b.digest = NEW.digest)
            WHERE id = NEW.repository_id;
        RETURN NULL;
    END IF;
    UPDATE repositories SET bytes = bytes - (SELECT size FROM blobs b WHERE b.digest = OLD.digest)
        WHERE id = OLD.repository_id;
    RETURN OLD;
END $$;
CREATE FUNCTION count_manifest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM count_registry_bytes(NEW.digest, NEW.size);
        UPDATE repositories SET bytes = bytes + NEW.size WHERE id = NEW.repository_id;
    ELSE
        PERFORM count_registry_bytes(OLD.digest, -OLD.size);
        UPDATE repositories SET bytes = bytes - OLD.size WHERE id = OLD.repository_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER blobs_count AFTER INSERT OR DELETE ON blobs
    FOR EACH ROW EXECUTE FUNCTION count_blob();
CREATE TRIGGER repository_blobs_count_in AFTER INSERT ON repository_blobs
    FOR EACH ROW EXECUTE FUNCTION count_repository_blob();
-- Before, since the blob itself may go right after.
CREATE TRIGGER repository_blobs_count_out BEFORE DELETE ON repository_blobs
    FOR EACH ROW EXECUTE FUNCTION count_repository_blob();
CREATE TRIGGER manifests_count AFTER INSERT OR DELETE ON manifests
    FOR EACH ROW EXECUTE FUNCTION count_manifest();
