/** The slow suite, `npm run test:heavy`: minutes, not seconds, one file at a time. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/heavy/**/*.test.ts', 'test/browser/**/*.test.ts'],
    passWithNoTests: true,
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 600_000,
  },
})
