-- Request id and trace of the request that made a connection, as message headers: what its deadlines cause until it is live carries them on.
-- Owned by services/lifecycle.
alter table lifecycle.connections add column made_by jsonb;
