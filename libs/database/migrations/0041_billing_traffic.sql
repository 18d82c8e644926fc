-- Billing: what the edges served, by connection and hour, and each tenant's sum of a month.
--
-- Owned by services/billing (src/Traffic.ts). Built against: a batch that an edge sends twice because it did not hear the answer, an edge that
-- invents connections (the tenant is the lifecycle's, never the edge's word), and a table that grows for ever.

-- How far the batches of one boot of an edge are counted. They come in order, so one number says of each whether it was counted.
create table billing.traffic_edges (
  edge_id    text        not null,
  boot_id    text        not null,
  sequence   bigint      not null,
  updated_at timestamptz not null default now(),
  primary key (edge_id, boot_id)
);
create index traffic_edges_age on billing.traffic_edges (updated_at);

create table billing.traffic_hours (
  connection_id uuid        not null,
  hour          timestamptz not null check (hour = date_trunc('hour', hour, 'UTC')),
  tenant_id     uuid        not null,
  bytes_in      bigint      not null,
  bytes_out     bigint      not null,
  statuses      bigint[]    not null,
  latency       bigint[]    not null,
  primary key (connection_id, hour)
);
create index traffic_hours_age on billing.traffic_hours (hour);

create table billing.traffic_months (
  tenant_id uuid   not null,
  period    date   not null,
  requests  bigint not null,
  bytes_in  bigint not null,
  bytes_out bigint not null,
  primary key (tenant_id, period)
);

-- Element by element; the longer one's rest stays as it is.
create function billing.add_counts(a bigint[], b bigint[]) returns bigint[]
language sql immutable as $$
  select coalesce(array_agg(coalesce(x, 0) + coalesce(y, 0) order by n), '{}') from unnest(a, b) with ordinality as t(x, y, n)
$$;
create aggregate billing.sum_counts(bigint[]) (sfunc = billing.add_counts, stype = bigint[], initcond = '{}');

-- Counts one batch, or nothing if it was counted. True when it was counted now. `p_rows`: [{connection_id, bytes_in, bytes_out, statuses, latency}].
-- Rows of connections that do not exist count nowhere. Inserts go in key order: two batches that overlap can't lock crosswise.
create function billing.count_traffic(p_edge text, p_boot text, p_sequence bigint, p_hour timestamptz, p_rows jsonb) returns boolean
language plpgsql as $$
begin
  insert into billing.traffic_edges as e (edge_id, boot_id, sequence) values (p_edge, p_boot, p_sequence)
  on conflict (edge_id, boot_id) do update set sequence = excluded.sequence, updated_at = now() where e.sequence < excluded.sequence;
  if not found then
    return false;
  end if;
  with fresh as (
    select p.tenant_id, r.connection_id, sum(r.bytes_in)::bigint as bytes_in, sum(r.bytes_out)::bigint as bytes_out,
           billing.sum_counts(r.statuses) as statuses, billing.sum_counts(r.latency) as latency
    from jsonb_to_recordset(p_rows) as r(connection_id uuid, bytes_in bigint, bytes_out bigint, statuses bigint[], latency bigint[])
    join lifecycle.published_connections p on p.id = r.connection_id
    group by 1, 2
  ), hours as (
    insert into billing.traffic_hours as t (connection_id, hour, tenant_id, bytes_in, bytes_out, statuses, latency)
    select connection_id, p_hour, tenant_id, bytes_in, bytes_out, statuses, latency from fresh order by connection_id
    on conflict (connection_id, hour) do update set
      bytes_in = t.bytes_in + excluded.bytes_in, bytes_out = t.bytes_out + excluded.bytes_out,
      statuses = billing.add_counts(t.statuses, excluded.statuses), latency = billing.add_counts(t.latency, excluded.latency)
  )
  insert into billing.traffic_months as m (tenant_id, period, requests, bytes_in, bytes_out)
  select tenant_id, date_trunc('month', p_hour at time zone 'UTC')::date, sum((select sum(n) from unnest(statuses) n)), sum(bytes_in), sum(bytes_out)
  from fresh group by 1, 2 order by 1, 2
  on conflict (tenant_id, period) do update set
    requests = m.requests + excluded.requests, bytes_in = m.bytes_in + excluded.bytes_in, bytes_out = m.bytes_out + excluded.bytes_out;
  return true;
end $$;

revoke execute on all functions in schema billing from public;
grant execute on all functions in schema billing to cd_billing;
grant select, insert, update, delete on billing.traffic_edges, billing.traffic_hours, billing.traffic_months to cd_billing;
