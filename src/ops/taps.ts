/** Linear maps along dims: every element of the result is a weighted sum of a few elements. Padding and resampling are such. */
import { noGrad } from '../autograd/modes.ts'
import { type DTypeInfo, dtypes } from '../dtype.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type GeneralOp, general, inFront, vjp } from '../op/general.ts'
import { empty, type TensorCore, writeAll } from '../tensor.ts'
import { indexAdd } from './writing.ts'

/** One summand of each element along a dim: where it is read, and its weight (null: 1). */
export interface Tap {
  readonly index: readonly number[]
  readonly weights: readonly number[] | null
}
/** The sums along one dim. */
export interface Taps {
  readonly dim: number
  readonly taps: readonly Tap[]
}
interface Mapped {
  readonly node: string
  readonly dims: readonly Taps[]
}

function vector(values: readonly number[], dt: DTypeInfo): Tensor {
  const t = empty(Layout.of([values.length]), dt, null)
  writeAll(t, values)
  return t as Tensor
}

/** Weights along `dim` of something with `rank` dims. */
function along(weights: readonly number[], x: Tensor, dim: number): Tensor {
  return vector(weights, x.dt).view(x.shape.map((_, d) => (d === dim ? weights.length : 1)))
}

function apply(x: Tensor, { dim, taps }: Taps): Tensor {
  return taps
    .map(({ index, weights }) => {
      const part = x.indexSelect(dim, vector(index, dtypes.int32))
      return weights === null ? part : part.mul(along(weights, x, dim))
    })
    .reduce((a, b) => a.add(b))
}

/** The transpose: what each element of the result got goes back to where it was read. */
function transposed(g: Tensor, { dim, taps }: Taps, size: number): Tensor {
  let y = g.sum().zerosLike().expand(g.shape.with(dim, size))
  for (const { index, weights } of taps) {
    y = indexAdd(y, dim, vector(index, dtypes.int32), weights === null ? g : g.mul(along(weights, g, dim)))
  }
  return y
}

/** The maps of `dims`, one after the other. */
export const mapped: GeneralOp<Mapped> = /* @__PURE__ */ general('resample', {
  node: ({ node }) => node,
  forward: ([x], { dims }) => noGrad((): TensorCore => dims.reduce<Tensor>(apply, x as Tensor)),
  vjp: [vjp([], (g, c) => c.p.dims.reduceRight((y, taps) => transposed(y, taps, c.shapeOf(0)[taps.dim]!), g))],
  jvp: 'linear',
  batch: (b) => mapped.one([inFront(b, 0)], { ...b.p, dims: b.p.dims.map((t) => ({ ...t, dim: t.dim + 1 })) }),
})
