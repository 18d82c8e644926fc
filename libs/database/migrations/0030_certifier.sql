-- Certificates: what each claim is owed, the certificates it got, and who we are at each CA.
--
-- Owned by services/certifier. Built against: two workers that order for one claim (a lease with a fence on the claim's row), a worker
-- that wakes up after its lease was given away (every later write names its fence), a crash at any point between order and bucket
-- (each step's result is a row before the next begins), and a dump that gives keys away (every key is sealed).

create schema if not exists certifier;

-- Fencing tokens: each lease of a claim gets a higher one.
create sequence certifier.fences;

-- One row per claim that was ever asked for. The ids are the lifecycle's and opaque here.
create table certifier.claims (
  claim_id      text primary key,
  connection_id text        not null,
  tenant_id     text        not null,
  hostname      text        not null,
  environment   text        not null check (environment in ('test', 'live')),
  -- wanted: no certificate yet; held: has one and is renewed; released: over, for good.
  state         text        not null default 'wanted' check (state in ('wanted', 'held', 'released')),
  -- When somebody has to look at this row again; while it is leased, when the lease ends. Null: never.
  due_at        timestamptz,
  leased        boolean     not null default false,
  fence         bigint      not null default 0,
  -- The order under way, kept so that a restart goes on with it and never orders twice. The key is sealed under EDGE_KEK.
  order_url        text,
  order_key_sealed text,
  order_directory  text,
  -- Consecutive failures of the present attempt (the step of the back-off ladder) and the last one, in words for the customer.
  failures      integer     not null default 0,
  failed_kind   text,
  last_error    text,
  -- Why the certificate must be replaced at once, whatever its dates; null: no reason.
  replace_reason text,
  -- When to renew and who said so: `ari` or `lifetime`; the window as the CA last gave it.
  renew_at      timestamptz,
  renew_because text,
  window_start  timestamptz,
  window_end    timestamptz,
  -- An answer is owed to somebody who asked while a certificate was already there.
  answer_owed   boolean     not null default false,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now()
);
create index claims_due on certifier.claims (due_at) where due_at is not null;
create index claims_due_wanted on certifier.claims (due_at) where state = 'wanted' and due_at is not null;
create index claims_due_others on certifier.claims (due_at) where state <> 'wanted' and due_at is not null;
create index claims_failing on certifier.claims (claim_id) where failures > 0;
create index claims_replacing on certifier.claims (claim_id) where replace_reason is not null;
-- Rows are leased and finished far more often than they are created.
alter table certifier.claims set (fillfactor = 80);

create table certifier.certificates (
  id            uuid primary key,
  claim_id      text        not null references certifier.claims,
  -- stored: issued, not yet in the bucket; current: served; superseded: kept until every edge has the next; destroyed: key gone.
  state         text        not null check (state in ('stored', 'current', 'superseded', 'destroyed')),
  names         text[]      not null,
  environment   text        not null,
  -- PEM, leaf first, without the root.
  chain         text        not null,
  -- PKCS #8 PEM, sealed under EDGE_KEK; null once destroyed.
  key_sealed    text,
  serial        text        not null,
  not_before    timestamptz not null,
  not_after     timestamptz not null,
  -- Where it came from, so that all of one kind can be found and replaced.
  ca            text        not null,
  directory     text        not null,
  account       text,
  issuer        text        not null,
  -- SHA-256 of the chain's last certificate.
  top_fingerprint text      not null,
  cert_id       text,
  challenge     text,
  validated_at  timestamptz,
  profile       text,
  fence         bigint      not null,
  created_at    timestamptz not null default now(),
  -- When a superseded one's key is destroyed and its bucket entry deleted.
  retire_at     timestamptz,
  check ((key_sealed is null) = (state = 'destroyed'))
);
create unique index certificates_one_current on certifier.certificates (claim_id) where state = 'current';
create unique index certificates_one_stored on certifier.certificates (claim_id) where state = 'stored';
create index certificates_retire on certifier.certificates (retire_at) where retire_at is not null;
create index certificates_expiry on certifier.certificates (not_after) where state = 'current';
create index certificates_issuer on certifier.certificates (directory, top_fingerprint) where state = 'current';

-- Who we are at a CA, by directory. The key is sealed under CD_ACME_KEK and is there before the CA knows it: registering the same key
-- twice gives the same account, so that racing workers and a crash in between do no harm. `kid` null: to be registered (again).
create table certifier.accounts (
  directory     text primary key,
  key_sealed    text        not null,
  kid           text,
  created_at    timestamptz not null default now(),
  registered_at timestamptz
);

-- The `internal` CA: its root and its intermediate, made once, keys sealed under CD_ACME_KEK.
create table certifier.internal_authorities (
  role       text primary key check (role in ('root', 'intermediate')),
  pem        text        not null,
  key_sealed text        not null,
  not_after  timestamptz not null,
  created_at timestamptz not null default now()
);

-- How much of each limit of a CA the whole fleet has used, in slots of a twelfth of the limit's window: the sum over every slot that the
-- window touches stays within the limit, so no window of that length ever holds more.
create table certifier.spendings (
  directory     text        not null,
  -- The limit's name, and what it is counted per (an account, a registered domain, a set of names, a name).
  limit_name    text        not null,
  key           text        not null,
  slot          timestamptz not null,
  used          integer     not null,
  -- When no window touches the slot any more.
  spent_until   timestamptz not null,
  primary key (directory, limit_name, key, slot)
);
create index spendings_over on certifier.spendings (spent_until);

-- CAs that take no new orders from us for now: a limit per account is used up, or they said so.
create table certifier.pauses (
  directory     text primary key,
  until         timestamptz not null,
  because       text        not null
);

select public.create_outbox('certifier');

grant usage on schema certifier to cd_certifier;
grant usage, select on sequence certifier.fences to cd_certifier;
grant select, insert, update, delete on certifier.claims, certifier.certificates, certifier.accounts, certifier.internal_authorities,
  certifier.spendings, certifier.pauses to cd_certifier;
