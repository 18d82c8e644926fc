-- What is known of a name's DNS before an order, and names that are not tried for now.
--
-- Owned by services/certifier. Built against: an order that can only fail (it counts at the CA), and a dead name tried for ever.

alter table certifier.claims
  -- What must stand in the DNS for the name to lead to us, as the lifecycle said; null: not known, then it is not checked.
  add column records       jsonb,
  -- The CAA records that were found last, and when: which CAs may issue, remembered for when nobody can look.
  add column caa           jsonb,
  add column caa_looked_at timestamptz,
  -- Since when every attempt was refused or blocked, by something outside that somebody must change; null: the last one was not.
  add column failing_since timestamptz,
  add column failed_at     timestamptz,
  -- No order before this, whoever asks for the certificate again.
  add column retry_at      timestamptz,
  -- Given up until then, unless the DNS comes to look otherwise than `paused_view`, or somebody asks.
  add column paused_until  timestamptz,
  add column paused_view   text;

create index claims_paused on certifier.claims (paused_until) where paused_until is not null;
