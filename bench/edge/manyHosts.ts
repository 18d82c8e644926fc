/** Names of `registry.ts`: `makeEntries.ts` makes what they hold, `registryProcess.ts` asks for them. */
export const hostOf = (at: number) => `shop-${at}.customer${at % 1000}.example.com`
export const realName = "real.example.org"
