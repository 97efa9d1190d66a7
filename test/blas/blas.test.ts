/** Products by a BLAS: how operands are handed over, held against the reference; the system's OpenBLAS where there is one. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { createDefaultBackend } from '../../src/backend/default.ts'
import { blasBackend } from '../../src/blas/gemm.ts'
import { useBlas } from '../../src/blas/index.ts'
import { type Blas, type Gemm, kernelsFor } from '../../src/blas/library.ts'
import { useBackend } from '../../src/execute.ts'
import { getBackend, manualSeed, nn, randn, setBackend, setNumThreads, type Tensor, zeros } from '../../src/index.ts'
import { linearMemory } from '../../src/memory/linear.ts'

const F = nn.functional
const root = new URL('../../', import.meta.url).pathname

/** The products that every path must give: transposed operands, parts of larger arrays, batches, sums into C. */
const CASES: Record<string, (dtype: 'float32' | 'float64') => Tensor> = {
  plain: (dtype) => randn([31, 40], { dtype }).matmul(randn([40, 27], { dtype })),
  'left transposed': (dtype) =>
    randn([40, 31], { dtype })
      .t()
      .matmul(randn([40, 27], { dtype })),
  'right transposed': (dtype) => randn([31, 40], { dtype }).matmul(randn([27, 40], { dtype }).t()),
  'both transposed': (dtype) =>
    randn([40, 31], { dtype })
      .t()
      .matmul(randn([27, 40], { dtype }).t()),
  'inner sizes of 1': (dtype) => randn([80, 1], { dtype }).matmul(randn([1, 90], { dtype })),
  'parts of rows': (dtype) =>
    randn([31, 50], { dtype })
      .narrow(1, 5, 40)
      .matmul(randn([40, 60], { dtype }).narrow(1, 9, 27)),
  'every second column': (dtype) =>
    randn([31, 80], { dtype })
      .slice(1, 0, 80, 2)
      .matmul(randn([40, 27], { dtype })),
  'repeated rows': (dtype) =>
    randn([1, 40], { dtype })
      .expand([31, 40])
      .matmul(randn([40, 27], { dtype })),
  'a batch': (dtype) => randn([3, 31, 40], { dtype }).matmul(randn([3, 40, 27], { dtype })),
  'a batch of transposed': (dtype) =>
    randn([3, 40, 31], { dtype })
      .transpose(1, 2)
      .matmul(randn([3, 27, 40], { dtype }).transpose(1, 2)),
  'a batch against one': (dtype) => randn([3, 31, 40], { dtype }).matmul(randn([40, 27], { dtype })),
  'one against a batch': (dtype) => randn([31, 40], { dtype }).matmul(randn([3, 40, 27], { dtype })),
  'a vector': (dtype) => randn([310, 40], { dtype }).matmul(randn([40], { dtype })),
  'a bias': (dtype) => F.linear(randn([31, 40], { dtype }), randn([27, 40], { dtype }), randn([27], { dtype })),
  convolution: (dtype) => F.conv2d(randn([2, 4, 9, 9], { dtype }), randn([6, 4, 3, 3], { dtype }), null, { padding: 1 }),
  'gradients of a convolution': (dtype) => {
    const w = randn([6, 4, 3, 3], { dtype, requiresGrad: true })
    F.conv2d(randn([2, 4, 9, 9], { dtype }), w)
      .square()
      .sum()
      .backward()
    return w.grad!
  },
  integers: () =>
    randn([40, 40])
      .mul(9)
      .to('int32')
      .matmul(randn([40, 40]).mul(9).to('int32')),
  empty: (dtype) => zeros([4, 0], { dtype }).matmul(zeros([0, 5], { dtype })),
}

function expectReference(dtype: 'float32' | 'float64', f: (dtype: 'float32' | 'float64') => Tensor): void {
  const before = getBackend()
  expect(before).toBe('blas')
  manualSeed(5)
  const got = f(dtype)
  // The reference must not draw other numbers: the generator is the same for all.
  manualSeed(5)
  setBackend('reference')
  const expected = f(dtype)
  expect(got.shape).toEqual(expected.shape)
  const most = Math.max(1, ...expected.toTypedArray().map(Math.abs))
  const tolerance = (dtype === 'float32' ? 1e-5 : 1e-12) * most
  const values = expected.toTypedArray()
  got.toTypedArray().forEach((v, i) => expect(Math.abs(v - values[i]!)).toBeLessThanOrEqual(tolerance))
}

afterEach(() => {
  setBackend('wasm')
  setNumThreads(1)
})

describe('how operands are handed over', () => {
  const calls: number[] = []
  const threads: number[] = []
  /** The definition, and the checks that BLAS itself makes. */
  const gemm = (bytes: 4 | 8): Gemm => {
    return (m, n, k, a, ta, lda, b, tb, ldb, beta, c, ldc) => {
      expect(lda).toBeGreaterThanOrEqual(ta ? m : k)
      expect(ldb).toBeGreaterThanOrEqual(tb ? k : n)
      expect(ldc).toBeGreaterThanOrEqual(n)
      calls.push(m * n * k)
      const memory = linearMemory()
      const values = bytes === 4 ? memory.f32 : memory.f64
      const [pa, pb, pc] = [a, b, c].map((address) => (address - 1e6) / bytes) as [number, number, number]
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          let sum = 0
          for (let l = 0; l < k; l++) sum += values[pa + (ta ? l * lda + i : i * lda + l)]! * values[pb + (tb ? j * ldb + l : l * ldb + j)]!
          values[pc + i * ldc + j] = beta === 0 ? sum : sum + values[pc + i * ldc + j]!
        }
      }
    }
  }
  const fake: Blas = { sgemm: gemm(4), dgemm: gemm(8), setThreads: (n) => threads.push(n), base: () => 1e6 }
  const use = (): void => useBackend(blasBackend(createDefaultBackend(), linearMemory(), fake, () => 3))

  /** Cases whose layouts no BLAS takes, or that gain nothing: WebAssembly keeps them. */
  const KEPT = ['every second column', 'repeated rows', 'a vector', 'integers', 'empty']
  for (const [name, f] of Object.entries(CASES)) {
    for (const dtype of ['float32', 'float64'] as const) {
      test(`${name}, ${dtype}`, () => {
        use()
        calls.length = 0
        expectReference(dtype, f)
        expect(calls.length > 0).toBe(!KEPT.includes(name))
      })
    }
  }
  test('small products are kept, large ones go with the number of threads, once', () => {
    use()
    calls.length = threads.length = 0
    const x = randn([8, 8])
    x.matmul(x)
    expect(calls).toEqual([])
    const y = randn([64, 64])
    y.matmul(y)
    y.matmul(y)
    expect(calls).toEqual([64 ** 3, 64 ** 3])
    expect(threads).toEqual([3])
  })
})

describe('errors say what to do', () => {
  test('before useBlas', () => {
    expect(early).toBe("setBackend: 'blas' is there after useBlas() of 'gradtape/blas' was called")
  })
  test('no such library', () => {
    expect(() => useBlas({ library: '/nowhere/libopenblas.so' })).toThrow(
      /no OpenBLAS under \/nowhere\/libopenblas\.so; install it \(Debian, Ubuntu: apt install/,
    )
    expect(getBackend()).toBe('wasm')
  })
  test('a library without products', () => {
    expect(() => useBlas({ library: 'libm.so.6' })).toThrow(/useBlas: .*(libm\.so\.6 has no cblas_sgemm|no OpenBLAS)/)
  })
  test('no koffi', () => {
    const program = `
      process.getBuiltinModule = undefined
      const { useBlas } = await import('${root}src/blas/index.ts')
      try { useBlas() } catch (e) { console.log(e.name, e.message) }`
    const run = (code: string): string =>
      spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], { cwd: root, encoding: 'utf8' }).stdout
    expect(run(program)).toContain('UnsupportedError useBlas: native libraries need Node')
    const without = program.replace(
      'undefined',
      "((get) => (name) => name === 'node:module' ? { createRequire: () => (id) => { throw new Error('Cannot find module ' + id) } } : get(name))(process.getBuiltinModule)",
    )
    expect(run(without)).toContain(
      'UnsupportedError useBlas: the package koffi, which calls native libraries, is not there; npm install koffi',
    )
  })
})

test('kernels are chosen by what the processor can do', () => {
  expect(kernelsFor('flags : fma avx avx2 avx512f avx512dq avx512cd avx512bw avx512vl amx_tile')).toBe('SkylakeX')
  expect(kernelsFor('flags : fma avx avx2 avx512f')).toBe('Haswell')
  expect(kernelsFor('flags : fma4 avx2')).toBe(undefined)
  expect(kernelsFor('Features : fp asimd')).toBe(undefined)
})

const library = process.env['OPENBLAS']
let early = ''
try {
  setBackend('blas')
} catch (error) {
  early = (error as Error).message
}
let found = true
try {
  useBlas(library === undefined ? {} : { library })
  setBackend('wasm')
} catch {
  found = false
  console.warn('No OpenBLAS here (or at $OPENBLAS): the tests with the real library are skipped.')
}

describe.skipIf(!found)('OpenBLAS', () => {
  for (const [name, f] of Object.entries(CASES)) {
    for (const dtype of ['float32', 'float64'] as const) {
      test(`${name}, ${dtype}`, () => {
        expect(setBackend('blas')).toBe('wasm')
        expectReference(dtype, f)
      })
    }
  }
  test.runIf(process.platform === 'linux' && process.arch === 'x64')('its kernels are those the processor is meant for', () => {
    const wanted = process.env['OPENBLAS_CORETYPE'] ?? kernelsFor(readFileSync('/proc/cpuinfo', 'utf8'))
    const program = `const { useBlas } = await import('${root}src/blas/index.ts'); useBlas(${JSON.stringify({ library })}); console.log(process.env.OPENBLAS_CORETYPE)`
    const { stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, OPENBLAS_VERBOSE: '2' },
    })
    // Libraries for one processor alone don't say.
    if (wanted !== undefined && stderr.includes('Core:')) expect(stderr.toLowerCase()).toContain(`core: ${wanted.toLowerCase()}`)
    expect(stdout.trim()).toBe(String(process.env['OPENBLAS_CORETYPE']))
  })
  test('two threads', () => {
    setBackend('blas')
    setNumThreads(2)
    expectReference('float32', () => randn([300, 200]).matmul(randn([200, 100])))
  })
  test('memory that grew', () => {
    setBackend('blas')
    const x = randn([64, 64])
    const before = x.matmul(x).tolist()
    const more = zeros([1 << 26])
    expect(x.matmul(x).tolist()).toEqual(before)
    expect(more.numel()).toBe(1 << 26)
  })
})
