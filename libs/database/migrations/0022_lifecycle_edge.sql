-- What a vendor sets at the edge for one connection. Owned by services/lifecycle.
alter table lifecycle.connections add column edge jsonb not null default '{}';

create or replace view lifecycle.published_connections as
  select id, tenant_id, application_id, environment, hostname, kind, setup_type, state, provider, batch_id, error_code, origin, metadata,
    created_at, updated_at, next_check_at, desired_records, observed_records, challenge, certificate, certificate_id,
    claimed_hostname, case when claimed_hostname is null then null else id end as claim_id, revision as version, edge
  from lifecycle.connections;

-- An application's origin reaches the edges with the application, once, and no longer with each of its hostnames: entries of connections
-- without an origin of their own say so from now on.
update lifecycle.registry r
set entry = jsonb_set(jsonb_set(r.entry, '{flags,origin}', '"application"'), '{version}', to_jsonb(n.version)), version = n.version
from (
  select r.key, nextval('lifecycle.versions') as version
  from lifecycle.registry r join lifecycle.connections c on c.id = (r.entry ->> 'connection_id')::uuid
  where c.origin is null and r.entry ->> 'status' = 'held'
) n
where n.key = r.key;
