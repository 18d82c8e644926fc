-- A reason to try again that came while the claim was being looked at or ordered for.
-- Owned by services/certifier. Built against: a wish that is lost because its moment was a bad one; the next look may be hours away.
alter table certifier.claims add column urged boolean not null default false;
