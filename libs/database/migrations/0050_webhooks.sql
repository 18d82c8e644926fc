-- Webhooks: endpoints, their signing secrets (sealed), and a row for each event that an endpoint is owed.
--
-- Owned by services/webhooks. Built against: an event lost between the log and a queue (a delivery is a row, inserted once per event and
-- endpoint, whoever brings the event); two senders on one delivery (the lease number); one endpoint's backlog hiding everybody else's
-- (the due index leads with the endpoint).

create table webhooks.endpoints (
  id              uuid primary key,
  tenant_id       uuid        not null,
  application_id  uuid,                         -- null: every application of the tenant
  url             text        not null,
  events          text[]      not null default '{}', -- empty: all types
  active          boolean     not null default true,
  disabled_reason text,                         -- gone (410) | failing (too long) | null
  failing_since   timestamptz,                  -- first failure since the last success
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now()
);
create index endpoints_of_tenant on webhooks.endpoints (tenant_id, id);

-- Live secrets of an endpoint: one, or two while rotating (the older has its end set). Order: created_at.
create table webhooks.secrets (
  id          uuid primary key,
  endpoint_id uuid        not null references webhooks.endpoints (id) on delete cascade,
  sealed      text        not null,
  created_at  timestamptz not null default now(),
  expires_at  timestamptz
);
create index secrets_of_endpoint on webhooks.secrets (endpoint_id, created_at);

create table webhooks.deliveries (
  id              uuid primary key,
  tenant_id       uuid        not null,
  endpoint_id     uuid        not null references webhooks.endpoints (id) on delete cascade,
  event_id        uuid        not null,
  event_type      text        not null,
  connection_id   uuid        not null,
  sequence        bigint      not null,
  data            jsonb       not null,
  status          text        not null default 'pending' check (status in ('pending', 'delivered', 'failed', 'cancelled')),
  attempts        integer     not null default 0, -- all that were made
  step            integer     not null default 0, -- place in the retry schedule; a replay starts again at 0
  next_attempt_at timestamptz default now(),      -- when due; while an attempt runs, when its lease ends
  lease           bigint      not null default 0, -- raised by each claim; a result under an older number is dropped
  created_at      timestamptz not null default now(),
  delivered_at    timestamptz,
  unique (event_id, endpoint_id)
);
create index deliveries_due on webhooks.deliveries (endpoint_id, next_attempt_at) where status = 'pending';
create index deliveries_of_tenant on webhooks.deliveries (tenant_id, created_at, id);
create index deliveries_of_endpoint on webhooks.deliveries (endpoint_id, created_at, id);
create index deliveries_age on webhooks.deliveries (created_at);

create table webhooks.attempts (
  delivery_id uuid        not null references webhooks.deliveries (id) on delete cascade,
  attempt     integer     not null,
  started_at  timestamptz not null,
  status_code integer,                            -- null: no answer
  latency_ms  integer     not null,
  error       text,                               -- our own words, never an answer's body
  primary key (delivery_id, attempt)
);

-- How far the walk over the event log has come (see services/webhooks/src/reconcile.ts).
create table webhooks.cursors (
  name       text primary key,
  position   text        not null,
  updated_at timestamptz not null default now()
);

grant select, insert, update, delete on all tables in schema webhooks to cd_webhooks;
