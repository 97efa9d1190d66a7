/** Reductions over dims: sums, means, spreads, products, logic. */
import { input, Program, scalar } from '../backend/scalar.ts'
import { type DType, dtypeInfo, dtypes } from '../dtype.ts'
import { DTypeError } from '../errors.ts'
import { type Kernel, kernel, reduce, run1, run2, runInto } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import type { Owner } from '../memory/storage.ts'
import { type GeneralOp, general, OUT, vjp } from '../op/general.ts'
import type { Known } from '../options.ts'
import { expectTensor, TensorCore } from '../tensor.ts'
import { type DimArgument, type DimOptions, type Reduced, reduced, reducedBatch, SPREAD, type SpreadOptions, unreduce } from './dims.ts'

const sumOp: GeneralOp<Reduced> = /* @__PURE__ */ general('sum', {
  node: ({ all }) => (all ? 'SumBackward0' : 'SumBackward1'),
  forward: (x, { dims, keepdim }, owner) => reduce('sum', x[0]!, dims, keepdim, owner),
  vjp: [vjp([], (g, c) => unreduce(g, c.shapeOf(0), c.p))],
  jvp: 'linear',
  batch: (b) => {
    const { value, p } = reducedBatch(b)
    return p.dims.length === 0 ? value.clone() : sumOp.one([value], { ...p, all: false })
  },
})

type TypedDims = DimOptions & { readonly dtype?: DType }
const TYPED: Known<TypedDims> = { dim: 'any', keepdim: 'boolean', dtype: 'any' }

function inType(op: string, x: Tensor, dim: DimArgument<TypedDims> | undefined, options: TypedDims | undefined): Tensor {
  const dtype = options?.dtype ?? (typeof dim === 'object' && !Array.isArray(dim) ? (dim as TypedDims).dtype : undefined)
  return dtype === undefined ? x : x.to(dtypeInfo(dtype, op).name)
}

/**
 * The sum over dims (all of them by default). Integers and bools sum to int32, exactly: a sum that doesn't fit throws.
 * @example
 * tensor([[1, 2], [3, 4]]).sum(0).tolist() // [4, 6]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.sum.html
 */
export function sum(x: Tensor, dim?: DimArgument<TypedDims>, options?: TypedDims): Tensor {
  expectTensor('sum', x, 'argument 0')
  const p = reduced(x, dim, 'sum', options, TYPED)
  return sumOp.one([inType('sum', x, dim, options)], p)
}

/** How many elements each result is made from. */
function count(x: TensorCore, dims: readonly number[]): number {
  return dims.reduce((n, d) => n * x.layout.shape[d]!, 1)
}

const scales: (Kernel | undefined)[] = []
function scaled(x: TensorCore, factor: number): TensorCore {
  const k = (scales[x.dt.code] ??= kernel(new Program([input(0).mul(scalar(0))], [x.dt.name], [x.dt.name], 1, x.dt.name as 'float32')))
  runInto(k, [x], [x], [factor])
  return x
}
const divisions: (Kernel | undefined)[] = []
function divided(x: TensorCore, divisor: number): TensorCore {
  const k = (divisions[x.dt.code] ??= kernel(new Program([input(0).div(scalar(0))], [x.dt.name], [x.dt.name], 1, x.dt.name as 'float32')))
  runInto(k, [x], [x], [divisor])
  return x
}

function floatsOnly(op: string, x: Tensor): void {
  if (!x.dt.floating)
    throw new DTypeError(
      `${op}(): could not infer output dtype. Input dtype must be a floating point type, got ${x.dtype}; convert it first, e.g. x.to('float32')`,
      { op, dtypes: [x.dtype] },
    )
}

function meanOf(x: TensorCore, dims: readonly number[], keepdim: boolean, owner: Owner | null): TensorCore {
  return divided(reduce('sum', x, dims, keepdim, owner), count(x, dims))
}

const meanOp: GeneralOp<Reduced> = /* @__PURE__ */ general('mean', {
  node: ({ all }) => (all ? 'MeanBackward0' : 'MeanBackward1'),
  forward: (x, { dims, keepdim }, owner) => meanOf(x[0]!, dims, keepdim, owner),
  vjp: [
    vjp([], (g, c) => {
      const n = c.p.dims.reduce((m, d) => m * c.shapeOf(0)[d]!, 1)
      return unreduce(g.div(n), c.shapeOf(0), c.p)
    }),
  ],
  jvp: 'linear',
  batch: (b) => {
    const { value, p } = reducedBatch(b)
    return p.dims.length === 0 ? value.clone() : meanOp.one([value], { ...p, all: false })
  },
})

/**
 * The mean over dims (all of them by default). Errors: DTypeError for integers.
 * @example
 * tensor([[1, 2], [3, 4]]).mean(0).tolist() // [2, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.mean.html
 */
export function mean(x: Tensor, dim?: DimArgument<TypedDims>, options?: TypedDims): Tensor {
  expectTensor('mean', x, 'argument 0')
  const p = reduced(x, dim, 'mean', options, TYPED)
  const t = inType('mean', x, dim, options)
  floatsOnly('mean', t)
  return meanOp.one([t], p)
}

export type { SpreadOptions } from './dims.ts'

type Spread = Reduced & { readonly correction: number; readonly node: string }

const squares: (Kernel | undefined)[] = []
/** Σ(x − mean)², in two passes: the sum of squares minus the squared sum would cancel. */
function spreadOf(x: TensorCore, p: Spread, owner: Owner | null): TensorCore {
  const center = meanOf(x, p.dims, true, owner)
  const d = input(0).sub(input(1))
  const k = (squares[x.dt.code] ??= kernel(new Program([d.mul(d)], [x.dt.name], [x.dt.name, x.dt.name], 0, x.dt.name as 'float32')))
  const total = reduce('sum', run2(k, x, center, null, owner), p.dims, p.keepdim, owner)
  const n = count(x, p.dims)
  return scaled(total, 1 / Math.max(0, n - p.correction))
}
const batchOf =
  (op: () => GeneralOp<Spread>) =>
  (b: Parameters<typeof reducedBatch<Spread>>[0]): Tensor => {
    const { value, p } = reducedBatch(b)
    return op().one([value], { ...p, all: false })
  }

const varOp: GeneralOp<Spread> = /* @__PURE__ */ general('var', {
  node: 'VarBackward0',
  forward: (x, p, owner) => spreadOf(x[0]!, p, owner),
  vjp: [
    vjp([0], (g, c) => {
      const x = c.in(0)
      const n = count(x, c.p.dims)
      return unreduce(g, c.shapeOf(0), c.p)
        .mul(x.sub(x.mean({ dim: c.p.dims, keepdim: true })))
        .mul(2 / Math.max(0, n - c.p.correction))
    }),
  ],
  batch: batchOf(() => varOp),
})

const roots: (Kernel | undefined)[] = []
const stdOp: GeneralOp<Spread> = /* @__PURE__ */ general('std', {
  node: 'StdBackward0',
  forward: (x, p, owner) => {
    const v = spreadOf(x[0]!, p, owner)
    const k = (roots[v.dt.code] ??= kernel(new Program([input(0).sqrt()], [v.dt.name], [v.dt.name], 0, v.dt.name as 'float32')))
    return run1(k, v, null, owner)
  },
  // d√v = dv / 2√v, and 0 where the elements are all equal.
  vjp: [
    vjp([0, OUT], (g, c) => {
      const x = c.in(0)
      const y = c.out()
      const n = count(x, c.p.dims)
      const slope = g.div(y.mul(Math.max(0, n - c.p.correction))).where(y.ne(0), 0)
      return unreduce(slope, c.shapeOf(0), c.p).mul(x.sub(x.mean({ dim: c.p.dims, keepdim: true })))
    }),
  ],
  batch: batchOf(() => stdOp),
})

function spread(
  op: GeneralOp<Spread>,
  name: string,
  x: Tensor,
  dim: DimArgument<SpreadOptions> | undefined,
  options: SpreadOptions | undefined,
): Tensor {
  expectTensor(name, x, 'argument 0')
  if (!x.dt.floating)
    throw new DTypeError(`${name}: std and var only support floating point and complex dtypes, got ${x.dtype}`, {
      op: name,
      dtypes: [x.dtype],
    })
  const p = reduced(x, dim, name, options, SPREAD)
  const correction =
    options?.correction ?? (typeof dim === 'object' && !Array.isArray(dim) ? (dim as SpreadOptions).correction : undefined) ?? 1
  return op.one([x], { ...p, correction, node: name })
}

/**
 * The variance over dims; unbiased unless `correction` says otherwise.
 * @example
 * tensor([1, 2, 3, 6]).var({ correction: 0 }).item() // 3.5
 * @see https://docs.pytorch.org/docs/stable/generated/torch.var.html
 */
function variance(x: Tensor, dim?: DimArgument<SpreadOptions>, options?: SpreadOptions): Tensor {
  return spread(varOp, 'var', x, dim, options)
}

export { variance as var }

/**
 * The standard deviation over dims.
 * @example
 * tensor([1, 2, 3]).std().item() // 1
 * @see https://docs.pytorch.org/docs/stable/generated/torch.std.html
 */
export function std(x: Tensor, dim?: DimArgument<SpreadOptions>, options?: SpreadOptions): Tensor {
  return spread(stdOp, 'std', x, dim, options)
}

const prodOp: GeneralOp<Reduced> = /* @__PURE__ */ general('prod', {
  node: ({ all }) => (all ? 'ProdBackward0' : 'ProdBackward1'),
  forward: (x, { dims, keepdim }, owner) => reduce('prod', x[0]!, dims, keepdim, owner),
  // ∂/∂xᵢ is the product of the others, as products before and after it: exact with zeros, and differentiable again.
  vjp: [vjp([0], (g, c) => unreduce(g, c.shapeOf(0), c.p).mul(othersProduct(c.in(0), c.p.dims)))],
  batch: (b) => {
    const { value, p } = reducedBatch(b)
    return prodOp.one([value], { ...p, all: false })
  },
})

function othersProduct(x: Tensor, dims: readonly number[]): Tensor {
  const { rank, shape } = x.layout
  if (rank === 0) return x.detach().onesLike()
  const kept = shape.map((_, i) => i).filter((i) => !dims.includes(i))
  const order = [...kept, ...dims]
  const keptShape = kept.map((i) => shape[i]!)
  const flat = x.permute(order).reshape([...keptShape, dims.reduce((n, d) => n * shape[d]!, 1)])
  const n = flat.shape.at(-1)!
  if (n < 2) return x.onesLike()
  const ones = flat.narrow(-1, 0, 1).onesLike()
  const before = ones.catWith([flat.narrow(-1, 0, n - 1)], -1).cumprod(-1)
  const after = ones
    .catWith([flat.flip([-1]).narrow(-1, 0, n - 1)], -1)
    .cumprod(-1)
    .flip([-1])
  const inverse = order.map((_, d) => order.indexOf(d))
  return before
    .mul(after)
    .reshape([...keptShape, ...dims.map((d) => shape[d]!)])
    .permute(inverse)
}

/**
 * The product over dims; the gradient is exact with zeros among the elements.
 * @example
 * tensor([2, 3, 4]).prod().item() // 24
 * @see https://docs.pytorch.org/docs/stable/generated/torch.prod.html
 */
export function prod(x: Tensor, dim?: DimArgument<TypedDims>, options?: TypedDims): Tensor {
  expectTensor('prod', x, 'argument 0')
  const p = reduced(x, dim, 'prod', options, TYPED)
  return prodOp.one([inType('prod', x, dim, options)], p)
}

// @__NO_SIDE_EFFECTS__
function logic(kind: 'any' | 'all'): GeneralOp<Reduced> {
  const op: GeneralOp<Reduced> = general(kind, {
    node: kind === 'any' ? 'AnyBackward0' : 'AllBackward0',
    forward: (x, p, owner) => {
      const y = reduce(kind, x[0]!, p.dims, p.keepdim, owner)
      // The logic of uint8 stays uint8, as torch has it.
      return x[0]!.dt === dtypes.uint8 ? new TensorCore(y.storage, y.layout, dtypes.uint8) : y
    },
    batch: (b) => {
      const { value, p } = reducedBatch(b)
      return op.one([value], { ...p, all: false })
    },
  })
  return op
}
const anyOp: GeneralOp<Reduced> = /* @__PURE__ */ logic('any')
const allOp: GeneralOp<Reduced> = /* @__PURE__ */ logic('all')

/**
 * Is any element not zero?
 * @example
 * tensor([[1, 0], [0, 0]]).any(1).tolist() // [true, false]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.any.html
 */
export function any(x: Tensor, dim?: DimArgument, options?: DimOptions): Tensor {
  expectTensor('any', x, 'argument 0')
  return anyOp.one([x], reduced(x, dim, 'any', options))
}

/**
 * Are all elements not zero?
 * @example
 * tensor([true, false]).all().tolist() // false
 * @see https://docs.pytorch.org/docs/stable/generated/torch.all.html
 */
export function all(x: Tensor, dim?: DimArgument, options?: DimOptions): Tensor {
  expectTensor('all', x, 'argument 0')
  return allOp.one([x], reduced(x, dim, 'all', options))
}

/**
 * log Σ eˣ over dims, without overflow.
 * @example
 * tensor([0, 0]).logsumexp(0) // tensor(0.6931)
 * @see https://docs.pytorch.org/docs/stable/generated/torch.logsumexp.html
 */
export function logsumexp(x: Tensor, dim?: DimArgument, options?: DimOptions): Tensor {
  expectTensor('logsumexp', x, 'argument 0')
  return logsumexpOp.one([x.dt.floating ? x : x.to('float32')], reduced(x, dim, 'logsumexp', options))
}

const logsumexpOp: GeneralOp<Reduced> = /* @__PURE__ */ general('logsumexp', {
  node: 'LogsumexpBackward0',
  forward: (x, p, owner) => {
    const t = x[0]!
    const float = t.dt.name as 'float32'
    if (p.dims.length > 0 && count(t, p.dims) === 0) {
      const total = reduce('sum', t, p.dims, p.keepdim, owner)
      return run1(kernel(new Program([input(0).log()], [float], [float], 0, float)), total, null, owner)
    }
    const max = p.dims.length === 0 ? t : reduce('max', t, p.dims, true, owner)
    const safe = input(0).where(input(0).abs().lt(Number.POSITIVE_INFINITY), 0)
    const shift = run1(kernel(new Program([safe], [float], [float], 0, float)), max, null, owner)
    const e = run2(kernel(new Program([input(0).sub(input(1)).exp()], [float], [float, float], 0, float)), t, shift, null, owner)
    const total = p.dims.length === 0 ? e : reduce('sum', e, p.dims, true, owner)
    const y = run2(kernel(new Program([input(0).log().add(input(1))], [float], [float, float], 0, float)), total, shift, null, owner)
    if (p.keepdim) return y
    return new TensorCore(y.storage, y.layout.squeeze(p.dims), y.dt)
  },
  vjp: [
    vjp([0, OUT], (g, c) =>
      unreduce(g, c.shapeOf(0), c.p).mul(
        c
          .in(0)
          .sub(unreduce(c.out(), c.shapeOf(0), c.p))
          .exp(),
      ),
    ),
  ],
  batch: (b) => {
    const { value, p } = reducedBatch(b)
    return p.dims.length === 0 ? value.clone() : logsumexpOp.one([value], { ...p, all: false })
  },
})
