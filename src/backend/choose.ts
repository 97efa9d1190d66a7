/** Choosing the backend: by itself at first use, or by name. */
import { ArgumentError, UnsupportedError } from '../errors.ts'
import { backend, setDefaultBackend, useBackend } from '../execute.ts'
import { linearMemory } from '../memory/linear.ts'
import type { Backend, BackendName } from './backend.ts'
import { createDefaultBackend } from './default.ts'
import { createReferenceBackend } from './reference/reference.ts'
import { createWasmBackend } from './wasm/wasm.ts'

const provided: Map<BackendName, () => Backend> = /* @__PURE__ */ new Map()

/** Adds a backend that is not in every bundle, to be chosen by its name. */
export function provideBackend(name: BackendName, make: () => Backend): void {
  provided.set(name, make)
}

/**
 * Makes a backend run everything from here on; tensors stay where they are. Returns the name of what was in force.
 * Errors: UnsupportedError where WebAssembly SIMD can't be compiled, and for 'blas' before `useBlas` was called.
 * @example
 * const before = setBackend('reference')
 * getBackend() // reference
 * setBackend(before)
 */
export function setBackend(name: BackendName): BackendName {
  const before = getBackend()
  const memory = linearMemory()
  if (name === 'reference') useBackend(createReferenceBackend(memory))
  else if (name === 'wasm' || name === 'wasm-strict') {
    const made = createWasmBackend(memory, { strict: name === 'wasm-strict' })
    if (made === undefined) throw new UnsupportedError('setBackend: WebAssembly SIMD is not available here')
    useBackend(made)
  } else if (provided.has(name)) useBackend(provided.get(name)!())
  else if (name === 'blas') throw new UnsupportedError("setBackend: 'blas' is there after useBlas() of 'gradtape/blas' was called")
  else throw new ArgumentError(`setBackend: unknown backend '${String(name)}': expected 'wasm', 'wasm-strict', 'reference' or 'blas'`)
  return before
}

/**
 * The name of the backend in force.
 * @example
 * getBackend() // wasm
 */
export function getBackend(): BackendName {
  // Programs may ask before they have loaded what makes tensors.
  setDefaultBackend(createDefaultBackend)
  return backend().name
}
