/** The backend used when nobody chooses one: WASM where it can be compiled, else the reference, with one warning. */
import { linearMemory } from '../memory/linear.ts'
import { warn } from '../warnings.ts'
import type { Backend } from './backend.ts'
import { createReferenceBackend } from './reference/reference.ts'
import { createWasmBackend } from './wasm/wasm.ts'

export function createDefaultBackend(): Backend {
  const memory = linearMemory()
  const wasm = createWasmBackend(memory)
  if (wasm !== undefined) return wasm
  warn(
    'gradtape: WebAssembly SIMD is not available here (an old runtime, or a content security policy without wasm-unsafe-eval); using the slow reference backend',
  )
  return createReferenceBackend(memory)
}
