/** A system's OpenBLAS, through koffi: found, loaded, and its two products as functions over addresses of this process. */
import type koffi from 'koffi'
import { UnsupportedError } from '../errors.ts'

/**
 * `cblas_sgemm` or `cblas_dgemm` of row-major matrices: C = A·B, or C += A·B with beta 1. `ta`, `tb` say that an operand is stored
 * transposed, `lda` … are elements from row to row of what is stored.
 */
export type Gemm = (
  m: number,
  n: number,
  k: number,
  a: number,
  ta: boolean,
  lda: number,
  b: number,
  tb: boolean,
  ldb: number,
  beta: number,
  c: number,
  ldc: number,
) => void

/** What is used of the library. */
export interface Blas {
  readonly sgemm: Gemm
  readonly dgemm: Gemm
  readonly setThreads: (threads: number) => void
  /** The address in this process of a memory's first byte. */
  readonly base: (memory: ArrayBufferLike) => number
}

const INSTALL =
  "install it (Debian, Ubuntu: apt install libopenblas0; Fedora: dnf install openblas; macOS: brew install openblas; Windows: a release from openblas.net) or name its file: useBlas({ library: '/path/to/libopenblas.so' })"

/** Names under which systems know the library. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  linux: ['libopenblas.so.0', 'libopenblas.so', 'libopenblasp.so.0'],
  darwin: ['/opt/homebrew/opt/openblas/lib/libopenblas.dylib', '/usr/local/opt/openblas/lib/libopenblas.dylib', 'libopenblas.dylib'],
  win32: ['libopenblas.dll', 'openblas.dll'],
}
/** Prefix and suffix of the functions: plain, with 64-bit integers, and as in the wheels of Python's packages. */
const FORMS: readonly (readonly [string, string, integer: string])[] = [
  ['', '', 'int'],
  ['', '64_', 'int64_t'],
  ['scipy_', '', 'int'],
  ['scipy_', '64_', 'int64_t'],
]

interface Builtins {
  'node:module': { createRequire(from: string): (name: string) => unknown }
  'node:fs': { readFileSync(path: string, encoding: 'utf8'): string }
}
interface Process {
  readonly platform: string
  readonly arch: string
  readonly env: Record<string, string | undefined>
  getBuiltinModule?: <K extends keyof Builtins>(name: K) => Builtins[K] | undefined
}

function loadKoffi(): typeof koffi {
  const { process } = globalThis as { process?: Process }
  const module = process?.getBuiltinModule?.('node:module')
  if (module === undefined)
    throw new UnsupportedError('useBlas: native libraries need Node (20.16 or newer); pages have the WebAssembly backend')
  try {
    return module.createRequire(import.meta.url)('koffi') as typeof koffi
  } catch (cause) {
    throw new UnsupportedError('useBlas: the package koffi, which calls native libraries, is not there; npm install koffi', { cause })
  }
}

/**
 * The name of OpenBLAS's kernels for a processor with these instructions (flags of Linux), if it can be told. The library goes
 * by the processor's model, and gives models newer than itself the kernels of 2004, four times slower.
 */
export function kernelsFor(flags: string): string | undefined {
  const has = (...names: string[]): boolean => names.every((name) => new RegExp(`\\b${name}\\b`).test(flags))
  if (has('avx512f', 'avx512bw', 'avx512dq', 'avx512vl')) return 'SkylakeX'
  return has('avx2', 'fma') ? 'Haswell' : undefined
}

/** Runs `load` with the kernels named to the library, unless the user has named some. */
function withKernels<R>({ platform, arch, env, getBuiltinModule }: Process, load: () => R): R {
  const name = 'OPENBLAS_CORETYPE'
  if (platform !== 'linux' || arch !== 'x64' || env[name] !== undefined) return load()
  let kernels: string | undefined
  try {
    kernels = kernelsFor(getBuiltinModule?.('node:fs')?.readFileSync('/proc/cpuinfo', 'utf8') ?? '')
  } catch {
    // Then the library goes by the model.
  }
  if (kernels === undefined) return load()
  env[name] = kernels
  try {
    return load()
  } finally {
    delete env[name]
  }
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Loads the library of this name or path, or the system's. Errors: UnsupportedError that says what to install. */
export function loadBlas(path: string | undefined): Blas {
  const ffi = loadKoffi()
  const { process } = globalThis as unknown as { process: Process }
  const { platform } = process
  const names = path === undefined ? (NAMES[platform] ?? ['libopenblas.so']) : [path]
  const problems: string[] = []
  for (const name of names) {
    try {
      return bind(
        ffi,
        withKernels(process, () => ffi.load(name)),
        name,
      )
    } catch (error) {
      problems.push(message(error))
    }
  }
  throw new UnsupportedError(`useBlas: no OpenBLAS under ${names.join(', ')}; ${INSTALL}\n${problems.join('\n')}`)
}

function bind(ffi: typeof koffi, library: ReturnType<typeof koffi.load>, name: string): Blas {
  for (const [prefix, suffix, integer] of FORMS) {
    const gemm = (letter: string, real: string): Gemm => {
      const fn = library.func(
        `void ${prefix}cblas_${letter}gemm${suffix}(int order, int ta, int tb, ${integer} m, ${integer} n, ${integer} k, ${real} alpha, ` +
          `uintptr_t a, ${integer} lda, uintptr_t b, ${integer} ldb, ${real} beta, uintptr_t c, ${integer} ldc)`,
      )
      // 101: row-major; 111, 112: as stored, transposed.
      return (m, n, k, a, ta, lda, b, tb, ldb, beta, c, ldc) =>
        void fn(101, ta ? 112 : 111, tb ? 112 : 111, m, n, k, 1, a, lda, b, ldb, beta, c, ldc)
    }
    try {
      const sgemm = gemm('s', 'float')
      const dgemm = gemm('d', 'double')
      const setThreads = library.func(`void ${prefix}openblas_set_num_threads${suffix}(int threads)`)
      return { sgemm, dgemm, setThreads: (n) => void setThreads(n), base: (memory) => Number(ffi.address(new Uint8Array(memory))) }
    } catch {
      // Perhaps under another name.
    }
  }
  throw new UnsupportedError(`useBlas: ${name} has no cblas_sgemm, cblas_dgemm and openblas_set_num_threads; ${INSTALL}`)
}
