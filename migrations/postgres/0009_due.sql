-- What waits for inspection, so that looking for it does not read every manifest.
-- Kept by the database itself, whoever writes manifests and images.

-- Image manifests that repositories hold and that have no row in images.
CREATE TABLE uninspected_images (
    digest TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- When it was first pushed.
    since BIGINT NOT NULL
);
CREATE INDEX uninspected_images_by_age ON uninspected_images (since, digest);

INSERT INTO uninspected_images (digest, since)
SELECT m.digest, MIN(m.pushed_at) FROM manifests m
WHERE m.media_type NOT IN ('application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json')
    AND NOT EXISTS (SELECT 1 FROM images i WHERE i.digest = m.digest)
GROUP BY m.digest;

CREATE FUNCTION manifest_waits_for_inspection() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO uninspected_images (digest, since)
    SELECT NEW.digest, NEW.pushed_at WHERE NOT EXISTS (SELECT 1 FROM images i WHERE i.digest = NEW.digest)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER manifest_waits_for_inspection AFTER INSERT ON manifests FOR EACH ROW
WHEN (NEW.media_type NOT IN ('application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json'))
EXECUTE FUNCTION manifest_waits_for_inspection();

CREATE FUNCTION deleted_manifest_waits_no_more() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM uninspected_images WHERE digest = OLD.digest
        AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.digest = OLD.digest);
    RETURN NULL;
END $$;
CREATE TRIGGER deleted_manifest_waits_no_more AFTER DELETE ON manifests FOR EACH ROW
EXECUTE FUNCTION deleted_manifest_waits_no_more();

CREATE FUNCTION inspected_image_waits_no_more() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM uninspected_images WHERE digest = NEW.digest;
    RETURN NULL;
END $$;
CREATE TRIGGER inspected_image_waits_no_more AFTER INSERT ON images FOR EACH ROW
EXECUTE FUNCTION inspected_image_waits_no_more();

CREATE FUNCTION forgotten_image_waits_again() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO uninspected_images (digest, since)
    SELECT m.digest, MIN(m.pushed_at) FROM manifests m WHERE m.digest = OLD.digest GROUP BY m.digest
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER forgotten_image_waits_again AFTER DELETE ON images FOR EACH ROW
EXECUTE FUNCTION forgotten_image_waits_again();

CREATE INDEX images_by_analyser ON images (analyser_version) WHERE scan_state = 'done';
CREATE INDEX images_to_retry ON images (attempts, retry_at) WHERE scan_state = 'failed';
