/** Writes `openapi-v1.yaml` from the definition: `node services/gateway/src/api/writeOpenapi.ts`. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { stringify } from "yaml"
import { makeOpenapi } from "./openapi.ts"

export const openapiFile = join(import.meta.dirname, "../../../../openapi-v1.yaml")

const heading = `# The REST API v1. Generated from services/gateway/src/api by \`node services/gateway/src/api/writeOpenapi.ts\`; a test holds both together.
# Additive-only: within v1 nothing here is removed or narrowed.
`

export const openapiText = (): string => heading + stringify(makeOpenapi(), { aliasDuplicateObjects: false, lineWidth: 140 })

if (import.meta.main) writeFileSync(openapiFile, openapiText())
