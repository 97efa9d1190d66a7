/** Normalization of rows and of channels, and its gradients, in plain loops over float64. */
import type {
  BatchNormBackwardKernel,
  BatchNormKernel,
  FloatType,
  LayerNormBackwardKernel,
  LayerNormKernel,
  LinearMemory,
} from '../backend.ts'
import { bytesOf, viewOf } from './views.ts'

type Floats = Float32Array | Float64Array

/** Mean and variance of the elements that `at` numbers. */
function moments(view: Floats, count: number, at: (k: number) => number): [number, number] {
  let sum = 0
  for (let k = 0; k < count; k++) sum += view[at(k)]!
  const mean = sum / count
  let squares = 0
  for (let k = 0; k < count; k++) squares += (view[at(k)]! - mean) ** 2
  return [mean, squares / count]
}

export function layerNormKernel(memory: LinearMemory, dtype: FloatType): LayerNormKernel {
  const bytes = bytesOf(dtype)
  return (rows, n, input, weight, bias, eps, output, mean, rstd) => {
    const view = viewOf(memory, dtype) as Floats
    for (let row = 0; row < rows; row++) {
      const from = input / bytes + row * n
      const [m, v] = moments(view, n, (k) => from + k)
      const r = 1 / Math.sqrt(v + eps)
      for (let k = 0; k < n; k++) {
        const y = (view[from + k]! - m) * r * (weight === 0 ? 1 : view[weight / bytes + k]!)
        view[output / bytes + row * n + k] = y + (bias === 0 ? 0 : view[bias / bytes + k]!)
      }
      view[mean / bytes + row] = m
      view[rstd / bytes + row] = r
    }
  }
}

export function layerNormBackwardKernel(memory: LinearMemory, dtype: FloatType): LayerNormBackwardKernel {
  const bytes = bytesOf(dtype)
  return (rows, n, g, input, mean, rstd, weight, dx, dw, db) => {
    const view = viewOf(memory, dtype) as Floats
    const [weights, biases] = [new Float64Array(n), new Float64Array(n)]
    for (let row = 0; row < rows; row++) {
      const m = view[mean / bytes + row]!
      const r = view[rstd / bytes + row]!
      const gradient = (k: number): number => view[g / bytes + row * n + k]!
      const h = (k: number): number => gradient(k) * (weight === 0 ? 1 : view[weight / bytes + k]!)
      const normal = (k: number): number => (view[input / bytes + row * n + k]! - m) * r
      let [s1, s2] = [0, 0]
      for (let k = 0; k < n; k++) {
        s1 += h(k)
        s2 += h(k) * normal(k)
        weights[k]! += gradient(k) * normal(k)
        biases[k]! += gradient(k)
      }
      if (dx !== 0) for (let k = 0; k < n; k++) view[dx / bytes + row * n + k] = r * (h(k) - s1 / n - (normal(k) * s2) / n)
    }
    if (dw === 0) return
    view.set(weights, dw / bytes)
    view.set(biases, db / bytes)
  }
}

/** The place of element k of channel c, of `outer` runs of `inner`. */
const placed = (base: number, channels: number, inner: number, c: number, k: number): number =>
  base + (Math.floor(k / inner) * channels + c) * inner + (k % inner)

export function batchNormKernel(memory: LinearMemory, dtype: FloatType): BatchNormKernel {
  const bytes = bytesOf(dtype)
  return (outer, channels, inner, input, output, weight, bias, mean, variance, rstd, count, eps, given) => {
    const view = viewOf(memory, dtype) as Floats
    for (let c = 0; c < channels; c++) {
      const at = (base: number, k: number): number => placed(base / bytes, channels, inner, c, k)
      if (given === 0) {
        const [m, v] = moments(view, count, (k) => at(input, k))
        view[mean / bytes + c] = m
        view[variance / bytes + c] = v
        view[rstd / bytes + c] = 1 / Math.sqrt(v + eps)
      }
      const m = view[mean / bytes + c]!
      const factor = view[rstd / bytes + c]! * view[weight / bytes + c]!
      for (let k = 0; k < outer * inner; k++) view[at(output, k)] = (view[at(input, k)]! - m) * factor + view[bias / bytes + c]!
    }
  }
}

export function batchNormBackwardKernel(memory: LinearMemory, dtype: FloatType): BatchNormBackwardKernel {
  const bytes = bytesOf(dtype)
  return (outer, channels, inner, g, input, dx, weight, mean, rstd, dw, db, share) => {
    const view = viewOf(memory, dtype) as Floats
    for (let c = 0; c < channels; c++) {
      const at = (base: number, k: number): number => placed(base / bytes, channels, inner, c, k)
      const m = view[mean / bytes + c]!
      const r = view[rstd / bytes + c]!
      let [s1, s2] = [0, 0]
      for (let k = 0; k < outer * inner; k++) {
        s1 += view[at(g, k)]!
        s2 += view[at(g, k)]! * (view[at(input, k)]! - m) * r
      }
      view[dw / bytes + c] = s2
      view[db / bytes + c] = s1
      const factor = r * view[weight / bytes + c]!
      for (let k = 0; k < outer * inner; k++)
        view[at(dx, k)] = factor * (view[at(g, k)]! - s1 * share - (view[at(input, k)]! - m) * r * s2 * share)
    }
  }
}
