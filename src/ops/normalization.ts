/** Normalization of rows, groups and channels: one node each. */

import { noGrad } from '../autograd/modes.ts'
import type { FloatType } from '../backend/backend.ts'
import { batchNormBackward, batchNorm as batchNormJob, layerNormBackward, layerNorm as layerNormJob } from '../backend/jobs/norm.ts'
import { input, Program } from '../backend/scalar.ts'
import { type DTypeInfo, dtypes } from '../dtype.ts'
import { ArgumentError, ShapeError, show } from '../errors.ts'
import { backend, contiguous, full, type Kernel, kernel, reduce, run } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { workspace } from '../memory/collector.ts'
import type { Owner } from '../memory/storage.ts'
import { followed } from '../op/follow.ts'
import { type Context, emptyLike, type GeneralOp, general, OUT, type VjpRule, vjp } from '../op/general.ts'
import { checkKind, type Known } from '../options.ts'
import { numel, type Shape } from '../shape.ts'
import { type ArrayLike, address, empty, expectTensor, type TensorCore } from '../tensor.ts'
import { checkNorm, checkRunning, lastDims } from './normArguments.ts'

/** Which of weight and bias follow the input among the operands. */
interface Affine {
  readonly weighted: boolean
  readonly biased: boolean
}
const weightOf = (p: Affine): number => (p.weighted ? 1 : -1)
const biasOf = (p: Affine): number => (p.biased ? (p.weighted ? 2 : 1) : -1)

const operands = (x: Tensor, weight: Tensor | null | undefined, bias: Tensor | null | undefined): Tensor[] =>
  weight ? (bias ? [x, weight, bias] : [x, weight]) : bias ? [x, bias] : [x]

// --- rows ---------------------------------------------------------------------------------------------------------------

interface Rows extends Affine {
  readonly rows: number
  readonly n: number
  readonly dims: readonly number[]
  readonly eps: number
}

/** One kernel: the normalized rows, their means and reciprocal deviations. */
function normalizeRows(
  x: TensorCore,
  weight: ArrayLike | undefined,
  bias: ArrayLike | undefined,
  rows: number,
  n: number,
  eps: number,
  owner: Owner | null,
): TensorCore[] {
  const from = contiguous(x, owner)
  const [factors, shifts] = [weight && contiguous(weight, owner), bias && contiguous(bias, owner)]
  const y = emptyLike(x, owner)
  const flat = Layout.of([rows])
  const [mean, rstd] = [empty(flat, x.dt, owner), empty(flat, x.dt, owner)]
  if (x.layout.numel > 0) {
    backend().job(layerNormJob, x.dt.name as FloatType)(
      rows,
      n,
      address(from),
      factors === undefined ? 0 : address(factors),
      shifts === undefined ? 0 : address(shifts),
      eps,
      y.storage.ptr,
      mean.storage.ptr,
      rstd.storage.ptr,
    )
  }
  return [y, mean, rstd]
}

interface Slopes {
  readonly dx: TensorCore | null
  readonly dw: TensorCore | null
  readonly db: TensorCore | null
}

/** The gradients by one kernel. */
function rowSlopes(
  g: TensorCore,
  x: ArrayLike,
  mean: ArrayLike,
  rstd: ArrayLike,
  weight: ArrayLike | null,
  rows: number,
  n: number,
  wantsInput: boolean,
  affine: Shape | null,
): Slopes {
  const { owner } = g.storage
  const { dt } = g
  const [slope, from] = [contiguous(g, owner), contiguous(x, owner)]
  const factors = weight === null ? null : contiguous(weight, owner)
  const dx = wantsInput ? empty(Layout.of(x.layout.shape), dt, owner) : null
  const layout = affine === null ? null : Layout.of(affine)
  const [dw, db] = layout === null ? [null, null] : [empty(layout, dt, owner), empty(layout, dt, owner)]
  const work = dw === null ? 0 : workspace(2 * n * dt.bytes)
  backend().job(layerNormBackward, dt.name as FloatType)(
    rows,
    n,
    address(slope),
    address(from),
    address(mean),
    address(rstd),
    factors === null ? 0 : address(factors),
    dx === null ? 0 : dx.storage.ptr,
    dw === null ? 0 : dw.storage.ptr,
    db === null ? 0 : db.storage.ptr,
    work,
  )
  return { dx, dw, db }
}

/** Must a norm's gradients be taken in public operations? */
const follows = (g: Tensor, c: Context<Affine>): boolean => followed(g) || followed(c.in(0)) || (c.p.weighted && followed(c.in(1)))

/** (x − mean)·rstd over dims in public operations, and rstd. */
function standardized(x: Tensor, dims: readonly number[], eps: number): { y: Tensor; rstd: Tensor } {
  const over = { dim: dims, keepdim: true }
  const center = x.sub(x.mean(over))
  const rstd = center.mul(center).mean(over).add(eps).rsqrt()
  return { y: center.mul(rstd), rstd }
}

/** The slope through a normalization: rstd·(h − mean h − y·mean(h·y)). */
function through(h: Tensor, y: Tensor, rstd: Tensor, dims: readonly number[]): Tensor {
  const over = { dim: dims, keepdim: true }
  return rstd.mul(h.sub(h.mean(over)).sub(y.mul(h.mul(y).mean(over))))
}

/** The gradients of input, weight and bias, computed together by the first rule that asks. */
function layerSlopes(g: Tensor, c: Context<Rows>): Slopes {
  return c.shared(() => {
    const { p } = c
    const affine = (p.weighted && c.wants(weightOf(p))) || (p.biased && c.wants(biasOf(p)))
    const shape = p.dims.map((d) => c.shapeOf(0)[d]!)
    if (!follows(g, c) && g.layout.numel > 0) {
      const weight = p.weighted ? c.in(1) : null
      return rowSlopes(g, c.in(0), c.out(1), c.out(2), weight, p.rows, p.n, c.wants(0), affine ? shape : null)
    }
    const { y, rstd } = standardized(c.in(0), p.dims, p.eps)
    const outside = g.shape.map((_, d) => d).filter((d) => !p.dims.includes(d))
    const over = (t: Tensor): Tensor => (outside.length === 0 ? t : t.sum(outside))
    return {
      dx: c.wants(0) ? through(p.weighted ? g.mul(c.in(1)) : g, y, rstd, p.dims) : null,
      dw: p.weighted && c.wants(1) ? over(g.mul(y)) : null,
      db: p.biased && c.wants(biasOf(p)) ? over(g) : null,
    }
  })
}

/** One rule for each operand: `parts` give its gradient. The statistics are not for users: nothing leads to their gradients. */
function rules<P extends Affine>(slopes: (g: Tensor, c: Context<P>) => Slopes): VjpRule<P>[] {
  const reads = [0, 1, OUT - 1, OUT - 2]
  const part = (choose: (s: Slopes, p: P) => TensorCore | null): VjpRule<P> =>
    vjp(reads, (_g, c, gs) => {
      const g = gs[0]
      return g === null || g === undefined ? null : (choose(slopes(g, c), c.p) as Tensor | null)
    })
  return [part((s) => s.dx), part((s, p) => (p.weighted ? s.dw : s.db)), part((s) => s.db)]
}

const layerNormOp: GeneralOp<Rows> = /* @__PURE__ */ general('layerNorm', {
  node: 'NativeLayerNormBackward0',
  forward: (x, p, owner) => normalizeRows(x[0]!, x[weightOf(p)], x[biasOf(p)], p.rows, p.n, p.eps, owner),
  vjp: /* @__PURE__ */ rules(layerSlopes),
  batch: (b) => {
    if (b.dims[0] === -1 || b.dims.some((d, i) => i > 0 && d !== -1)) return undefined
    const x = b.dims[0] === 0 ? b.x[0]! : b.x[0]!.movedim(b.dims[0]!, 0)
    const p = { ...b.p, rows: b.p.rows * b.size, dims: b.p.dims.map((d) => d + 1) }
    const [y, mean, rstd] = layerNormOp.call([x, ...b.x.slice(1)], p) as [Tensor, Tensor, Tensor]
    return [y, mean.reshape([b.size, b.p.rows]), rstd.reshape([b.size, b.p.rows])]
  },
})

/** Options of `layerNorm`. */
export interface LayerNormOptions {
  /** A factor per element, of `normalizedShape`. */
  readonly weight?: Tensor | null
  /** A shift per element, of `normalizedShape`. */
  readonly bias?: Tensor | null
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number
}

/**
 * x normalized over its last dims, which are `normalizedShape`: (x − mean)/√(variance + eps), scaled by the weight and shifted.
 * Errors: ShapeError, DTypeError for integers or mixed dtypes.
 * @example
 * layerNorm(tensor([[1, 3]]), [2]) // tensor([[-1.0000, 1.0000]])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.layer_norm.html
 */
export function layerNorm(x: Tensor, normalizedShape: Shape, options: LayerNormOptions = {}): Tensor {
  const dims = lastDims('layerNorm', x, normalizedShape)
  checkNorm('layerNorm', 'LayerNormKernelImpl', x, normalizedShape, options, { weight: 'any', bias: 'any', eps: 'number' })
  const { weight, bias, eps = 1e-5 } = options
  const n = numel(normalizedShape)
  const p = { rows: n === 0 ? 0 : x.layout.numel / n, n, dims, eps, weighted: Boolean(weight), biased: Boolean(bias) }
  return (layerNormOp.call(operands(x, weight, bias), p) as [Tensor])[0]
}

/** Options of `rmsNorm`. */
export interface RMSNormOptions {
  /** A factor per element, of `normalizedShape`. */
  readonly weight?: Tensor | null
  /** Added to the mean square. Default: the distance of 1 to the next number of the dtype. */
  readonly eps?: number | null
}

/**
 * x over the root of its mean square over the last dims, which are `normalizedShape`, scaled by the weight.
 * Errors: ShapeError, DTypeError.
 * @example
 * nn.functional.rmsNorm(tensor([[3, 4]]), [2]) // tensor([[0.8485, 1.1314]])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.rms_norm.html
 */
export function rmsNorm(x: Tensor, normalizedShape: Shape, options: RMSNormOptions = {}): Tensor {
  const dims = lastDims('rmsNorm', x, normalizedShape)
  checkNorm('rmsNorm', 'rms_norm', x, normalizedShape, options, { weight: 'any', eps: 'any' })
  const eps = options.eps ?? (x.dt === dtypes.float64 ? Number.EPSILON : 2 ** -23)
  checkKind('rmsNorm', 'eps', eps, 'number')
  const y = x.mul(x.pow(2).mean({ dim: dims, keepdim: true }).add(eps).rsqrt())
  return options.weight ? y.mul(options.weight) : y
}

// --- groups -------------------------------------------------------------------------------------------------------------

interface Groups extends Affine {
  readonly groups: number
  readonly eps: number
}

/** A vector of channels beside [n, channels, …]. */
function beside(t: ArrayLike, rank: number): ArrayLike {
  const strides = Array.from({ length: rank }, (_, d) => (d === 1 ? t.layout.strides[0]! : 0))
  const shape = Array.from({ length: rank }, (_, d) => (d === 1 ? t.layout.shape[0]! : 1))
  return { storage: t.storage, dt: t.dt, layout: new Layout(shape, strides, t.layout.offset) }
}

const kernelOf = (dt: DTypeInfo, n: number, expression: Program['outputs'][number]): Kernel =>
  kernel(
    new Program(
      [expression],
      [dt.name],
      Array.from({ length: n }, () => dt.name),
      0,
      dt.name as FloatType,
    ),
  )

const product = (a: ArrayLike, b: ArrayLike, owner: Owner | null): TensorCore =>
  run(kernelOf(a.dt, 2, input(0).mul(input(1))), [a, b], null, owner)

function groupForward(operandsOf: readonly TensorCore[], p: Groups, owner: Owner | null): TensorCore[] {
  const x = operandsOf[0]!
  const { shape, rank } = x.layout
  const rows = shape[0]! * p.groups
  const statistics = normalizeRows(x, undefined, undefined, rows, rows === 0 ? 0 : x.layout.numel / rows, p.eps, owner)
  const [plain, mean, rstd] = statistics as [TensorCore, TensorCore, TensorCore]
  const [weight, bias] = [operandsOf[weightOf(p)], operandsOf[biasOf(p)]]
  if (weight && bias) {
    const k = kernelOf(x.dt, 3, input(0).mul(input(1)).add(input(2)))
    return [run(k, [plain, beside(weight, rank), beside(bias, rank)], null, owner), mean, rstd]
  }
  if (weight) return [product(plain, beside(weight, rank), owner), mean, rstd]
  if (bias) return [run(kernelOf(x.dt, 2, input(0).add(input(1))), [plain, beside(bias, rank)], null, owner), mean, rstd]
  return [plain, mean, rstd]
}

function groupSlopes(g: Tensor, c: Context<Groups>): Slopes {
  return c.shared(() => {
    const { p } = c
    const shape = c.shapeOf(0)
    const [wantsWeight, wantsBias] = [p.weighted && c.wants(1), p.biased && c.wants(biasOf(p))]
    const others = shape.map((_, d) => d).filter((d) => d !== 1)
    const perGroup = [shape[0]! * p.groups, shape[0] === 0 ? 0 : numel(shape) / (shape[0]! * p.groups)] as const
    if (!follows(g, c) && g.layout.numel > 0) {
      const { owner } = g.storage
      const x = c.in(0)
      const h = p.weighted ? product(g, beside(c.in(1), shape.length), owner) : g
      const { dx } = c.wants(0) ? rowSlopes(h, x, c.out(1), c.out(2), null, ...perGroup, true, null) : { dx: null }
      let dw: TensorCore | null = null
      if (wantsWeight) {
        // Rows [n·groups, …] beside their statistics.
        const flat = contiguous(x, owner)
        const seen = { storage: flat.storage, dt: flat.dt, layout: flat.layout.reshape(perGroup)! }
        const column = (t: TensorCore): ArrayLike => ({ storage: t.storage, dt: t.dt, layout: t.layout.reshape([perGroup[0], 1])! })
        const normal = run(kernelOf(x.dt, 3, input(0).sub(input(1)).mul(input(2))), [seen, column(c.out(1)), column(c.out(2))], null, owner)
        dw = reduce(
          'sum',
          product(g, { storage: normal.storage, dt: normal.dt, layout: normal.layout.reshape(shape)! }, owner),
          others,
          false,
          owner,
        )
      }
      return { dx, dw, db: wantsBias ? reduce('sum', g, others, false, owner) : null }
    }
    const grouped = (t: Tensor): Tensor => t.reshape(perGroup)
    const { y, rstd } = standardized(grouped(c.in(0)), [1], p.eps)
    const h = p.weighted ? g.mul(c.in(1).reshape(shape.map((n, d) => (d === 1 ? n : 1)))) : g
    return {
      dx: c.wants(0) ? through(grouped(h), y, rstd, [1]).reshape(shape) : null,
      dw: wantsWeight ? g.mul(y.reshape(shape)).sum(others) : null,
      db: wantsBias ? g.sum(others) : null,
    }
  })
}

const groupNormOp: GeneralOp<Groups> = /* @__PURE__ */ general('groupNorm', {
  node: 'NativeGroupNormBackward0',
  forward: groupForward,
  vjp: /* @__PURE__ */ rules(groupSlopes),
})

/** Options of `groupNorm`. */
export interface GroupNormOptions {
  /** A factor per channel. */
  readonly weight?: Tensor | null
  /** A shift per channel. */
  readonly bias?: Tensor | null
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number
}

/**
 * Each example's channels normalized in `numGroups` groups: x [n, channels, …], then scaled and shifted per channel.
 * Errors: ShapeError, ArgumentError where the channels don't divide into the groups.
 * @example
 * nn.functional.groupNorm(tensor([[1, 3, 5, 9]]), 2) // tensor([[-1.0000, 1.0000, -1.0000, 1.0000]])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.group_norm.html
 */
export function groupNorm(x: Tensor, numGroups: number, options: GroupNormOptions = {}): Tensor {
  expectTensor('groupNorm', x, 'the input')
  if (x.ndim < 2)
    throw new ShapeError(`Expected at least 2 dimensions for input tensor but received ${x.ndim} (groupNorm)`, {
      op: 'groupNorm',
      shapes: [x.shape],
    })
  const channels = x.shape[1]!
  if (!Number.isInteger(numGroups) || numGroups < 1 || channels % numGroups !== 0) {
    throw new ArgumentError(
      `Expected number of channels in input to be divisible by num_groups, but got input of shape ${show(x.shape)} and num_groups=${numGroups} (groupNorm)`,
      { op: 'groupNorm', shapes: [x.shape] },
    )
  }
  checkNorm('groupNorm', 'GroupNormKernelImpl', x, [channels], options, { weight: 'any', bias: 'any', eps: 'number' })
  const { weight, bias, eps = 1e-5 } = options
  const p = { groups: numGroups, eps, weighted: Boolean(weight), biased: Boolean(bias) }
  return (groupNormOp.call(operands(x, weight, bias), p) as [Tensor])[0]
}

// --- channels -----------------------------------------------------------------------------------------------------------

interface Channels extends Affine {
  /** Normalize by the batch's own statistics; else by those that follow the affine parameters among the operands. */
  readonly training: boolean
  readonly eps: number
}

/** [outer, channels, inner] of [n, channels, …]. */
const channelSizes = (shape: Shape): [number, number, number] => [shape[0]!, shape[1]!, numel(shape.slice(2))]

/** What stands for an absent weight (1) or bias (0). */
const filled = (t: ArrayLike | undefined, value: number, n: number, dt: DTypeInfo, owner: Owner | null): ArrayLike =>
  t === undefined ? full([n], value, dt, owner) : contiguous(t, owner)

/** The result, the means, the reciprocal deviations, and in training the variances, which the running ones take in. */
function channelForward(x: readonly TensorCore[], p: Channels, owner: Owner | null): TensorCore[] {
  const from = contiguous(x[0]!, owner)
  const { dt } = from
  const [outer, channels, inner] = channelSizes(from.layout.shape)
  const weight = filled(x[weightOf(p)], 1, channels, dt, owner)
  const bias = filled(x[biasOf(p)], 0, channels, dt, owner)
  const flat = Layout.of([channels])
  const given = p.training ? [] : x.slice(-2).map((t) => contiguous(t, owner))
  const y = emptyLike(x[0]!, owner)
  const [mean, rstd, variance] = [empty(flat, dt, owner), empty(flat, dt, owner), empty(flat, dt, owner)]
  if (!p.training) {
    const copy = kernelOf(dt, 1, input(0)).flat(0)
    copy(channels, mean.storage.ptr, address(given[0]!))
    copy(channels, rstd.storage.ptr, address(given[1]!))
  }
  if (from.layout.numel > 0) {
    backend().job(batchNormJob, dt.name as FloatType)(
      outer,
      channels,
      inner,
      address(from),
      y.storage.ptr,
      address(weight),
      address(bias),
      mean.storage.ptr,
      variance.storage.ptr,
      rstd.storage.ptr,
      outer * inner,
      p.eps,
      p.training ? 0 : 1,
    )
  }
  return p.training ? [y, mean, rstd, variance] : [y, mean, rstd]
}

function channelSlopes(g: Tensor, c: Context<Channels>): Slopes {
  return c.shared(() => {
    const { p } = c
    const shape = c.shapeOf(0)
    const [outer, channels, inner] = channelSizes(shape)
    if (!follows(g, c) && g.layout.numel > 0) {
      const { owner } = g.storage
      const { dt } = g
      const [slope, from] = [contiguous(g, owner), contiguous(c.in(0), owner)]
      const weight = filled(p.weighted ? c.in(1) : undefined, 1, channels, dt, owner)
      const flat = Layout.of([channels])
      const [dx, dw, db] = [empty(Layout.of(shape), dt, owner), empty(flat, dt, owner), empty(flat, dt, owner)]
      backend().job(batchNormBackward, dt.name as FloatType)(
        outer,
        channels,
        inner,
        address(slope),
        address(from),
        dx.storage.ptr,
        address(weight),
        address(c.out(1)),
        address(c.out(2)),
        dw.storage.ptr,
        db.storage.ptr,
        p.training ? 1 / (outer * inner) : 0,
      )
      if (p.training) return { dx, dw, db }
      // The statistics are constants: every element has its own slope, and nothing of the others.
      const own = kernelOf(dt, 3, input(0).mul(input(1)).mul(input(2)))
      return { dx: run(own, [g, beside(weight, shape.length), beside(c.out(2), shape.length)], null, owner), dw, db }
    }
    const others = shape.map((_, d) => d).filter((d) => d !== 1)
    const fit = (t: Tensor): Tensor => t.reshape(shape.map((n, d) => (d === 1 ? n : 1)))
    const h = p.weighted ? g.mul(fit(c.in(1))) : g
    const own = p.training ? standardized(c.in(0), others, p.eps) : null
    const rstd = own?.rstd ?? fit(c.out(2).detach())
    const y =
      own?.y ??
      c
        .in(0)
        .sub(fit(c.out(1).detach()))
        .mul(rstd)
    return {
      dx: c.wants(0) ? (p.training ? through(h, y, rstd, others) : h.mul(rstd)) : null,
      dw: p.weighted && c.wants(1) ? g.mul(y).sum(others) : null,
      db: p.biased && c.wants(biasOf(p)) ? g.sum(others) : null,
    }
  })
}

const batchNormOp: GeneralOp<Channels> = /* @__PURE__ */ general('batchNorm', {
  node: 'NativeBatchNormBackward0',
  forward: channelForward,
  vjp: (i) => channelRules[i] ?? null,
})
const channelRules: readonly VjpRule<Channels>[] = /* @__PURE__ */ rules(channelSlopes)

/** Options of `batchNorm`. */
export interface BatchNormOptions {
  /** Means that evaluation uses and training updates in place, one per channel. */
  readonly runningMean?: Tensor | null
  /** Variances likewise. */
  readonly runningVar?: Tensor | null
  /** A factor per channel. */
  readonly weight?: Tensor | null
  /** A shift per channel. */
  readonly bias?: Tensor | null
  /** Normalize by the batch's own statistics and update the running ones. Default false. */
  readonly training?: boolean
  /** Share of the batch in the running statistics. Default 0.1. */
  readonly momentum?: number
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number
}
const BATCH_NORM: Known<BatchNormOptions> = {
  runningMean: 'any',
  runningVar: 'any',
  weight: 'any',
  bias: 'any',
  training: 'boolean',
  momentum: 'number',
  eps: 'number',
}

/**
 * x [n, channels, …] normalized per channel. In training the running statistics are updated in place (with the unbiased variance).
 * Errors: ShapeError, DTypeError, ArgumentError without running statistics in evaluation, or with one value per channel in training.
 * @example
 * nn.functional.batchNorm(tensor([[1], [3]]), { training: true }) // tensor([[-1.0000], [1.0000]])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.batch_norm.html
 */
export function batchNorm(x: Tensor, options: BatchNormOptions = {}): Tensor {
  const op = 'batchNorm'
  expectTensor(op, x, 'the input')
  if (x.layout.rank < 2)
    throw new ShapeError(`batchNorm: expected at least 2 dims [n, channels, …], got ${show(x.shape)}`, { op, shapes: [x.shape] })
  const channels = x.shape[1]!
  checkNorm(op, 'batch_norm', x, [channels], options, BATCH_NORM)
  const { runningMean, runningVar, weight, bias, training = false, momentum = 0.1, eps = 1e-5 } = options
  checkRunning(op, x, options)
  if (!training && !(runningMean && runningVar)) {
    throw new ArgumentError(
      `Expected ${runningMean ? 'running_var' : 'running_mean'} to be defined when training=False: batchNorm in evaluation needs runningMean and runningVar`,
      { op },
    )
  }
  const p = { training, eps, weighted: Boolean(weight), biased: Boolean(bias) }
  const list = operands(x, weight, bias)
  if (!training) {
    const rstd = noGrad(() => runningVar!.to(x.dtype).add(eps).rsqrt())
    return (batchNormOp.call([...list, runningMean!.detach().to(x.dtype), rstd], p) as [Tensor])[0]
  }
  const count = x.layout.numel / channels
  if (count <= 1)
    throw new ArgumentError(`Expected more than 1 value per channel when training, got input size ${show(x.shape)} (batchNorm)`, {
      op,
      shapes: [x.shape],
    })
  const [y, mean, , variance] = batchNormOp.call(list, p) as [Tensor, Tensor, Tensor, Tensor]
  noGrad(() => {
    if (runningMean) runningMean.mul_(1 - momentum).add_(mean.detach(), { alpha: momentum })
    if (runningVar) runningVar.mul_(1 - momentum).add_(variance.detach(), { alpha: (momentum * count) / (count - 1) })
  })
  return y
}
