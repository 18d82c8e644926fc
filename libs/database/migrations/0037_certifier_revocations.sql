-- Revocations that a CA does not take now are asked for again later and later, each for itself; an operator's question by connection.
-- Owned by services/certifier. Built against: two hundred that never succeed, before one that would; a million claims read for one connection.

alter table certifier.certificates
  add column revoke_tries smallint not null default 0,
  -- Not asked for before this; null: not tried yet.
  add column revoke_after timestamptz;
create index claims_of_connection on certifier.claims (connection_id);
