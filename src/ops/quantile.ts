/** Quantiles along a dim, by interpolation between sorted elements. */
import { ArgumentError, DTypeError, IndexError, show } from '../errors.ts'
import { full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { checkOptions } from '../options.ts'
import { wrapDim } from '../shape.ts'
import { expectTensor } from '../tensor.ts'
import { unsafeView } from './product.ts'
import { sort } from './sorting.ts'

/** Options of `quantile`. */
export interface QuantileOptions {
  /** Absent: of all elements. */
  readonly dim?: number
  readonly keepdim?: boolean
  /** What lies between two elements. Default 'linear'. */
  readonly interpolation?: 'linear' | 'lower' | 'higher' | 'midpoint' | 'nearest'
}

const BETWEEN = ['linear', 'lower', 'higher', 'midpoint', 'nearest']

function quantileOf(op: string, x: Tensor, q: number | Tensor, options: QuantileOptions, skip: boolean): Tensor {
  expectTensor(op, x, 'argument 0')
  checkOptions(op, options, { dim: 'any', keepdim: 'boolean', interpolation: 'any' })
  const { dim, keepdim = false, interpolation = 'linear' } = options
  if (typeof q !== 'number') expectTensor(op, q, 'q')
  if (!BETWEEN.includes(interpolation)) {
    throw new ArgumentError(`${op}() interpolation must be one of ${BETWEEN.join(', ')}, but got ${String(interpolation)}`, { op })
  }
  if (!x.dt.floating)
    throw new DTypeError(`${op}() input tensor must be either float or double dtype, got ${x.dtype}`, { op, dtypes: [x.dtype] })
  if (typeof q === 'number' && !(q >= 0 && q <= 1)) throw new ArgumentError(`${op}() q must be in the range [0, 1] but got ${q}`, { op })
  const at = typeof q === 'number' ? (full([], q, x.dt, null) as Tensor) : q.detach()
  if (at.layout.rank > 1) throw new ArgumentError(`${op}() q must be a scalar or 1D tensor, got ${show(at.shape)}`, { op })
  if (at.dt !== x.dt)
    throw new DTypeError(`${op}() q tensor must be same dtype as the input tensor, got ${at.dtype}`, { op, dtypes: [x.dtype, at.dtype] })
  const { rank } = x.layout
  const d = dim === undefined ? 0 : wrapDim(dim, rank, op)
  const lines = dim === undefined || rank === 0 ? x.reshape([-1]) : x.movedim(d, -1)
  const n = lines.shape.at(-1)!
  if (n === 0) throw new IndexError(`${op}() input tensor must be non-empty`, { op, shapes: [x.shape] })
  const sorted = sort(lines).values
  const last = sorted.detach().isnan().logicalNot().sum({ dim: -1, keepdim: true }).sub(1).to(x.dtype)
  const level = at.reshape([-1])
  // A NaN, which stands last, is every quantile of its line.
  const rank0 = skip ? level.mul(last.clampMin(0)) : level.mul(n - 1).where(last.eq(n - 1), n - 1)
  const place =
    interpolation === 'lower'
      ? rank0.floor()
      : interpolation === 'higher'
        ? rank0.ceil()
        : interpolation === 'nearest'
          ? rank0.round()
          : rank0
  const below = place.floor()
  const shape = [...lines.shape.slice(0, -1), level.numel()]
  const pick = (where: Tensor): Tensor => sorted.gather(-1, where.to('int32').expand(shape))
  let y = pick(below)
  if (interpolation === 'linear' || interpolation === 'midpoint') {
    const weight = interpolation === 'midpoint' ? below.ne(place).to(x.dtype).mul(0.5) : place.sub(below)
    y = y.lerp(pick(place.ceil()), weight.expand(shape))
  }
  const scalar = at.layout.rank === 0
  if (keepdim) y = dim === undefined || rank === 0 ? y.reshape([...new Array<number>(rank).fill(1), level.numel()]) : y.unsqueeze(d)
  const made = scalar ? y : y.movedim(-1, 0)
  return unsafeView.one([made], { shape: scalar ? y.shape.slice(0, -1) : made.shape, node: 'SqueezeBackward4' })
}

/**
 * The q-th quantiles (0 ≤ q ≤ 1; a number, or a vector that adds a first dim) of all elements or along a dim. A NaN makes
 * its line NaN. Errors: ArgumentError, DTypeError, IndexError for nothing.
 * @example
 * quantile(tensor([1, 2, 3, 4]), tensor([0.5, 1])).tolist() // [2.5, 4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.quantile.html
 */
export function quantile(x: Tensor, q: number | Tensor, options: QuantileOptions = {}): Tensor {
  return quantileOf('quantile', x, q, options, false)
}

/**
 * As `quantile`, of the elements that aren't NaN.
 * @example
 * nanquantile(tensor([1, NaN, 3]), 0.5).item() // 2
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nanquantile.html
 */
export function nanquantile(x: Tensor, q: number | Tensor, options: QuantileOptions = {}): Tensor {
  return quantileOf('nanquantile', x, q, options, true)
}
