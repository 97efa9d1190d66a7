/** Reductions that give two results at once, or leave NaNs out. */
import { noGrad } from '../autograd/modes.ts'
import { ArgumentError, IndexError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { type Batched, type GeneralOp, general, OUT, vjp } from '../op/general.ts'
import { expectTensor, type TensorCore } from '../tensor.ts'
import { shareTies } from './chosen.ts'
import { type DimArgument, type DimOptions, type Reduced, reduced, reducedBatch, SPREAD, type SpreadOptions, unreduce } from './dims.ts'

type Spread = Reduced & { readonly correction: number }

const count = (shape: readonly number[], dims: readonly number[]): number => dims.reduce((n, d) => n * shape[d]!, 1)

/** The gradient of a variance and the mean beside it, where either may be missing. */
function spreadVjp(variance: Tensor | null, mean: Tensor | null, x: Tensor, p: Spread): Tensor | null {
  const { shape } = x
  const n = count(shape, p.dims)
  const ofMean = mean === null ? null : unreduce(mean.div(n), shape, p)
  if (variance === null) return ofMean
  const ofVariance = unreduce(variance, shape, p)
    .mul(x.sub(x.mean({ dim: p.dims, keepdim: true })))
    .mul(2 / Math.max(0, n - p.correction))
  return ofMean === null ? ofVariance : ofVariance.add(ofMean)
}

/** A batch in one call; numbers without dims go one by one, since no dims would mean all. */
const batched =
  <P extends Reduced>(op: () => GeneralOp<P>) =>
  (b: Batched<P>): Tensor | Tensor[] | undefined => {
    const { value, p } = reducedBatch(b)
    return p.dims.length === 0 ? undefined : (op().call([value], { ...p, all: false }) as Tensor | Tensor[])
  }

const options = ({ dims: dim, keepdim, correction }: Spread): SpreadOptions => ({ dim, keepdim, correction })

const varMeanOp: GeneralOp<Spread> = /* @__PURE__ */ general('varMean', {
  node: 'VarMeanBackward0',
  forward: ([x], p) => noGrad((): TensorCore[] => [(x as Tensor).var(options(p)), (x as Tensor).mean({ dim: p.dims, keepdim: p.keepdim })]),
  vjp: [vjp([0], (_g, c, gs) => spreadVjp(gs[0] ?? null, gs[1] ?? null, c.in(0), c.p))],
  batch: batched(() => varMeanOp),
})

const stdMeanOp: GeneralOp<Spread> = /* @__PURE__ */ general('stdMean', {
  node: 'StdMeanBackward0',
  forward: ([x], p) => noGrad((): TensorCore[] => [(x as Tensor).std(options(p)), (x as Tensor).mean({ dim: p.dims, keepdim: p.keepdim })]),
  // d√v = dv / 2√v, and 0 where the elements are all equal.
  vjp: [
    vjp([0, OUT], (_g, c, gs) => {
      const y = c.out()
      const variance = gs[0] ? gs[0].div(y.mul(2)).where(y.ne(0), 0) : null
      return spreadVjp(variance, gs[1] ?? null, c.in(0), c.p)
    }),
  ],
  batch: batched(() => stdMeanOp),
})

function both(op: GeneralOp<Spread>, name: string, x: Tensor, dim: DimArgument<SpreadOptions> | undefined, o?: SpreadOptions): Tensor[] {
  expectTensor(name, x, 'argument 0')
  const listed = typeof dim === 'object' && !Array.isArray(dim) ? (dim as SpreadOptions) : o
  const p = { ...reduced(x, dim, name, o, SPREAD), correction: listed?.correction ?? 1 }
  if (!x.dt.floating) throw new ArgumentError(`${name} only support floating point and complex dtypes, got ${x.dtype}`, { op: name })
  return op.call([x], p) as Tensor[]
}

/**
 * The variance over dims and the mean, in a list.
 * @example
 * const [variance, mean] = varMean(tensor([1, 2, 3]))
 * variance.item() // 1
 * mean.item() // 2
 * @see https://docs.pytorch.org/docs/stable/generated/torch.var_mean.html
 */
export function varMean(x: Tensor, dim?: DimArgument<SpreadOptions>, o?: SpreadOptions): Tensor[] {
  return both(varMeanOp, 'varMean', x, dim, o)
}

/**
 * The standard deviation over dims and the mean, in a list.
 * @example
 * const [std, mean] = stdMean(tensor([1, 2, 3]))
 * std.item() // 1
 * mean.item() // 2
 * @see https://docs.pytorch.org/docs/stable/generated/torch.std_mean.html
 */
export function stdMean(x: Tensor, dim?: DimArgument<SpreadOptions>, o?: SpreadOptions): Tensor[] {
  return both(stdMeanOp, 'stdMean', x, dim, o)
}

const aminmaxOp: GeneralOp<Reduced> = /* @__PURE__ */ general('aminmax', {
  node: 'AminmaxBackward0',
  forward: ([x], { dims: dim, keepdim }) =>
    noGrad((): TensorCore[] => [(x as Tensor).amin({ dim, keepdim }), (x as Tensor).amax({ dim, keepdim })]),
  vjp: [
    vjp([0, OUT, OUT - 1], (_g, c, gs) => {
      const shape = c.shapeOf(0)
      const parts = [0, 1].flatMap((k) =>
        gs[k] ? [shareTies(unreduce(gs[k], shape, c.p), c.in(0), unreduce(c.out(k), shape, c.p), c.p.dims, false)] : [],
      )
      return parts.length === 2 ? parts[0]!.add(parts[1]!) : (parts[0] ?? null)
    }),
  ],
  batch: batched(() => aminmaxOp),
  results: ['min', 'max'],
})

/**
 * The smallest and the largest element, of all or along one dim; equal ones share the gradient. Errors: IndexError for none.
 * @example
 * aminmax(tensor([1, 4, 3])).max.item() // 4
 * @see https://docs.pytorch.org/docs/stable/generated/torch.aminmax.html
 */
export function aminmax(
  x: Tensor,
  o: { readonly dim?: number; readonly keepdim?: boolean } = {},
): { readonly min: Tensor; readonly max: Tensor } {
  expectTensor('aminmax', x, 'argument 0')
  const p = reduced(x, o, 'aminmax')
  if (count(x.shape, p.dims) === 0) {
    throw new IndexError(`aminmax(): Expected reduction dim to have non-zero size, got ${show(x.shape)}`, {
      op: 'aminmax',
      shapes: [x.shape],
    })
  }
  const [min, max] = aminmaxOp.call([x], p) as Tensor[]
  return { min: min!, max: max! }
}

const nansumOp: GeneralOp<Reduced> = /* @__PURE__ */ general('nansum', {
  node: 'NansumBackward0',
  forward: ([x], { dims: dim, keepdim }) =>
    noGrad((): TensorCore => (x as Tensor).where((x as Tensor).isnan().logicalNot(), 0).sum({ dim, keepdim })),
  vjp: [vjp([0], (g, c) => unreduce(g, c.shapeOf(0), c.p).where(c.in(0).isnan().logicalNot(), 0))],
  jvp: (t, c) => t[0]!.where(c.in(0).isnan().logicalNot(), 0).sum({ dim: c.p.dims, keepdim: c.p.keepdim }),
  batch: batched(() => nansumOp),
})

/**
 * The sum over dims of the elements that aren't NaN.
 * @example
 * nansum(tensor([1, NaN, 3])).item() // 4
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nansum.html
 */
export function nansum(x: Tensor, dim?: DimArgument, o?: DimOptions): Tensor {
  expectTensor('nansum', x, 'argument 0')
  const p = reduced(x, dim, 'nansum', o)
  return x.dt.floating ? nansumOp.one([x], p) : x.sum(dim, o)
}

/**
 * The mean over dims of the elements that aren't NaN. Errors: ArgumentError for integers.
 * @example
 * nanmean(tensor([1, NaN, 3])).item() // 2
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nanmean.html
 */
export function nanmean(x: Tensor, dim?: DimArgument, o?: DimOptions): Tensor {
  expectTensor('nanmean', x, 'argument 0')
  if (!x.dt.floating)
    throw new ArgumentError(`nanmean(): expected input to have floating point or complex dtype but got ${x.dtype}`, { op: 'nanmean' })
  const p = reduced(x, dim, 'nanmean', o)
  const numbers = x.detach().isnan().logicalNot()
  return nansumOp.one([x], p).div(numbers.sum({ dim: p.dims, keepdim: p.keepdim }))
}

/**
 * How many elements aren't 0, over dims (int32).
 * @example
 * countNonzero(tensor([0, 5, 6])).item() // 2
 * @see https://docs.pytorch.org/docs/stable/generated/torch.count_nonzero.html
 */
export function countNonzero(x: Tensor, dim?: DimArgument): Tensor {
  expectTensor('countNonzero', x, 'argument 0')
  const { dims, keepdim } = reduced(x, dim, 'countNonzero')
  return x.detach().ne(0).sum({ dim: dims, keepdim })
}
