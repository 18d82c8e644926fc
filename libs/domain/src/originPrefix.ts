/**
 * The path of an origin: `https://app.vendor.com/tenants/x` serves a hostname from below `/tenants/x`.
 *
 * Owns: which paths can be one: plain segments that every server reads alike. Leaves to the gateway: saying so; to the router: joining.
 */

/** RFC 3986 pchar without `;` (parameters, which some servers cut off before they look for `..`) and without percent forms. */
const plain = /^(?:\/[A-Za-z0-9\-._~!$&'()*+,=:@]+)+$/
const dots = /^\.{1,2}$/
const maxLength = 1024

/** A URL's path as prefix: without slash at its end, "" for none; undefined when it can't be one. */
export const readPrefix = (path: string): string | undefined => {
  const bare = path.endsWith("/") ? path.slice(0, -1) : path
  if (bare === "") return ""
  return bare.length <= maxLength && plain.test(bare) && !bare.split("/").some((segment) => dots.test(segment)) ? bare : undefined
}
