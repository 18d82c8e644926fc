/**
 * Origins with a path: `https://app.vendor.com/tenants/x` serves a hostname from below `/tenants/x`.
 *
 * Owns: joining, and refusing requests that would leave the prefix. Leaves to libs/domain: which prefixes can be; to `target.ts`: everything about
 * targets that holds without a prefix. Built against: a visitor of one tenant's name who reads another tenant's path.
 */

const suspicious = /\.\.|%2e|%25|%5c|%2f/i

/** As the most forgiving server would read it: percent forms undone twice, backslashes as slashes, parameters cut off. */
const forgiving = (path: string): string => {
  const undo = (text: string) => text.replace(/%(25|2e|2f|5c)/gi, (form) => String.fromCharCode(Number.parseInt(form.slice(1), 16)))
  return undo(undo(undo(path))).replaceAll("\\", "/")
}

/** Whether somebody could read `..` in it. Browsers never send that: they resolve it before. */
export const leavesPrefix = (target: string): boolean => {
  const mark = target.indexOf("?")
  const path = mark < 0 ? target : target.slice(0, mark)
  if (!suspicious.test(path)) return false
  return forgiving(path)
    .split("/")
    .some((segment) => segment.split(";")[0] === "..")
}

export const joinPath = (prefix: string, target: string): string => (target === "*" ? `${prefix}/` : prefix + target)
