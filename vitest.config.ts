import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

const exclude = ["**/node_modules/**", ".dev/**"]
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["{libs,services,sandbox,deploy}/**/*.test.ts"],
          exclude: [...exclude, "**/*.integration.test.ts"],
          testTimeout: 60_000
        }
      },
      {
        test: {
          name: "integration",
          include: ["{libs,services,sandbox,deploy}/**/*.integration.test.ts"],
          exclude,
          // Above the sum of a test's waits, which end as soon as what they wait for is so: only a red run takes so long.
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // Each file starts servers of its own and waits for them half of the time.
          maxWorkers: Math.max(2, Math.floor(availableParallelism() / 2))
        }
      },
      {
        test: {
          name: "e2e",
          include: ["e2e/**/*.test.ts"],
          exclude,
          globalSetup: ["e2e/startSandbox.ts"],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          fileParallelism: false
        }
      }
    ]
  }
})
