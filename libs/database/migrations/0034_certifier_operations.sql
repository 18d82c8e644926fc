-- What an operator asks for that must outlive a crash: a revocation, a new account key.
-- Owned by services/certifier. Built against: a certificate that was to be revoked and is forgotten, and an account whose key the CA
-- changed while ours was not written yet.

alter table certifier.certificates
  -- RFC 5280's reason code: somebody wants it revoked; `revoke_now`: before its successor is served.
  add column revoke_reason smallint,
  add column revoke_now    boolean not null default false,
  add column revoked_at    timestamptz;
create index certificates_to_revoke on certifier.certificates (created_at) where revoke_reason is not null and revoked_at is null;
create index certificates_serial on certifier.certificates (serial);

alter table certifier.accounts
  -- The key that the account is being given; there before the CA hears of it, gone once it is `key_sealed`.
  add column next_key_sealed text,
  -- No claim is leased until then, so that no order is under way while the key changes. Ends by itself.
  add column rolling_until   timestamptz;

-- The least share of a life that is left is read from this alone, without the rows; it does what `certificates_expiry` did.
create index certificates_life on certifier.certificates (not_after, not_before) where state = 'current';
drop index certifier.certificates_expiry;
