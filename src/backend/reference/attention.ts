/** What attention does between its products, in plain loops over float64. */
import type { AttentionBackwardKernel, AttentionDotKernel, AttentionKernel, FloatType, LinearMemory } from '../backend.ts'
import type { Floats } from './softmax.ts'
import { bytesOf, viewOf } from './views.ts'

export function attentionKernel(memory: LinearMemory, dtype: FloatType): AttentionKernel {
  const bytes = bytesOf(dtype)
  return (rows, n, first, scores, mask, maskRow, scale, max, share) => {
    const view = viewOf(memory, dtype) as Floats
    for (let i = 0; i < rows; i++) {
      const seen = Math.min(n, first + i + 1)
      const from = scores / bytes + i * n
      const hidden = (mask + i * maskRow) / bytes
      let m = -Infinity
      for (let j = 0; j < seen; j++) {
        view[from + j] = view[from + j]! * scale + (mask === 0 ? 0 : view[hidden + j]!)
        m = Math.max(m, view[from + j]!)
      }
      if (m === -Infinity) m = 0
      let s = 0
      for (let j = 0; j < seen; j++) s += view[from + j] = Math.exp(view[from + j]! - m)
      const r = s === 0 ? 0 : 1 / s
      for (let j = 0; j < seen; j++) view[from + j]! *= r
      view.fill(0, from + seen, from + n)
      view[max / bytes + i] = m
      view[share / bytes + i] = r
    }
  }
}

export function attentionBackwardKernel(memory: LinearMemory, dtype: FloatType): AttentionBackwardKernel {
  const bytes = bytesOf(dtype)
  return (rows, n, first, scores, slopes, mask, maskRow, scale, max, share, delta) => {
    const view = viewOf(memory, dtype) as Floats
    for (let i = 0; i < rows; i++) {
      const seen = Math.min(n, first + i + 1)
      const [from, to] = [scores / bytes + i * n, slopes / bytes + i * n]
      const hidden = (mask + i * maskRow) / bytes
      for (let j = 0; j < seen; j++) {
        if (max !== 0) {
          const t = view[from + j]! * scale + (mask === 0 ? 0 : view[hidden + j]!)
          view[from + j] = Math.exp(t - view[max / bytes + i]!) * view[share / bytes + i]!
        }
        view[to + j] = scale * view[from + j]! * (view[to + j]! - view[delta / bytes + i]!)
      }
      if (max !== 0) view.fill(0, from + seen, from + n)
      view.fill(0, to + seen, to + n)
    }
  }
}

export function attentionDotKernel(memory: LinearMemory, dtype: FloatType): AttentionDotKernel {
  const bytes = bytesOf(dtype)
  return (rows, d, g, gRow, y, yRow, out) => {
    const view = viewOf(memory, dtype) as Floats
    for (let i = 0; i < rows; i++) {
      let s = 0
      for (let j = 0; j < d; j++) s += view[(g + i * gRow) / bytes + j]! * view[(y + i * yRow) / bytes + j]!
      view[out / bytes + i] = s
    }
  }
}
