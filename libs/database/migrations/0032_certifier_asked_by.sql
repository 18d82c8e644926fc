-- Request id and trace of whoever asked for the certificate, as message headers, until it is there. Renewals have nobody's.
-- Owned by services/certifier.
alter table certifier.claims add column asked_by jsonb;
