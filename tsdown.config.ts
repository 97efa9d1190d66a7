/** The build: one ESM file per public subpath, shared chunks, declarations beside them. */
import { existsSync } from 'node:fs'
import { defineConfig } from 'tsdown'

const subpaths = ['autograd', 'blas', 'data', 'func', 'io', 'linalg', 'nn', 'optim', 'profiler', 'testing', 'viz']

const entry: Record<string, string> = { index: 'src/index.ts' }
for (const name of subpaths) {
  const file = `src/${name}/index.ts`
  if (existsSync(file)) entry[name] = file
}

export default defineConfig({
  entry,
  format: 'esm',
  platform: 'neutral',
  target: 'es2023',
  dts: true,
  sourcemap: true,
  clean: true,
  fixedExtension: false,
})
