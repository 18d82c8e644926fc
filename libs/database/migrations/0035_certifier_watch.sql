-- What gauges are counted from, each by one index alone.
-- Owned by services/certifier. Built against: a minute's metrics that read a million rows.

drop index certifier.certificates_life;
-- Ours: the least share of a life that is left. Imported ones are watched apart: nobody renews them.
create index certificates_life on certifier.certificates (not_after, not_before) where state = 'current' and directory <> 'imported';
create index certificates_imported on certifier.certificates (not_after, not_before) where state = 'current' and directory = 'imported';
