-- Who wants to hear of what happens, and the log of what was sent.

CREATE TABLE webhooks (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    service_uri TEXT NOT NULL,
    -- JSON object.
    headers TEXT NOT NULL,
    -- JSON array.
    actions TEXT NOT NULL,
    scope TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    format TEXT NOT NULL,
    secret TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE webhook_deliveries (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    webhook_id TEXT COLLATE "C" NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    action TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts BIGINT NOT NULL,
    -- Of a pending one: when it is tried next, or until when somebody is trying it.
    next_at BIGINT,
    -- The last try.
    tried_at BIGINT,
    took_ms BIGINT,
    status BIGINT,
    answer TEXT
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, created_at);
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (created_at) WHERE next_at IS NULL;
