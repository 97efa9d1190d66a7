/** The quick suite's tests of results in modes that few machines or programs have by themselves, `npm run test:modes`. */
import { configDefaults, defineConfig } from 'vitest/config'
import { loadBlas } from './src/blas/library.ts'

function modes(): string[] {
  try {
    loadBlas(process.env['OPENBLAS'])
    return ['strict', 'threads', 'swept', 'blas']
  } catch {
    console.warn('No OpenBLAS here (or at $OPENBLAS): the mode blas is left out.')
    return ['strict', 'threads', 'swept']
  }
}

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    projects: modes().map((name) => ({
      test: {
        name,
        include: ['parity', 'conformance', 'ops', 'autograd', 'func', 'nn', 'optim'].map((folder) => `test/${folder}/**/*.test.ts`),
        exclude: configDefaults.exclude,
        setupFiles: [`test/modes/${name}.ts`],
        testTimeout: 60_000,
      },
    })),
  },
})
