/**
 * Where a delegated DNS credential lives, as the gateway seals it and the connector opens it.
 *
 * The sealed text is the JSON of what the API's caller gave as `token`: a string or an object, in the provider's form.
 */
import type { Place } from "./Vault.ts"

export const credentialPlace = (credential: { readonly credential_id: string; readonly tenant_id: string }): Place => ({
  tenant: credential.tenant_id,
  table: "gateway.credentials",
  column: "sealed",
  row: credential.credential_id
})
