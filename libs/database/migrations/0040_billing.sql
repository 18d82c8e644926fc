-- Billing: who is on which plan, what a month has used, and the reservations that make a quota exact.
--
-- Owned by services/billing. Limits are not in here: they come from the plans file with each call, so that an edit of the file needs
-- no migration. Built against: N parallel creates that all see "one left"; a create that died between its reservation and its row;
-- a usage message that is delivered twice.

create table billing.subscriptions (
  tenant_id  uuid primary key,
  plan       text        not null,
  since      timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- One row per create of a connection. `reserved` until the create is known to have happened, then `committed` for ever: deleting a
-- connection gives nothing back. Released reservations are deleted: a refused create used nothing.
create table billing.reservations (
  connection_id uuid primary key,
  tenant_id     uuid        not null,
  period        date        not null,
  committed     boolean     not null default false,
  reserved_at   timestamptz not null default now()
);
create index reservations_usage on billing.reservations (tenant_id, period);
create index reservations_open on billing.reservations (reserved_at) where not committed;

-- The locked row of a tenant whose plan limits `connect`. Tenants without a limit have none: their creates share no lock.
create table billing.connect_counters (
  tenant_id uuid   not null,
  period    date   not null,
  used      bigint not null check (used >= 0),
  primary key (tenant_id, period)
);

-- What was counted, by the id of the message that said so; a second delivery finds its id taken.
create table billing.usage_ledger (
  id          text        not null,
  kind        text        not null check (kind in ('cert', 'api_call')),
  tenant_id   uuid        not null,
  period      date        not null,
  quantity    bigint      not null check (quantity >= 0),
  occurred_at timestamptz not null,
  recorded_at timestamptz not null default now(),
  primary key (kind, id)
);

create table billing.usage_totals (
  tenant_id uuid   not null,
  period    date   not null,
  kind      text   not null,
  used      bigint not null,
  primary key (tenant_id, period, kind)
);

-- How far the walk over the event log has come (see services/billing/src/Ledger.ts).
create table billing.cursors (
  name       text primary key,
  position   text        not null,
  updated_at timestamptz not null default now()
);

-- Takes one `connect` of the month for a connection id, or says which limit is in the way. One round trip; the same id again is free.
--
-- `plans` is {"default": <key>, "limits": {<key>: {"connect": n|null, "active_domain": n|null}}}.
-- Each statement of a volatile function sees what was committed before it began, so what is read after the counter's lock is current.
-- The commit is asynchronous: a crash that loses the reservation also loses whatever the create wrote after it, because the write-ahead
-- log is flushed in order (true while one Postgres serves both; the commit message would insert the row again anyway).
create function billing.reserve(p_connection uuid, p_tenant uuid, p_plans jsonb, p_now timestamptz default now())
returns table (outcome text, plan text, limited_kind text, limit_value bigint)
language plpgsql as $$
declare
  v_plan    text;
  v_connect bigint;
  v_active  bigint;
  v_used    bigint;
  v_period  date := date_trunc('month', p_now at time zone 'UTC')::date;
begin
  perform set_config('synchronous_commit', 'off', true);
  select s.plan into v_plan from billing.subscriptions s where s.tenant_id = p_tenant;
  if v_plan is null or not p_plans -> 'limits' ? v_plan then
    v_plan := p_plans ->> 'default';
  end if;
  v_connect := (p_plans -> 'limits' -> v_plan ->> 'connect')::bigint;
  v_active := (p_plans -> 'limits' -> v_plan ->> 'active_domain')::bigint;

  if v_connect is null then
    -- A counter left by an earlier, limited plan would go stale here; without one this deletes, and locks, nothing.
    delete from billing.connect_counters c where c.tenant_id = p_tenant and c.period = v_period;
  else
    loop -- a change of plan may delete the row while this waits for its lock
      insert into billing.connect_counters as c (tenant_id, period, used)
      select p_tenant, v_period, (select count(*) from billing.reservations r where r.tenant_id = p_tenant and r.period = v_period)
      where not exists (select 1 from billing.connect_counters x where x.tenant_id = p_tenant and x.period = v_period)
      on conflict do nothing;
      select c.used into v_used from billing.connect_counters c where c.tenant_id = p_tenant and c.period = v_period for update;
      exit when found;
    end loop;
  end if;

  if exists (select 1 from billing.reservations r where r.connection_id = p_connection) then
    return query select 'reserved', v_plan, null::text, null::bigint;
    return;
  end if;
  if v_connect is not null and v_used >= v_connect then
    return query select 'exceeded', v_plan, 'connect', v_connect;
    return;
  end if;
  if v_active is not null and v_active <= (
    select count(*) from lifecycle.published_connections p where p.tenant_id = p_tenant and p.state in ('live', 'drifted')
  ) then
    return query select 'exceeded', v_plan, 'active_domain', v_active;
    return;
  end if;

  insert into billing.reservations (connection_id, tenant_id, period, reserved_at)
  values (p_connection, p_tenant, v_period, p_now) on conflict do nothing;
  if found and v_connect is not null then
    update billing.connect_counters c set used = c.used + 1 where c.tenant_id = p_tenant and c.period = v_period;
  end if;
  return query select 'reserved', v_plan, null::text, null::bigint;
end $$;

-- Gives reservations back whose create did not happen. A committed one stays: it was answered with 201. `p_tenant` null: anybody's.
create function billing.release(p_connections uuid[], p_tenant uuid) returns bigint
language plpgsql as $$
declare
  v_released bigint;
begin
  -- Counters first and in one order, as reserve() does: two releases, or a release and a reserve, can't lock crosswise.
  perform 1 from billing.connect_counters c
  where (c.tenant_id, c.period) in (
    select r.tenant_id, r.period from billing.reservations r where r.connection_id = any(p_connections) and not r.committed and (p_tenant is null or r.tenant_id = p_tenant)
  ) order by c.tenant_id, c.period for update;
  with gone as (
    delete from billing.reservations r where r.connection_id = any(p_connections) and not r.committed and (p_tenant is null or r.tenant_id = p_tenant) returning r.tenant_id, r.period
  ), less as (
    update billing.connect_counters c set used = c.used - g.n
    from (select tenant_id, period, count(*) as n from gone group by 1, 2) g
    where c.tenant_id = g.tenant_id and c.period = g.period
  )
  select count(*) into v_released from gone;
  return v_released;
end $$;

-- Marks reservations whose create happened. A create that outlived its reservation is counted all the same, limit or not:
-- its caller has the 201.
create function billing.commit_reservation(p_connection uuid, p_tenant uuid, p_created timestamptz) returns void
language plpgsql as $$
declare
  v_period date := date_trunc('month', p_created at time zone 'UTC')::date;
begin
  update billing.reservations set committed = true where connection_id = p_connection and not committed;
  if not found then
    perform 1 from billing.connect_counters c where c.tenant_id = p_tenant and c.period = v_period for update;
    insert into billing.reservations (connection_id, tenant_id, period, committed, reserved_at)
    values (p_connection, p_tenant, v_period, true, p_created) on conflict do nothing;
    if found then
      update billing.connect_counters c set used = c.used + 1 where c.tenant_id = p_tenant and c.period = v_period;
    end if;
  end if;
end $$;

revoke execute on all functions in schema billing from public;
grant execute on all functions in schema billing to cd_billing;
grant select, insert, update, delete on all tables in schema billing to cd_billing;
