/** Matrix products by their definition. */
import type { DType, TypedArray } from '../../dtype.ts'
import { DTypeError } from '../../errors.ts'
import type { LinearMemory, MatmulKernel } from '../backend.ts'
import { bytesOf, viewOf } from './views.ts'

/** One row of a product: sums[j] += Σ_k a[k]·b[k, j], from element positions and strides. */
type AddRow = (
  sums: Float64Array,
  n: number,
  k: number,
  view: TypedArray,
  a: number,
  aCol: number,
  b: number,
  bRow: number,
  bCol: number,
) => void

/** Products and sums in float64: for float32 operands the products are exact. */
const addFloatRow: AddRow = (sums, n, k, view, a, aCol, b, bRow, bCol) => {
  for (let l = 0; l < k; l++) {
    const x = view[a + l * aCol]!
    for (let j = 0, p = b + l * bRow; j < n; j++, p += bCol) sums[j]! += x * view[p]!
  }
}

/** Modulo 2^32. */
const addIntRow: AddRow = (sums, n, k, view, a, aCol, b, bRow, bCol) => {
  for (let l = 0; l < k; l++) {
    const x = view[a + l * aCol]!
    for (let j = 0, p = b + l * bRow; j < n; j++, p += bCol) sums[j] = (sums[j]! + Math.imul(x, view[p]!)) | 0
  }
}

export function matmulKernel(memory: LinearMemory, dtype: DType): MatmulKernel {
  if (dtype === 'bool') throw new DTypeError('matmul: not implemented for bool', { op: 'matmul', dtypes: [dtype] })
  const addRow = dtype === 'float32' || dtype === 'float64' ? addFloatRow : addIntRow
  const bytes = bytesOf(dtype)
  return (batch, m, n, k, a, aBatch, aRow, aCol, b, bBatch, bRow, bCol, c, cBatch, start) => {
    const view = viewOf(memory, dtype)
    const sums = new Float64Array(n)
    for (let s = 0; s < batch; s++) {
      for (let i = 0; i < m; i++) {
        const to = c / bytes + s * cBatch + i * n
        const from = start === 1 ? to : start / bytes
        for (let j = 0; j < n; j++) sums[j] = start === 0 ? 0 : view[from + j]!
        addRow(sums, n, k, view, a / bytes + s * aBatch + i * aRow, aCol, b / bytes + s * bBatch, bRow, bCol)
        for (let j = 0; j < n; j++) view[to + j] = sums[j]!
      }
    }
  }
}
