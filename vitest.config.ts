/** The quick suite, `npm test`: everything in test/ but the heavy tests. */
import { configDefaults, defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, 'test/heavy/**', 'test/browser/**'],
    // A process of its own per file: tests of memory pressure and of V8 flags must not meet each other.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
  },
})
