-- DNS-01 through an application's delegated credential: the certifier hands the sealed credential to the connector, which alone opens it.
grant select on gateway.published_credentials to cd_certifier;
