-- Principals of every kind in one name space, their secrets, roles and scope
-- maps; and settings that change while the server runs.

CREATE TABLE principals (
    -- What is sent as user name.
    name TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('adminUser', 'account', 'servicePrincipal', 'token')),
    display_name TEXT NOT NULL,
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    -- Of a token. Names that begin with _ are the system's and have no row.
    scope_map TEXT,
    -- Tokens that carry another one are refused.
    generation INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- To the minute.
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX principals_by_scope_map ON principals (scope_map) WHERE scope_map IS NOT NULL;

CREATE TABLE principal_secrets (
    principal TEXT NOT NULL REFERENCES principals (name) ON DELETE CASCADE,
    name TEXT NOT NULL,
    -- Argon2, PHC string.
    hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (principal, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE role_assignments (
    principal TEXT NOT NULL REFERENCES principals (name) ON DELETE CASCADE,
    -- GUID of the definition.
    role TEXT NOT NULL,
    -- A path of ARM; / is everything.
    scope TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (principal, role, scope)
) STRICT, WITHOUT ROWID;

CREATE TABLE scope_maps (
    name TEXT NOT NULL PRIMARY KEY,
    description TEXT NOT NULL,
    -- JSON array of text.
    actions TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO principals (name, kind, display_name, enabled, generation, created_at)
    SELECT name, 'account', name, 1, created_at, created_at FROM accounts;
INSERT INTO principal_secrets (principal, name, hash, created_at)
    SELECT name, 'password', password_hash, created_at FROM accounts;
-- Owner.
INSERT INTO role_assignments (principal, role, scope, created_at)
    SELECT name, '8e3af657-a8ff-443c-a75c-2fe8c4bcb635', '/', created_at FROM accounts WHERE admin = 1;
DROP TABLE accounts;
