-- How the proofs of names went is forgotten with the claim; claims that ended before that was so are made up for.
-- Owned by services/certifier.
delete from certifier.challenge_memory m using certifier.claims c where c.claim_id = m.claim_id and c.state = 'released';
