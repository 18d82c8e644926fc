-- How a store of NATS, or this database, is found to be older than the other. Owned by services/lifecycle.

-- The highest revision of the `hostnames` bucket that was acknowledged in this epoch. A bucket whose last one is lower has lost some.
alter table lifecycle.epoch add column put_revision bigint not null default 0;
update lifecycle.epoch e
set put_revision = coalesce((select max(r.put_revision) from lifecycle.registry r where r.put_epoch = e.epoch), 0);

-- After the database was restored from a backup, versions go on above those that it has forgotten.
grant update on sequence lifecycle.versions to cd_lifecycle;
