/** Cross-entropy with class numbers, and its gradient, in plain loops over float64. */
import type { CrossEntropyBackwardKernel, CrossEntropyKernel, FloatType, LinearMemory } from '../backend.ts'
import { exponentials, type Floats, rows } from './softmax.ts'
import { bytesOf, viewOf } from './views.ts'

export function crossEntropyKernel(memory: LinearMemory, dtype: FloatType): CrossEntropyKernel {
  const bytes = bytesOf(dtype)
  return (outer, n, inner, input, stats, target, weight, ignore, each, result, mean) => {
    const view = viewOf(memory, dtype) as Floats
    const samples = outer * inner
    let sum = 0
    let total = 0
    let wrong = 0
    rows(outer, n, inner, (row, start) => {
      const from = input / bytes + start
      const [m, s] = stats === 0 ? [0, 1] : exponentials(view, from, n, inner)
      if (stats !== 0) {
        view[stats / bytes + row] = m
        view[stats / bytes + samples + row] = Math.log(s)
      }
      const t = memory.i32[target / 4 + row]!
      if (t !== ignore && (t < 0 || t >= n)) {
        if (wrong === 0) wrong = row + 1
        return
      }
      const share = t === ignore ? 0 : weight === 0 ? 1 : view[weight / bytes + t]!
      const loss = t === ignore ? 0 : -(view[from + t * inner]! - m - Math.log(s)) * share
      if (each !== 0) view[each / bytes + row] = loss
      sum += loss
      total += share
    })
    view[result / bytes] = mean === 0 ? sum : sum / total
    view[result / bytes + 1] = total
    return wrong
  }
}

export function crossEntropyBackwardKernel(memory: LinearMemory, dtype: FloatType): CrossEntropyBackwardKernel {
  const bytes = bytesOf(dtype)
  return (outer, n, inner, input, stats, target, weight, ignore, g, gStep, total, _work, output) => {
    const view = viewOf(memory, dtype) as Floats
    rows(outer, n, inner, (row, start) => {
      const t = memory.i32[target / 4 + row]!
      const gradient = view[(g + row * gStep) / bytes]!
      const share = (weight === 0 ? 1 : view[weight / bytes + t]!) / (total === 0 ? 1 : view[total / bytes]!)
      const c = t === ignore ? 0 : gradient * share
      for (let j = 0; j < n; j++) {
        const at = start + j * inner
        let slope = 0
        if (stats !== 0) {
          const m = view[stats / bytes + row]!
          const log = view[stats / bytes + outer * inner + row]!
          slope = c * Math.exp(view[input / bytes + at]! - m - log)
        }
        view[output / bytes + at] = slope - (j === t && t !== ignore ? c : 0)
      }
    })
  }
}
