/** Choosing the backend: by itself at first use, or by name. */
import { ArgumentError, UnsupportedError } from '../errors.ts'
import { backend, useBackend } from '../execute.ts'
import { linearMemory } from '../memory/linear.ts'
import type { BackendName } from './backend.ts'
import { createReferenceBackend } from './reference/reference.ts'
import { createWasmBackend } from './wasm/wasm.ts'

/**
 * Makes a backend run everything from here on; tensors stay where they are. Returns the name of what was in force.
 * Errors: UnsupportedError where WebAssembly SIMD can't be compiled.
 */
export function setBackend(name: BackendName): BackendName {
  const before = backend().name
  const memory = linearMemory()
  if (name === 'reference') useBackend(createReferenceBackend(memory))
  else if (name === 'wasm' || name === 'wasm-strict') {
    const made = createWasmBackend(memory, { strict: name === 'wasm-strict' })
    if (made === undefined) throw new UnsupportedError('setBackend: WebAssembly SIMD is not available here')
    useBackend(made)
  } else throw new ArgumentError(`setBackend: unknown backend '${String(name)}': expected 'wasm', 'wasm-strict' or 'reference'`)
  return before
}

/** The name of the backend in force. */
export function getBackend(): BackendName {
  return backend().name
}
