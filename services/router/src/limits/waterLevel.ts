/**
 * Max-min fair shares ("water-filling"): who wants less than an equal share gets all of it, the others share what is left.
 *
 * Owns: the level up to which each is served. Built against: one who wants much taking from those who want little.
 */

/** The level L at which the sum of min(want, L) is `capacity`; infinite when there is enough for all. Wants are not negative. */
export const waterLevel = (wants: ReadonlyArray<number>, capacity: number): number => {
  const sorted = [...wants].sort((a, b) => a - b)
  let left = capacity
  for (let at = 0; at < sorted.length; at++) {
    const level = left / (sorted.length - at)
    if (sorted[at]! > level) return Math.max(0, level)
    left -= sorted[at]!
  }
  return Number.POSITIVE_INFINITY
}

export interface Demand {
  readonly tenant: string
  readonly want: number
}

/**
 * The level of each demand: shares are fair among tenants first, and among the hostnames of a tenant then, so that a tenant gains nothing by
 * spreading a flood over many names, and loses no quiet name to its own loud one.
 */
export const fairLevels = (demands: ReadonlyArray<Demand>, capacity: number): ReadonlyArray<number> => {
  const tenants = new Map<string, Array<number>>()
  for (const { tenant, want } of demands) {
    const wants = tenants.get(tenant)
    if (wants === undefined) tenants.set(tenant, [want])
    else wants.push(want)
  }
  const sums = new Map([...tenants].map(([tenant, wants]) => [tenant, wants.reduce((sum, want) => sum + want, 0)]))
  const tenantLevel = waterLevel([...sums.values()], capacity)
  const levels = new Map(
    [...tenants].map(([tenant, wants]) => [
      tenant,
      sums.get(tenant)! <= tenantLevel ? Number.POSITIVE_INFINITY : waterLevel(wants, tenantLevel)
    ])
  )
  return demands.map(({ tenant }) => levels.get(tenant)!)
}
