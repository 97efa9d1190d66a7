/** What a page downloads: the bundle of the main entry stays small, and runs without Node's modules. */
import { gzipSync } from 'node:zlib'
import { type BuildResult, build } from 'esbuild'
import { expect, test } from 'vitest'

const root = new URL('../../', import.meta.url).pathname
const KB = 1024

function bundle(source: string): Promise<BuildResult<{ write: false; metafile: true }>> {
  return build({
    stdin: { contents: source, resolveDir: root, loader: 'ts' },
    bundle: true,
    minify: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2023',
    // Reached on demand, behind a check of the runtime.
    external: ['node:*', 'koffi'],
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
}
const gzipped = (result: { outputFiles: { contents: Uint8Array }[] }): number =>
  gzipSync(result.outputFiles[0]!.contents, { level: 9 }).length

// Not reached: 95 KB, nothing of it from other packages; docs/decisions.md says what they are and what was turned down.
// Fails as soon as it is reached.
test.fails('import { tensor }: at most 60 KB, dependencies included, gzip', async () => {
  const result = await bundle("import { tensor } from './src/index.ts'\nconsole.log(tensor)")
  const size = gzipped(result)
  console.info(`bundle of { tensor }: ${(size / KB).toFixed(1)} KB gzip`)
  expect(size).toBeLessThanOrEqual(60 * KB)
})

test('threads and OpenBLAS come only with what asks for them', async () => {
  const { metafile } = await bundle("import { tensor } from './src/index.ts'\nconsole.log(tensor)")
  expect(Object.keys(Object.values(metafile.outputs)[0]!.inputs).filter((path) => /^src\/(threads|blas)\//.test(path))).toEqual([])
})

test('nothing of Node is imported but on demand', async () => {
  const { metafile } = await bundle("export * from './src/index.ts'")
  const outside = Object.values(metafile.outputs).flatMap((o) => o.imports.filter((i) => i.external && i.kind !== 'dynamic-import'))
  expect(outside.map((i) => i.path)).toEqual([])
})

test('a constant alone brings nothing with it', async () => {
  const result = await bundle("import { float64 } from './src/index.ts'\nconsole.log(float64)")
  expect(gzipped(result)).toBeLessThanOrEqual(KB)
})
