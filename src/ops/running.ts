/** Running extrema and log-sums along a dim. */
import { contiguous } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type GeneralOp, general, inFront, OUT, vjp } from '../op/general.ts'
import { numel, wrapDim } from '../shape.ts'
import { dataView, empty, expectTensor } from '../tensor.ts'
import { type Chosen, chooser, type ValuesAndIndices } from './chosen.ts'

/** Positions of the extrema so far: the last of equals; a NaN stays. */
function extrema(line: Float64Array, beats: (v: number, best: number) => boolean): Int32Array {
  const at = new Int32Array(line.length)
  let best = 0
  for (let i = 0; i < line.length; i++) {
    const v = line[i]!
    if (Number.isNaN(v) || beats(v, line[best]!)) best = i
    at[i] = best
  }
  return at
}
const whole = (n: number): number => n
const largest = /* @__PURE__ */ chooser<Chosen>('cummax', 'CummaxBackward0', (line) => extrema(line, (v, best) => v >= best), whole)
const smallest = /* @__PURE__ */ chooser<Chosen>('cummin', 'CumminBackward0', (line) => extrema(line, (v, best) => v <= best), whole)

/**
 * The largest element so far along `dim`, and where it is (the last of equals).
 * @example
 * cummax(tensor([1, 3, 2]), 0).values.tolist() // [1, 3, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.cummax.html
 */
export function cummax(x: Tensor, dim: number): ValuesAndIndices {
  expectTensor('cummax', x, 'argument 0')
  return largest(x, { dim: wrapDim(dim, x.layout.rank, 'cummax'), keepdim: true })
}

/**
 * The smallest element so far along `dim`; see `cummax`.
 * @example
 * cummin(tensor([3, 1, 2]), 0).values.tolist() // [3, 1, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.cummin.html
 */
export function cummin(x: Tensor, dim: number): ValuesAndIndices {
  expectTensor('cummin', x, 'argument 0')
  return smallest(x, { dim: wrapDim(dim, x.layout.rank, 'cummin'), keepdim: true })
}

/** ln(eᵃ + eᵇ). */
function logaddexp(a: number, b: number): number {
  const larger = Math.max(a, b)
  return a === b && !Number.isFinite(a) ? a : larger + Math.log1p(Math.exp(-Math.abs(a - b)))
}

const logcumsumexpOp: GeneralOp<{ readonly dim: number }> = /* @__PURE__ */ general('logcumsumexp', {
  node: 'LogcumsumexpBackward0',
  forward: ([x], { dim }, owner) => {
    const { shape } = x!.layout
    const out = empty(Layout.of(shape), x!.dt, owner)
    const source = contiguous(x!, owner)
    const from = dataView(source)
    const to = dataView(out)
    const n = shape[dim] ?? 1
    const inner = numel(shape.slice(dim + 1))
    for (let first = 0; first < out.layout.numel; first += n * inner) {
      for (let i = first; i < first + inner; i++) {
        let sum = Number.NEGATIVE_INFINITY
        for (let k = i; k < i + n * inner; k += inner) to[k] = sum = logaddexp(sum, from[source.layout.offset + k]!)
      }
    }
    return out
  },
  // xᵢ counts in every later yⱼ: Σ g eˣ⁻ʸ, by the logarithms of the positive and of the negative gradients.
  vjp: [
    vjp([0, OUT], (g, c) => {
      const { dim } = c.p
      const x = c.in(0)
      const y = c.out()
      const size = g.abs().log()
      const least = g.dtype === 'float32' ? -3.4028234663852886e38 : -Number.MAX_VALUE
      const part = (mask: Tensor): Tensor => fromBack(size.where(mask, least).sub(y), dim).add(x).exp()
      return part(g.gt(0)).sub(part(g.lt(0)))
    }),
  ],
  jvp: (t, c) => {
    const x = c.in(0)
    const e = x.sub(x.detach().amax({ dim: x.layout.rank === 0 ? [] : c.p.dim, keepdim: true })).exp()
    return t[0]!.mul(e).cumsum(c.p.dim).div(e.cumsum(c.p.dim))
  },
  batch: (b) => {
    const x = inFront(b, 0)
    return x.layout.rank < 2 ? undefined : logcumsumexpOp.one([x], { dim: b.p.dim + 1 })
  },
})

function fromBack(x: Tensor, dim: number): Tensor {
  return x.layout.rank === 0 ? logcumsumexp(x, 0) : logcumsumexp(x.flip(dim), dim).flip(dim)
}

/**
 * ln of the running sum of eˣ along `dim`, without overflow.
 * @example
 * logcumsumexp(tensor([0, 0]), 0) // tensor([0.0000, 0.6931])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.logcumsumexp.html
 */
export function logcumsumexp(x: Tensor, dim: number): Tensor {
  expectTensor('logcumsumexp', x, 'argument 0')
  return logcumsumexpOp.one([x.dt.floating ? x : x.to('float32')], { dim: wrapDim(dim, x.layout.rank, 'logcumsumexp') })
}
