/**
 * Which endpoint a method and a path mean: exactly one, or none.
 *
 * Owns: matching. Ids are matched as whole segments; a custom method (`:test`) belongs to its segment, so that `/v1/domainsXcheck`, a
 * trailing slash, other letter case or percent-encoding are other paths, which do not exist.
 */

export interface Match<A> {
  readonly route: A
  readonly params: Readonly<Record<string, string>>
}

interface Entry<A> {
  readonly pattern: RegExp
  readonly names: ReadonlyArray<string>
  readonly route: A
}

const special = /[.*+?^${}()|[\]\\]/g

/** A parameter follows a slash (`/:id`); any other colon is part of a custom method (`:id:test`). Ids hold neither colon nor slash. */
const compile = (path: string): { pattern: RegExp; names: ReadonlyArray<string> } => {
  const names: Array<string> = []
  const source = path.replace(special, "\\$&").replace(/\/:(\w+)/g, (_, name: string) => {
    names.push(name)
    return "/([A-Za-z0-9._~-]+)"
  })
  return { pattern: new RegExp(`^${source}$`), names }
}

export class RouteTable<A> {
  readonly #exact = new Map<string, A>()
  readonly #patterns = new Map<string, Array<Entry<A>>>()

  add(method: string, path: string, route: A): this {
    if (!path.includes("/:")) {
      this.#exact.set(`${method} ${path}`, route)
      return this
    }
    const key = `${method} ${path.split("/").length}`
    const entries = this.#patterns.get(key) ?? []
    entries.push({ ...compile(path), route })
    this.#patterns.set(key, entries)
    return this
  }

  find(method: string, path: string): Match<A> | undefined {
    const exact = this.#exact.get(`${method} ${path}`)
    if (exact !== undefined) return { route: exact, params: {} }
    for (const { pattern, names, route } of this.#patterns.get(`${method} ${path.split("/").length}`) ?? []) {
      const found = pattern.exec(path)
      if (found !== null) return { route, params: Object.fromEntries(names.map((name, index) => [name, found[index + 1]!])) }
    }
    return undefined
  }
}
