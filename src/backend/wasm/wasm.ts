/** The WebAssembly backend: kernels rendered on demand; jobs without a WASM form run on the reference's loops. */
import type { DType } from '../../dtype.ts'
import type { Backend, Job, LinearMemory } from '../backend.ts'
import { createReferenceBackend } from '../reference/reference.ts'
import { compileDraw } from './draw.ts'
import { compileFlat, compileStrided } from './elementwise.ts'
import { wasmFeatures } from './features.ts'
import { compileIndex } from './indexing.ts'
import { compileMatmul, matmulWork } from './matmul.ts'
import { compileReduce } from './reduce.ts'
import { compileScan } from './scan.ts'

/** Choices of the WASM backend. */
export interface WasmOptions {
  /** Leave fused multiply-add unused, so that results are the same bits on every machine. */
  readonly strict?: boolean
}

type Once = <T>(job: unknown, dtype: DType, make: () => T) => T

/** Compiled kernels by job and dtype: asked for on every call, so without building keys. */
function kept(): Once {
  const tables = new Map<unknown, Partial<Record<DType, unknown>>>()
  return <T>(job: unknown, dtype: DType, make: () => T): T => {
    let table = tables.get(job)
    if (table === undefined) tables.set(job, (table = {}))
    return (table[dtype] ??= make()) as T
  }
}

/** Makes the backend over a linear memory, or undefined where WebAssembly with SIMD can't be compiled. */
export function createWasmBackend(memory: LinearMemory, options: WasmOptions = {}): Backend | undefined {
  const features = wasmFeatures(options.strict)
  if (!features.simd || memory.memory === undefined) return undefined
  const reference = createReferenceBackend(memory)
  const once = kept()
  const onceAdjacent = kept()
  const isFloat = (dtype: DType): dtype is 'float32' | 'float64' => dtype === 'float32' || dtype === 'float64'
  return {
    name: options.strict ? 'wasm-strict' : 'wasm',
    flat: (program, fixed) => compileFlat(memory, program, fixed, features),
    strided: (program, inner) => compileStrided(memory, program, inner, features),
    reduce: (op, dtype, adjacent) => (adjacent ? onceAdjacent : once)(op, dtype, () => compileReduce(memory, op, dtype, adjacent)),
    scan: (op, dtype) => once(op === 'sum' ? 'cumsum' : 'cumprod', dtype, () => compileScan(memory, op, dtype)),
    matmul: (dtype) => once('matmul', dtype, () => (isFloat(dtype) ? compileMatmul(memory, dtype, features.relaxed) : reference.matmul(dtype))),
    matmulWork: (dtype, m, n, k) => (isFloat(dtype) ? matmulWork(dtype, m, n, k) : reference.matmulWork(dtype, m, n, k)),
    index: (op, dtype) => once(op, dtype, () => compileIndex(memory, op, dtype)),
    draw: (kind, dtype) => once(kind, dtype, () => compileDraw(memory, kind, dtype)),
    job: <K, D extends DType>(job: Job<K, D>, dtype: D) => once(job, dtype, () => (job.wasm ?? job.reference)(memory, dtype, features.relaxed)),
  }
}
