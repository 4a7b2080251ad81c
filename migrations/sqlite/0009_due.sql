-- What waits for inspection, so that looking for it does not read every manifest.
-- Kept by the database itself, whoever writes manifests and images.

-- Image manifests that repositories hold and that have no row in images.
CREATE TABLE uninspected_images (
    digest TEXT NOT NULL PRIMARY KEY,
    -- When it was first pushed.
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX uninspected_images_by_age ON uninspected_images (since, digest);

INSERT INTO uninspected_images (digest, since)
SELECT m.digest, MIN(m.pushed_at) FROM manifests m
WHERE m.media_type NOT IN ('application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json')
    AND NOT EXISTS (SELECT 1 FROM images i WHERE i.digest = m.digest)
GROUP BY m.digest;

CREATE TRIGGER manifest_waits_for_inspection AFTER INSERT ON manifests
WHEN NEW.media_type NOT IN ('application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json')
    AND NOT EXISTS (SELECT 1 FROM images i WHERE i.digest = NEW.digest)
BEGIN
    INSERT INTO uninspected_images (digest, since) VALUES (NEW.digest, NEW.pushed_at) ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER deleted_manifest_waits_no_more AFTER DELETE ON manifests
WHEN NOT EXISTS (SELECT 1 FROM manifests m WHERE m.digest = OLD.digest)
BEGIN
    DELETE FROM uninspected_images WHERE digest = OLD.digest;
END;

CREATE TRIGGER inspected_image_waits_no_more AFTER INSERT ON images
BEGIN
    DELETE FROM uninspected_images WHERE digest = NEW.digest;
END;

CREATE TRIGGER forgotten_image_waits_again AFTER DELETE ON images
BEGIN
    INSERT INTO uninspected_images (digest, since)
    SELECT m.digest, MIN(m.pushed_at) FROM manifests m WHERE m.digest = OLD.digest GROUP BY m.digest
    ON CONFLICT DO NOTHING;
END;

CREATE INDEX images_by_analyser ON images (analyser_version) WHERE scan_state = 'done';
CREATE INDEX images_to_retry ON images (attempts, retry_at) WHERE scan_state = 'failed';
