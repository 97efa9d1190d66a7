/** Softmax and its logarithm: one node each, one kernel forward and one backward. */
import type { FloatType, SoftmaxOp } from '../backend/backend.ts'
import { logSoftmaxJobs, softmaxJobs } from '../backend/jobs/softmax.ts'
import { type DType, dtypeInfo } from '../dtype.ts'
import { DTypeError } from '../errors.ts'
import { backend, contiguous } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import type { Owner } from '../memory/storage.ts'
import { followed } from '../op/follow.ts'
import { emptyLike, type GeneralOp, general, OUT, vjp } from '../op/general.ts'
import { checkOptions } from '../options.ts'
import { type Shape, wrapDim } from '../shape.ts'
import { address, expectTensor, type TensorCore } from '../tensor.ts'

const JOBS = { softmax: softmaxJobs, logSoftmax: logSoftmaxJobs } as const

interface Along {
  dim: number
}

/** Options of `softmax` and `logSoftmax`. */
export interface SoftmaxOptions {
  /** The input is converted first. */
  readonly dtype?: DType
}

/** How many elements lie before, in and after a dim. */
function sizes(shape: Shape, dim: number): [number, number, number] {
  let [outer, inner] = [1, 1]
  for (let d = 0; d < dim; d++) outer *= shape[d]!
  for (let d = dim + 1; d < shape.length; d++) inner *= shape[d]!
  return [outer, shape[dim] ?? 1, inner]
}

function forward(op: SoftmaxOp, x: TensorCore, dim: number, owner: Owner | null): TensorCore {
  const t = contiguous(x, owner)
  const out = emptyLike(x, owner)
  if (t.layout.numel === 0) return out
  const [outer, n, inner] = sizes(t.layout.shape, dim)
  backend().job(JOBS[op].forward, t.dt.name as FloatType)(outer, n, inner, address(t), out.storage.ptr)
  return out
}

function slope(op: SoftmaxOp, g: TensorCore, y: TensorCore, dim: number): TensorCore {
  const { owner } = g.storage
  const [from, value] = [contiguous(g, owner), contiguous(y, owner)]
  const out = emptyLike(y, owner)
  if (y.layout.numel === 0) return out
  const [outer, n, inner] = sizes(y.layout.shape, dim)
  backend().job(JOBS[op].backward, y.dt.name as FloatType)(outer, n, inner, address(from), address(value), out.storage.ptr)
  return out
}

const batched =
  (op: () => GeneralOp<Along>) =>
  (b: { x: readonly Tensor[]; dims: readonly number[]; p: Along }): Tensor | undefined =>
    b.x[0]!.ndim === 1 ? undefined : op().one([b.dims[0] === 0 ? b.x[0]! : b.x[0]!.movedim(b.dims[0]!, 0)], { dim: b.p.dim + 1 })

const softmaxOp: GeneralOp<Along> = /* @__PURE__ */ general('softmax', {
  node: 'SoftmaxBackward0',
  forward: ([x], { dim }, owner) => forward('softmax', x!, dim, owner),
  vjp: [
    vjp([OUT], (g, c) => {
      const y = c.out()
      if (!followed(g) && !followed(y)) return slope('softmax', g, y, c.p.dim) as Tensor
      return y.mul(g.sub(g.mul(y).sum({ dim: y.ndim === 0 ? [] : c.p.dim, keepdim: true })))
    }),
  ],
  batch: batched(() => softmaxOp),
})

const logSoftmaxOp: GeneralOp<Along> = /* @__PURE__ */ general('logSoftmax', {
  node: 'LogSoftmaxBackward0',
  forward: ([x], { dim }, owner) => forward('logSoftmax', x!, dim, owner),
  vjp: [
    vjp([OUT], (g, c) => {
      const y = c.out()
      if (!followed(g) && !followed(y)) return slope('logSoftmax', g, y, c.p.dim) as Tensor
      return g.sub(y.exp().mul(g.sum({ dim: y.ndim === 0 ? [] : c.p.dim, keepdim: true })))
    }),
  ],
  batch: batched(() => logSoftmaxOp),
})

const NAMES: Readonly<Partial<Record<DType, string>>> = { int32: 'Int', uint8: 'Byte', bool: 'Bool' }

function prepared(op: SoftmaxOp, x: Tensor, dim: number, options: SoftmaxOptions | undefined): { t: Tensor; p: Along } {
  expectTensor(op, x, 'argument 0')
  checkOptions(op, options, { dtype: 'any' })
  const t = options?.dtype === undefined || dtypeInfo(options.dtype, op) === x.dt ? x : x.to(options.dtype)
  const p = { dim: wrapDim(dim, t.layout.rank, op) }
  if (!t.dt.floating) {
    const torch = op === 'softmax' ? 'softmax' : 'log_softmax'
    throw new DTypeError(
      `"${torch}${p.dim >= t.ndim - 1 ? '_lastdim' : ''}_kernel_impl" not implemented for '${NAMES[t.dt.name]}': ${op} takes floats; convert first, e.g. ${op}(x, ${dim}, { dtype: 'float32' })`,
      { op, dtypes: [t.dt.name] },
    )
  }
  return { t, p }
}

/**
 * eˣ over its sum along `dim`, of any shape, float32 or float64.
 * Errors: IndexError for a dim out of range, DTypeError for integers without `dtype`.
 * @example
 * tensor([1, 2, 3]).softmax(0) // tensor([0.0900, 0.2447, 0.6652])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softmax.html
 */
export function softmax(x: Tensor, dim: number, options?: SoftmaxOptions): Tensor {
  const { t, p } = prepared('softmax', x, dim, options)
  return softmaxOp.one([t], p)
}

/**
 * The logarithm of softmax, without cancellation or overflow; otherwise as `softmax`.
 * @example
 * tensor([0, 0]).logSoftmax(0) // tensor([-0.6931, -0.6931])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.log_softmax.html
 */
export function logSoftmax(x: Tensor, dim: number, options?: SoftmaxOptions): Tensor {
  const { t, p } = prepared('logSoftmax', x, dim, options)
  return logSoftmaxOp.one([t], p)
}
