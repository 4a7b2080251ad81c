-- What inspection knows. Layers are analysed once for ever; packages are
-- interned; an image holds a set of package ids; findings hang on packages.

CREATE TABLE layers (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE
);

-- The analysis of a layer's bytes, a function of (layer, analyser version).
CREATE TABLE layer_analyses (
    layer_id INTEGER NOT NULL REFERENCES layers (id) ON DELETE CASCADE,
    analyser_version INTEGER NOT NULL,
    analysis BLOB NOT NULL,
    analysed_at INTEGER NOT NULL,
    PRIMARY KEY (layer_id, analyser_version)
);

-- One row per image manifest digest, whatever repositories hold it.
-- Times are Unix milliseconds.
CREATE TABLE images (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    analyser_version INTEGER NOT NULL,
    scan_state TEXT NOT NULL CHECK (scan_state IN ('done', 'failed')),
    scan_trigger TEXT NOT NULL,
    failure TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    retry_at INTEGER,
    started_at INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    -- JSON: platform, os-release, problems.
    platform TEXT NOT NULL,
    os TEXT,
    problems TEXT NOT NULL,
    -- Why nothing about it can be assessed (an artifact, say), whatever its packages.
    inapplicable TEXT,
    -- Derived from packages and findings; rewritten whenever those change.
    status TEXT NOT NULL CHECK (status IN ('healthy', 'unhealthy', 'not_applicable')),
    cause TEXT,
    packages INTEGER NOT NULL DEFAULT 0,
    critical INTEGER NOT NULL DEFAULT 0,
    high INTEGER NOT NULL DEFAULT 0,
    medium INTEGER NOT NULL DEFAULT 0,
    low INTEGER NOT NULL DEFAULT 0,
    unscored INTEGER NOT NULL DEFAULT 0,
    patchable INTEGER NOT NULL DEFAULT 0,
    -- Raised by one whenever what the image's findings say may have changed.
    revision INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE image_layers (
    image_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    layer_id INTEGER NOT NULL REFERENCES layers (id),
    PRIMARY KEY (image_id, ordinal)
) WITHOUT ROWID;
CREATE INDEX image_layers_by_layer ON image_layers (layer_id, image_id);

-- namespace is '' where nobody is known to judge the package; match_name is
-- the name its feed keys on (source name, normalised name).
CREATE TABLE packages (
    id INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    arch TEXT NOT NULL,
    source_name TEXT NOT NULL,
    source_version TEXT NOT NULL,
    match_name TEXT NOT NULL,
    -- Index generation it was last matched with; 0: never.
    generation INTEGER NOT NULL DEFAULT 0,
    -- Why it could not be assessed at all, or JSON of what stayed open.
    unassessed TEXT,
    undetermined TEXT,
    UNIQUE (namespace, type, name, version, arch, source_name, source_version)
);
CREATE INDEX packages_by_match ON packages (namespace, match_name);

-- The set an image holds, each with the layer and file it was seen in.
-- judged = 0: a distribution's feed answers for it instead.
CREATE TABLE image_packages (
    image_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    package_id INTEGER NOT NULL REFERENCES packages (id),
    ordinal INTEGER NOT NULL,
    path TEXT NOT NULL,
    owner TEXT,
    judged INTEGER NOT NULL,
    PRIMARY KEY (image_id, package_id, ordinal, path)
) WITHOUT ROWID;
CREATE INDEX image_packages_by_package ON image_packages (package_id, image_id);

-- Open findings. severity: 4 critical ... 1 low, 0 unscored.
CREATE TABLE package_findings (
    package_id INTEGER NOT NULL REFERENCES packages (id) ON DELETE CASCADE,
    finding_id INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    patchable INTEGER NOT NULL,
    suppressed TEXT,
    title TEXT NOT NULL,
    category TEXT NOT NULL,
    detail TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    PRIMARY KEY (package_id, finding_id)
) WITHOUT ROWID;
CREATE INDEX package_findings_by_finding ON package_findings (finding_id, package_id);

-- Why findings opened, changed and closed; never rewritten.
CREATE TABLE finding_events (
    id INTEGER PRIMARY KEY,
    package_id INTEGER NOT NULL REFERENCES packages (id) ON DELETE CASCADE,
    finding_id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    event TEXT NOT NULL CHECK (event IN ('opened', 'changed', 'closed')),
    title TEXT NOT NULL,
    severity INTEGER NOT NULL,
    cause TEXT NOT NULL
);
CREATE INDEX finding_events_by_package ON finding_events (package_id, at);

-- Small facts of inspection: the advisory snapshot last matched with.
CREATE TABLE scan_facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
