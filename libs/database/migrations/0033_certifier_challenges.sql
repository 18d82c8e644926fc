-- How control over a name was shown to CAs: what worked, what failed, what a CA offers, and TXT records that must go again.
-- Owned by services/certifier. Built against: the same way tried over and over, and a record of ours that stays in a customer's zone for
-- ever because the process that wrote it was killed.

alter table certifier.certificates
  -- Why this CA and this challenge, in a sentence; null: from before this was kept.
  add column why text;

-- One row for each way of a claim at a CA. `order` is the order itself: the CA refuses the name whatever the proof.
create table certifier.challenge_memory (
  claim_id   text        not null references certifier.claims,
  directory  text        not null,
  method     text        not null,
  worked_at  timestamptz,
  failed_at  timestamptz,
  -- Since it worked last.
  failures   integer     not null default 0,
  last_error text,
  primary key (claim_id, directory, method)
);

-- What a CA was seen to offer for a name, by directory: the challenges, and for DNS-PERSIST-01 its names, our account as it stands in
-- records, and the thumbprints that account has had.
create table certifier.offers (
  directory    text primary key,
  methods      text[]      not null,
  issuer_names text[]      not null,
  account_uri  text        not null,
  -- Null: records name the account's URL; else the beginning of the hashed form.
  hash_prefix  text,
  thumbprints  text[]      not null,
  seen_at      timestamptz not null default now()
);

-- TXT values that were or are about to be written; each goes when its value is gone from the DNS. One row per worker (fence), so that
-- who took over an order keeps the value in place although its predecessor is done with it.
create table certifier.challenge_texts (
  value        text        not null,
  fence        bigint      not null,
  claim_id     text        not null references certifier.claims,
  -- Nobody works with it any more after this: it is removed by whoever looks next.
  remove_after timestamptz not null,
  tries        integer     not null default 0,
  created_at   timestamptz not null default now(),
  primary key (value, fence)
);
create index challenge_texts_due on certifier.challenge_texts (remove_after);

grant select, insert, update, delete on certifier.challenge_memory, certifier.offers, certifier.challenge_texts to cd_certifier;
