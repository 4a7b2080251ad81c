-- Principals of every kind in one name space, their secrets, roles and scope
-- maps; and settings that change while the server runs.

CREATE TABLE principals (
    -- What is sent as user name.
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('adminUser', 'account', 'servicePrincipal', 'token')),
    display_name TEXT COLLATE "C" NOT NULL,
    enabled BOOLEAN NOT NULL,
    -- Of a token. Names that begin with _ are the system's and have no row.
    scope_map TEXT COLLATE "C",
    -- Tokens that carry another one are refused.
    generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    -- To the minute.
    last_used_at BIGINT
);
CREATE INDEX principals_by_scope_map ON principals (scope_map) WHERE scope_map IS NOT NULL;

CREATE TABLE principal_secrets (
    principal TEXT COLLATE "C" NOT NULL REFERENCES principals (name) ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    -- Argon2, PHC string.
    hash TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (principal, name)
);

CREATE TABLE role_assignments (
    principal TEXT COLLATE "C" NOT NULL REFERENCES principals (name) ON DELETE CASCADE,
    -- GUID of the definition.
    role TEXT COLLATE "C" NOT NULL,
    -- A path of ARM; / is everything.
    scope TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (principal, role, scope)
);

CREATE TABLE scope_maps (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    description TEXT COLLATE "C" NOT NULL,
    -- JSON array of text.
    actions TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE settings (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

INSERT INTO principals (name, kind, display_name, enabled, generation, created_at)
    SELECT name, 'account', name, TRUE, created_at, created_at FROM accounts;
INSERT INTO principal_secrets (principal, name, hash, created_at)
    SELECT name, 'password', password_hash, created_at FROM accounts;
-- Owner.
INSERT INTO role_assignments (principal, role, scope, created_at)
    SELECT name, '8e3af657-a8ff-443c-a75c-2fe8c4bcb635', '/', created_at FROM accounts WHERE admin;
DROP TABLE accounts;
