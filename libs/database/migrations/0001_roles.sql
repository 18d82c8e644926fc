-- Schemas and roles: one of each per service that has tables.
--
-- Owns: who may own what. Each service's own migration creates its tables in its schema and grants them to its role; another service's
-- role may only select from views named published_*. A process connects as the user of DATABASE_URL and takes on `cd_<service>` when the
-- connection starts, so that user must be a member of every role (a superuser always is).
-- Roles belong to the whole cluster, schemas to one database: both statements can find the work already done.

do $$
declare
  service text;
begin
  -- Two databases of one cluster may be migrated at the same moment.
  perform pg_advisory_xact_lock(7203119);
  foreach service in array array['gateway', 'lifecycle', 'certifier', 'billing', 'webhooks', 'connector', 'router'] loop
    begin
      execute format('create role %I nologin', 'cd_' || service);
    exception when duplicate_object or unique_violation then
      null;
    end;
    execute format('grant %I to current_user', 'cd_' || service);
    -- The connector and the router have no tables and get no schema.
    if service not in ('connector', 'router') then
      execute format('create schema if not exists %I', service);
      execute format('grant usage on schema %I to %I', service, 'cd_' || service);
    end if;
  end loop;
end
$$;

revoke create on schema public from public;

-- The outbox table of one service: `select public.create_outbox('gateway');` in that service's migration.
-- Messages that a transaction wants sent; the relay of that service sends them in order of position and deletes them.
--   position  order of sending, for the relay only (gaps and late commits are fine: delivery order is not promised)
--   id        the message's id: NATS drops a second publish with the same one
--   subject   where it goes
--   payload   encoded, as it goes on the wire
--   headers   trace context and request id
create function public.create_outbox(service text) returns void language plpgsql as $$
begin
  execute format(
    'create table %1$I.outbox (
       position bigserial primary key,
       id text not null unique,
       subject text not null,
       payload jsonb not null,
       headers jsonb not null default ''{}'',
       created_at timestamptz not null default now()
     );
     -- Rows live for milliseconds and the table is empty most of the time: vacuum early, never plan from stale statistics.
     alter table %1$I.outbox set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, fillfactor = 90);
     grant select, insert, update, delete on %1$I.outbox to %2$I;
     grant usage, select on sequence %1$I.outbox_position_seq to %2$I;',
    service, 'cd_' || service);
end
$$;
revoke execute on function public.create_outbox(text) from public;
