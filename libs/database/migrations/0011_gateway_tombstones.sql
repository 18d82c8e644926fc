-- Objects of other services that a tenant deleted through the API: a second DELETE is answered like the first, while a DELETE of another
-- tenant's object is answered as if there were none.
create table gateway.tombstones (
  tenant_id uuid not null,
  object_id uuid not null,
  deleted_at timestamptz not null default now(),
  primary key (tenant_id, object_id)
);
grant select, insert on gateway.tombstones to cd_gateway;
