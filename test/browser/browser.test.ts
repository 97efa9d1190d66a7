/** The built package in pages of a real browser: cross-origin isolated or not, without WebAssembly, at the end of memory. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { setBackend } from '../../src/index.ts'
import { findChromium, ISOLATED, STRICT, visit } from './pages.ts'
import { type Numbers, numbers } from './program.ts'

const root = new URL('../../', import.meta.url).pathname
const here = new URL('./', import.meta.url).pathname
const chromium = findChromium()
if (chromium === undefined) console.warn('No Chromium on the PATH or at $CHROMIUM: the tests in a browser are skipped.')

let dist = ''

/** A page's script as a bundler makes it from the built package. */
async function bundled(source: string): Promise<string> {
  const made = await build({
    stdin: { contents: source, resolveDir: here, loader: 'ts' },
    bundle: true,
    minify: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2023',
    external: ['node:*'],
    nodePaths: [join(root, 'node_modules')],
    write: false,
    logLevel: 'silent',
    plugins: [
      {
        name: 'built package',
        setup: (b) => {
          b.onResolve({ filter: /^gradtape$|src\/index\.ts$/ }, () => ({ path: join(dist, 'index.js'), sideEffects: false }))
        },
      },
    ],
  })
  return made.outputFiles[0]!.text
}

/** The numbers of `numbers()` in the modes a page has. */
interface Found {
  isolated: boolean
  shared: boolean
  backend: string
  default: Numbers
  strict: Numbers
}
const NUMBERS = `
  import { getBackend, setBackend } from 'gradtape'
  import { numbers } from './program.ts'
  const first = numbers()
  const backend = getBackend()
  setBackend('wasm-strict')
  report({ isolated: crossOriginIsolated, shared: typeof SharedArrayBuffer === 'function', backend, default: first, strict: numbers() })`

/** Bits are equal in `exact`; `close` leaves room for what two versions of Math may differ by. */
function expectEqual(got: Numbers, expected: Numbers): void {
  for (const [name, values] of Object.entries(expected.exact)) expect(got.exact[name], name).toEqual(values)
  for (const [name, values] of Object.entries(expected.close)) {
    const tolerance = name.endsWith('32') ? 1e-5 : 1e-12
    const found = got.close[name]!
    expect(found.length).toBe(values.length)
    values.forEach((v, i) => expect(Math.abs(found[i]! - v), `${name}[${i}]`).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(v))))
  }
}

describe.skipIf(chromium === undefined)('in Chromium', { timeout: 120_000 }, () => {
  beforeAll(() => {
    dist = mkdtempSync(join(tmpdir(), 'gradtape-dist-'))
    execFileSync('npx', ['tsdown', '--out-dir', dist, '--no-dts'], { cwd: root, stdio: 'pipe' })
  }, 120_000)
  afterAll(() => rmSync(dist, { recursive: true, force: true }))

  for (const [name, headers, isolated] of [
    ['a plain page', {}, false],
    ['a cross-origin isolated page', ISOLATED, true],
  ] as const) {
    test(`${name}: the numbers are Node's`, async () => {
      const { value, printed } = await visit<Found>(chromium!, await bundled(NUMBERS), headers)
      expect(printed).toEqual([])
      expect(value.isolated).toBe(isolated)
      expect(value.shared).toBe(isolated)
      expect(value.backend).toBe('wasm')
      setBackend('wasm')
      expectEqual(value.default, numbers())
      setBackend('wasm-strict')
      expectEqual(value.strict, numbers())
    })

    test(`${name}: the README's examples print what they say`, async () => {
      const examples = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)].map((m) => m[1]!)
      const squeeze = (text: string): string => text.replaceAll(/[\s[\](),]/g, '')
      expect(examples.length).toBeGreaterThan(2)
      for (const source of examples) {
        const expected = source
          .split('\n')
          .filter((line) => line.includes('console.log('))
          .map((line) => squeeze(line.split(' // ')[1] ?? ''))
        const { printed } = await visit(chromium!, await bundled(`${source}\nreport(null)`), headers)
        expect([...new Set(printed.map(([, text]) => squeeze(text)))]).toEqual([...new Set(expected)])
      }
    })
  }

  test('threads: a worker takes parts of large work, and the bits stay the same', async () => {
    const script = `
      import { manualSeed, randn, setNumThreads } from 'gradtape'
      import { HELPED, READY } from '../../src/threads/worker.ts'
      let words
      const Plain = Worker
      globalThis.Worker = class extends Plain {
        postMessage(shared) {
          words = shared.words
          super.postMessage(shared)
        }
      }
      manualSeed(1)
      const x = randn([400, 400])
      const y = x.matmul(x).toTypedArray()
      setNumThreads(2)
      while (!words[READY]) await new Promise((done) => setTimeout(done, 5))
      let equal = true
      for (let i = 0; i < 200 && (i === 0 || !words[HELPED]); i++) equal &&= x.matmul(x).toTypedArray().every((v, j) => v === y[j])
      report({ equal, helped: words[HELPED] > 0 })`
    const { value } = await visit<{ equal: boolean; helped: boolean }>(chromium!, await bundled(script), ISOLATED)
    expect(value).toEqual({ equal: true, helped: true })
  })

  test('threads: refused where memory is not shared', async () => {
    const script = `
      import { getNumThreads, setNumThreads, UnsupportedError } from 'gradtape'
      let error
      try { setNumThreads(2) } catch (e) { error = e }
      report({ typed: error instanceof UnsupportedError, message: error.message, threads: getNumThreads() })`
    const { value } = await visit<{ typed: boolean; message: string; threads: number }>(chromium!, await bundled(script))
    expect(value.typed).toBe(true)
    expect(value.message).toContain('cross-origin isolated')
    expect(value.threads).toBe(1)
  })

  test('a page that forbids WebAssembly: the reference backend, after one warning', async () => {
    const script = `
      import { getBackend, tensor } from 'gradtape'
      import { numbers } from './program.ts'
      const x = tensor([1, 2, 3], { requiresGrad: true })
      const shared = x.detach().numpy()
      shared.set(0, 5)
      report({ backend: getBackend(), numbers: numbers(), first: x.tolist()[0] })`
    const { value, printed } = await visit<{ backend: string; numbers: Numbers; first: number }>(chromium!, await bundled(script), STRICT)
    expect(value.backend).toBe('reference')
    expect(printed.map(([kind]) => kind)).toEqual(['warn'])
    expect(printed[0]![1]).toContain('WebAssembly')
    expect(value.first).toBe(5)
    setBackend('reference')
    const { exact, close } = numbers()
    // The reference computes float32 functions through Math.
    expectEqual(value.numbers, { exact: {}, close })
    for (const [name, values] of Object.entries(exact)) {
      const found = value.numbers.exact[name]!
      expect(found.length).toBe(values.length)
      values.forEach((v, i) => expect(Math.abs(found[i]! - v), `${name}[${i}]`).toBeLessThanOrEqual(1e-5 * Math.max(1, Math.abs(v))))
    }
  })

  test('a synchronous loop at the end of memory: one clear error, nothing corrupted; in a scope it goes on', async () => {
    const script = `
      import { empty, MemoryError, scope, tensor } from 'gradtape'
      const x = tensor([1, 2, 3])
      let inScope = 0
      for (; inScope < 200; inScope++) scope(() => { empty([1 << 24]) })
      let error = null
      let count = 0
      try {
        for (; count < 200; count++) empty([1 << 24])
      } catch (e) {
        error = e
      }
      report({ inScope, count, typed: error instanceof MemoryError, message: String(error?.message), sum: x.tolist() })`
    const { value } = await visit<{ inScope: number; count: number; typed: boolean; message: string; sum: number[] }>(
      chromium!,
      await bundled(script),
    )
    expect(value.inScope).toBe(200)
    expect(value.count).toBeLessThan(200)
    expect(value.typed).toBe(true)
    expect(value.message).toMatch(/out of memory/)
    expect(value.message).toContain('scope(() => …)')
    expect(value.sum).toEqual([1, 2, 3])
  })
})
