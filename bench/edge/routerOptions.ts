/** What node is given with the router where it is deployed: `deploy/compose.yaml` says why. */
export const routerOptions: ReadonlyArray<string> = ["--max-semi-space-size=32"]
