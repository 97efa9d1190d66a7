/** The reference backend: every kernel in plain TypeScript, the oracle for the others and the fallback where WASM is refused. */
import type { Backend, LinearMemory } from '../backend.ts'
import { elementwise } from './elementwise.ts'
import { indexKernel } from './indexing.ts'
import { matmulKernel } from './matmul.ts'
import { reduceKernel, scanKernel } from './reduce.ts'
import { fold2dKernel, maxPool2dKernel, unfold2dKernel } from './window.ts'

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
    maxPool2d: (dtype) => maxPool2dKernel(memory, dtype),
    unfold2d: (dtype) => unfold2dKernel(memory, dtype),
    fold2d: (dtype) => fold2dKernel(memory, dtype),
  }
}
