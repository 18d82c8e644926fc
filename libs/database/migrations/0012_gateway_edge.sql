-- What a vendor sets at the edge for all connections of an application, and its error page (HTML, at most 32 KiB).
-- Owned by services/gateway; the lifecycle tells the edges.
alter table gateway.applications add column edge jsonb not null default '{}', add column error_page text;

create or replace view gateway.published_applications as
  select id, tenant_id, name, environment, origin, record_template, allowed_origins, version, updated_at, edge, error_page
  from gateway.applications
  where deleted_at is null;
