-- The gateway's tables: tenants, applications, API keys, sealed DNS credentials, idempotency records, audit.
--
-- Owns: who may call the API and what an application is. Others read the published_* views at the end, nothing else.
-- Rows that a DELETE ended stay as tombstones (deleted_at, revoked_at), so that a second DELETE is answered like the first.

create table gateway.tenants (
  id uuid primary key,
  name text not null,
  created_at timestamptz not null default now()
);

create table gateway.applications (
  id uuid primary key,
  tenant_id uuid not null references gateway.tenants (id),
  name text not null,
  environment text not null check (environment in ('test', 'live')),
  origin text,
  allowed_origins jsonb not null default '[]',
  record_template jsonb,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz
);
create index applications_of_tenant on gateway.applications (tenant_id, id desc);

create table gateway.keys (
  id uuid primary key,
  tenant_id uuid not null references gateway.tenants (id),
  application_id uuid not null references gateway.applications (id),
  name text not null,
  environment text not null,
  scopes jsonb not null,
  -- Of the whole secret, which has 200 random bits: a slow hash would add nothing.
  sha256 bytea not null,
  last4 text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz
);
create index keys_of_application on gateway.keys (tenant_id, application_id, id desc);

create table gateway.credentials (
  id uuid primary key,
  tenant_id uuid not null references gateway.tenants (id),
  application_id uuid not null references gateway.applications (id),
  provider text not null,
  label text,
  -- Emptied when deleted.
  sealed text not null,
  created_at timestamptz not null default now(),
  deleted_at timestamptz
);
create index credentials_of_application on gateway.credentials (tenant_id, application_id, id desc);

-- One row per Idempotency-Key, tenant and route, kept at least 24 h. planned_id is the id of the object being created, fixed before its
-- effect, so that a repetition after a crash is the same creation. The answer is sealed: it may hold a secret that is shown once.
create table gateway.idempotency (
  tenant_id uuid not null,
  route text not null,
  key_hash bytea not null,
  body_hash bytea not null,
  planned_id uuid not null,
  locked_until timestamptz not null,
  status integer,
  sealed text,
  created_at timestamptz not null default now(),
  primary key (tenant_id, route, key_hash)
);
create index idempotency_by_age on gateway.idempotency (created_at);

-- Which end user of the vendor a connection was made for, when a widget token made it.
create table gateway.widget_connections (
  connection_id uuid primary key,
  tenant_id uuid not null,
  application_id uuid not null,
  sub text not null,
  created_at timestamptz not null default now()
);

-- Append-only: the role may insert and read. Never holds a secret.
create table gateway.audit (
  position bigserial primary key,
  tenant_id uuid not null,
  actor text not null,
  key_id uuid,
  request_id uuid,
  action text not null,
  object_type text not null,
  object_id uuid not null,
  before jsonb,
  after jsonb,
  at timestamptz not null default now()
);
create index audit_of_object on gateway.audit (tenant_id, object_id, position);

-- GCRA: the theoretical arrival time of the next request, per key. Worth nothing after a crash, so not logged.
create unlogged table gateway.rate_limits (
  subject text primary key,
  arrival timestamptz not null
);


select public.create_outbox('gateway');

grant select, insert on gateway.tenants to cd_gateway;
grant select, insert, update on gateway.applications, gateway.keys, gateway.credentials to cd_gateway;
grant select, insert, update, delete on gateway.idempotency, gateway.widget_connections, gateway.rate_limits to cd_gateway;
grant select, insert on gateway.audit to cd_gateway;
grant usage, select on sequence gateway.audit_position_seq to cd_gateway;

create view gateway.published_applications as
  select id, tenant_id, name, environment, origin, record_template, allowed_origins, version, updated_at
  from gateway.applications
  where deleted_at is null;

create view gateway.published_credentials as
  select id, tenant_id, application_id, provider, sealed, created_at
  from gateway.credentials
  where deleted_at is null;

grant usage on schema gateway to cd_lifecycle, cd_webhooks, cd_billing, cd_certifier;
grant select on gateway.published_applications, gateway.published_credentials to cd_lifecycle;
grant select on gateway.published_applications to cd_webhooks, cd_billing, cd_certifier;
