/** Softmax, its logarithm, and their gradients, in plain loops over float64. */
import type { FloatType, LinearMemory, SoftmaxBackwardKernel, SoftmaxKernel, SoftmaxOp } from '../backend.ts'
import { bytesOf, viewOf } from './views.ts'

/** Visits each row of a contiguous [outer, n, inner] array: its number, its first element, the step between its elements. */
export function rows(outer: number, n: number, inner: number, visit: (row: number, start: number) => void): void {
  for (let o = 0; o < outer; o++) for (let i = 0; i < inner; i++) visit(o * inner + i, o * n * inner + i)
}

/** The maximum of a row and Σ e^(x − maximum). */
export function exponentials(x: Floats, start: number, n: number, step: number): [number, number] {
  let m = -Infinity
  for (let j = 0; j < n; j++) m = Math.max(m, x[start + j * step]!)
  let s = 0
  for (let j = 0; j < n; j++) s += Math.exp(x[start + j * step]! - m)
  return [m, s]
}

/** Arrays of floats. */
export type Floats = Float32Array | Float64Array

export function softmaxKernel(memory: LinearMemory, op: SoftmaxOp, dtype: FloatType): SoftmaxKernel {
  const bytes = bytesOf(dtype)
  return (outer, n, inner, input, output) => {
    const view = viewOf(memory, dtype) as Floats
    rows(outer, n, inner, (_, start) => {
      const from = input / bytes + start
      const to = output / bytes + start
      const [m, s] = exponentials(view, from, n, inner)
      for (let j = 0; j < n; j++) {
        const d = view[from + j * inner]! - m
        view[to + j * inner] = op === 'softmax' ? Math.exp(d) / s : d - Math.log(s)
      }
    })
  }
}

export function softmaxBackwardKernel(memory: LinearMemory, op: SoftmaxOp, dtype: FloatType): SoftmaxBackwardKernel {
  const bytes = bytesOf(dtype)
  return (outer, n, inner, g, y, output) => {
    const view = viewOf(memory, dtype) as Floats
    rows(outer, n, inner, (_, start) => {
      const at = (base: number, j: number): number => base / bytes + start + j * inner
      let s = 0
      for (let j = 0; j < n; j++) s += view[at(g, j)]! * (op === 'softmax' ? view[at(y, j)]! : 1)
      for (let j = 0; j < n; j++) {
        const gj = view[at(g, j)]!
        const yj = view[at(y, j)]!
        view[at(output, j)] = op === 'softmax' ? yj * (gj - s) : gj - Math.exp(yj) * s
      }
    })
  }
}
