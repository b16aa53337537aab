import { defineConfig } from 'vitest/config'

const common = { testTimeout: 30_000, hookTimeout: 60_000 }

export default defineConfig({
  test: {
    globalSetup: 'tests/support/postgres.ts',
    // Each file starts its own servers; more at once would only wait for the CPUs.
    maxWorkers: 2,
    reporters: ['default', 'json'],
    outputFile: { json: 'test-results.json' },
    projects: [
      { test: { ...common, name: 'all', include: ['tests/**/*.test.ts'] } },
      {
        test: {
          ...common,
          // What clients can see must be the same when the published driver carries the requests.
          name: 'driver',
          include: ['tests/http/{auth,consistency,failures,instants,tasks}.test.ts'],
          env: { DB_CLIENT: 'postgres' },
        },
      },
    ],
  },
})
