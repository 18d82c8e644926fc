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
          testTimeout: 20_000
        }
      },
      {
        test: {
          name: "integration",
          include: ["{libs,services,sandbox,deploy}/**/*.integration.test.ts"],
          exclude,
          testTimeout: 60_000,
          hookTimeout: 120_000
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
