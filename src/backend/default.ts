/** The backend used when nobody chooses one. */
import { linearMemory } from '../memory/linear.ts'
import type { Backend } from './backend.ts'
import { createReferenceBackend } from './reference/reference.ts'

export function createDefaultBackend(): Backend {
  return createReferenceBackend(linearMemory())
}
