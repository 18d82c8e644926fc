-- The ETag of a kept answer: a repetition carries it like the first answer.
alter table gateway.idempotency add column etag text;
