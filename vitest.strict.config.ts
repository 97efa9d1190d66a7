/** The quick suite's tests of results, `npm run test:strict`, on strict SIMD: the same bits on every machine. */
import { configDefaults, defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['parity', 'conformance', 'ops', 'autograd', 'func', 'nn', 'optim'].map((folder) => `test/${folder}/**/*.test.ts`),
    exclude: configDefaults.exclude,
    setupFiles: ['test/strict.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
  },
})
