/** `gradtape/blas`: matrix products by a system's OpenBLAS instead of WebAssembly. */
import type { BackendName } from '../backend/backend.ts'
import { provideBackend, setBackend } from '../backend/choose.ts'
import { createDefaultBackend } from '../backend/default.ts'
import { linearMemory } from '../memory/linear.ts'
import { getNumThreads } from '../threads/threads.ts'
import { blasBackend } from './gemm.ts'
import { loadBlas } from './library.ts'

/** Options of `useBlas`. */
export interface BlasOptions {
  /** Name or path of the library; by default the system's OpenBLAS. */
  readonly library?: string
}

/**
 * From here on OpenBLAS multiplies matrices of float32 and float64, with as many threads as `setNumThreads` says, in place in the
 * tensors' memory; everything else, and products too small to gain, stay with WebAssembly. `setBackend('wasm')` ends it,
 * `setBackend('blas')` goes back to it. Node only; needs the package koffi beside this one, and the library. Returns the name of
 * the backend that was in force.
 * Errors: UnsupportedError that says what to install.
 * @example
 * import { useBlas } from 'gradtape/blas'
 * useBlas()
 * @see https://www.openblas.net
 */
export function useBlas(options: BlasOptions = {}): BackendName {
  const blas = loadBlas(options.library)
  provideBackend('blas', () => blasBackend(createDefaultBackend(), linearMemory(), blas, getNumThreads))
  return setBackend('blas')
}
