-- A claim's certificates by index, whatever their state: each look at a renewal window reads them, and the partial indexes serve one state each.
-- Owned by services/certifier.
create index certificates_of_claim on certifier.certificates (claim_id);
