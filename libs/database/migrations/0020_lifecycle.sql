-- Lifecycle: one row per connection, the log of what happened to it, what the edges shall know, and the messages already heard.
--
-- Owned by services/lifecycle. Built against: two tenants that hold one name (a unique column, set and cleared with the state), a message
-- that is acted on twice (its id is committed with its effect), a follower of the log that skips an event which was numbered early and
-- committed late (positions sort by transaction), and an archived name that a late writer revives (versions only grow).

-- The version of a registry entry, drawn in the transaction that changes it.
create sequence lifecycle.versions as bigint;

create table lifecycle.connections (
  id                 uuid primary key,
  tenant_id          uuid        not null,
  application_id     uuid        not null,
  environment        text        not null check (environment in ('test', 'live')),
  hostname           text        not null,
  kind               text        not null check (kind in ('apex', 'subdomain')),
  setup_type         text        not null,
  automatic          boolean     not null,          -- we write the customer's DNS through a credential
  batch_id           text,
  metadata           jsonb       not null default '{}',
  origin             text,                          -- null: the application's
  application_origin text,
  desired_records    jsonb       not null,
  challenge          jsonb       not null,          -- {name, type, value}

  state              text        not null check (state in ('created', 'pending_ownership', 'verifying', 'verified', 'dns_writing',
                       'propagating', 'issuing_cert', 'live', 'drifted', 'stalled', 'failed', 'archived')),
  interrupted        text,                          -- the state that `stalled` interrupted
  -- At most one connection of the whole installation holds a name: from `verified` until `failed` or `archived`.
  claimed_hostname   text unique check (claimed_hostname = hostname),
  attempt            integer     not null default 0, -- number of the last question asked; an older answer is stale
  open_write         integer,                       -- number of the write under way
  step               integer     not null default 0, -- place in the cadence
  misses             integer     not null default 0,
  challenge_written  boolean     not null default false,
  entered_at         timestamptz not null,
  progress_at        timestamptz not null,
  next_check_at      timestamptz,                   -- the deadline: nothing open is ever without one
  error_code         text,
  provider           text,
  observed_records   jsonb       not null default '[]',
  certificate        jsonb       not null,
  certificate_id     text,

  revision           integer     not null default 1, -- grows with every change: the API's ETag
  event_count        integer     not null default 0, -- the last event's sequence
  created_at         timestamptz not null,
  updated_at         timestamptz not null
) with (fillfactor = 80);
create index connections_due on lifecycle.connections (next_check_at) where next_check_at is not null;
create index connections_of_tenant on lifecycle.connections (tenant_id, id);
create index connections_of_application on lifecycle.connections (application_id, id);
create index connections_by_hostname on lifecycle.connections (tenant_id, hostname);
create index connections_of_batch on lifecycle.connections (tenant_id, batch_id, id) where batch_id is not null;
create index connections_active on lifecycle.connections (tenant_id) where state in ('live', 'drifted');
-- Every change moves the deadline, so rows are rewritten often: clean up early.
alter table lifecycle.connections set (autovacuum_vacuum_scale_factor = 0.05);

-- The public log. A position is `<transaction>-<number>`, both padded to 20 digits, so that text order is a safe reading order: whoever
-- reads only below the oldest open transaction (as the view does) can never be overtaken by an event with a smaller position.
create sequence lifecycle.event_numbers as bigint cache 1;
create table lifecycle.events (
  position       text collate "C" primary key default
                   lpad(pg_current_xact_id()::text, 20, '0') || '-' || lpad(nextval('lifecycle.event_numbers')::text, 20, '0'),
  id             uuid        not null unique,
  tenant_id      uuid        not null,
  application_id uuid        not null,
  connection_id  uuid        not null,
  environment    text        not null,
  type           text        not null,
  sequence       integer     not null,              -- counts per connection
  data           jsonb       not null,
  occurred_at    timestamptz not null,
  unique (connection_id, sequence)
);
create index events_of_tenant on lifecycle.events (tenant_id, position);

-- What the `hostnames` bucket shall hold. A row is dirty while `version` is above `put_version`.
create table lifecycle.registry (
  key          text primary key,
  entry        jsonb  not null,
  version      bigint not null,
  put_version  bigint not null default 0,
  put_revision bigint,                              -- the bucket's revision of that put
  put_epoch    text
);
create index registry_dirty on lifecycle.registry (version) where version > put_version;
create index registry_of_connection on lifecycle.registry ((entry ->> 'connection_id'));

-- The life of one NATS store: another epoch means that the buckets were filled anew. One row.
create table lifecycle.epoch (
  single   boolean primary key default true check (single),
  epoch    text        not null,
  complete boolean     not null,
  begun_at timestamptz not null default now()
);

-- Ids of messages whose effect is committed. Kept for longer than any stream or dead letter can bring one back.
create table lifecycle.inbox (
  id      text primary key,
  seen_at timestamptz not null default now()
);
create index inbox_age on lifecycle.inbox using brin (seen_at);

select public.create_outbox('lifecycle');

create view lifecycle.published_connections as
  select id, tenant_id, application_id, environment, hostname, kind, setup_type, state, provider, batch_id, error_code, origin, metadata,
    created_at, updated_at, next_check_at, desired_records, observed_records, challenge, certificate, certificate_id,
    claimed_hostname, case when claimed_hostname is null then null else id end as claim_id, revision as version
  from lifecycle.connections;

create view lifecycle.published_events as
  select position, id, tenant_id, application_id, connection_id, environment, type, sequence, data, occurred_at
  from lifecycle.events
  where position < lpad(pg_snapshot_xmin(pg_current_snapshot())::text, 20, '0');

grant select, insert, update, delete on lifecycle.connections, lifecycle.registry, lifecycle.epoch, lifecycle.inbox to cd_lifecycle;
grant select, insert on lifecycle.events to cd_lifecycle;
grant usage, select on sequence lifecycle.versions, lifecycle.event_numbers to cd_lifecycle;
grant usage on schema lifecycle to cd_gateway, cd_billing, cd_certifier, cd_webhooks;
grant select on lifecycle.published_connections, lifecycle.published_events to cd_gateway, cd_billing, cd_certifier, cd_webhooks, cd_lifecycle;
