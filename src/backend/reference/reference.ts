/** The reference backend: every kernel in plain TypeScript, the oracle for the others and the fallback where WASM is refused. */
import type { DType } from '../../dtype.ts'
import type { Backend, Job, LinearMemory } from '../backend.ts'
import { elementwise } from './elementwise.ts'
import { indexKernel } from './indexing.ts'
import { matmulKernel } from './matmul.ts'
import { reduceKernel, scanKernel } from './reduce.ts'

export function createReferenceBackend(memory: LinearMemory): Backend {
  const { flat, strided } = elementwise(memory)
  return {
    name: 'reference',
    flat,
    strided,
    reduce: (op, dtype) => reduceKernel(memory, op, dtype),
    scan: (op, dtype) => scanKernel(memory, op, dtype),
    matmul: (dtype) => matmulKernel(memory, dtype),
    matmulWork: () => 0,
    index: (op, dtype) => indexKernel(memory, op, dtype),
    job: <K, D extends DType>(job: Job<K, D>, dtype: D) => job.reference(memory, dtype),
  }
}
