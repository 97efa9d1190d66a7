/** Norms of matrices, powers and products of several, cross products. */
import { noGrad } from '../autograd/modes.ts'
import { ArgumentError, ShapeError, show, within } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { type GeneralOp, general, inFront, vjp } from '../op/general.ts'
import { norm as vectorNormOf } from '../ops/norm.ts'
import { checkOptions, type Known } from '../options.ts'
import { broadcast, shapeArgument, wrapDim } from '../shape.ts'
import { expectTensor, expectTensors, type TensorCore } from '../tensor.ts'
import { svdvals } from './decompose.ts'
import { checkMatrices, checkSquare } from './matrices.ts'
import { inv } from './solve.ts'

/** What all norms have. */
const NORM: Known<NormOptions> = { ord: 'any', dim: 'any', keepdim: 'boolean' }

/** Options of the norms. */
export interface VectorNormOptions {
  readonly ord?: number
  readonly dim?: number | readonly number[]
  readonly keepdim?: boolean
}

/**
 * The vector norm (Σ|x|ᵒʳᵈ)^(1/ord) over dims, of all elements by default; see the tensor's `norm`.
 * @example
 * linalg.vectorNorm(tensor([3, -4]), { ord: 1 }).item() // 7
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.vector_norm.html
 */
export function vectorNorm(x: Tensor, options: VectorNormOptions = {}): Tensor {
  const op = 'linalg.vectorNorm'
  expectTensor(op, x, 'argument 0')
  checkOptions(op, options, { ...NORM, ord: 'number' })
  const { ord = 2, dim, keepdim = false } = options
  return within(op, () => vectorNormOf(x, { p: ord, keepdim, ...(dim === undefined ? {} : { dim }) }))
}

/** The orders of matrix norms: Frobenius, nuclear, or the largest (smallest, if negative) singular value or sum. */
export type MatrixOrder = 'fro' | 'nuc' | 1 | -1 | 2 | -2 | number

/** Options of `matrixNorm`. */
export interface MatrixNormOptions {
  /** Default 'fro'. */
  readonly ord?: MatrixOrder
  /** The rows' dim and the columns'; default [−2, −1]. */
  readonly dim?: readonly [number, number]
  readonly keepdim?: boolean
}

/**
 * The norm of matrices: 'fro' (default), 'nuc' (the sum of the singular values), ±2 (the largest or smallest), ±1 (of the sums
 * of sizes of columns), ±Infinity (of rows). Errors: ShapeError, DTypeError, ArgumentError.
 * @example
 * linalg.matrixNorm(tensor([[3, 0], [0, 4]])).item() // 5
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.matrix_norm.html
 */
export function matrixNorm(x: Tensor, options: MatrixNormOptions = {}): Tensor {
  const op = 'linalg.matrixNorm'
  checkMatrices(op, x)
  checkOptions(op, options, NORM)
  const { ord = 'fro', keepdim = false, dim = [-2, -1] } = options
  const dims = shapeArgument(dim, [], op)
  if (dims.length !== 2) throw new ArgumentError(`${op}: dim must be a 2-tuple. Got ${show(dims)}`, { op })
  const [rows, columns] = dims.map((d) => wrapDim(d, x.layout.rank, op)) as [number, number]
  if (rows === columns) throw new ArgumentError(`${op}: dims must be different. Got (${show(dims)})`, { op })
  if (typeof ord !== 'number' && ord !== 'fro' && ord !== 'nuc') throw unsupportedOrder(op, ord)
  if (ord === 'fro') return vectorNormOf(x, { p: 2, dim: [rows, columns], keepdim })
  if (ord === 'nuc' || Math.abs(ord) === 2) {
    const s = svdvals(x.movedim([rows, columns], [-2, -1]))
    const y = ord === 'nuc' ? s.sum(-1) : ord > 0 ? s.amax(-1) : s.amin(-1)
    return keepdim ? y.unsqueeze(-1).unsqueeze(-1).movedim([-2, -1], [rows, columns]) : y
  }
  if (Math.abs(ord) !== 1 && Math.abs(ord) !== Number.POSITIVE_INFINITY) {
    throw unsupportedOrder(op, ord)
  }
  const [summed, over] = Math.abs(ord) === 1 ? [rows, columns] : [columns, rows]
  const sums = vectorNormOf(x, { p: 1, dim: summed, keepdim })
  const left = !keepdim && summed < over ? over - 1 : over
  return ord > 0 ? sums.amax({ dim: left, keepdim }) : sums.amin({ dim: left, keepdim })
}

function unsupportedOrder(op: string, ord: unknown): ArgumentError {
  return new ArgumentError(`${op}: Order ${String(ord)} not supported.`, { op })
}

/** Options of `norm`. */
export interface NormOptions {
  readonly ord?: MatrixOrder
  readonly dim?: number | readonly number[]
  readonly keepdim?: boolean
}

/**
 * A vector or matrix norm, as the order and the dims say: without `ord` the 2-norm of all elements; with two dims (or a
 * matrix and an order) `matrixNorm`; else `vectorNorm`.
 * @example
 * linalg.norm(tensor([3, 4])).item() // 5
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.norm.html
 */
export function norm(x: Tensor, options: NormOptions = {}): Tensor {
  expectTensor('linalg.norm', x, 'argument 0')
  checkOptions('linalg.norm', options, NORM)
  const { ord, dim, keepdim = false } = options
  const dims = dim === undefined ? undefined : shapeArgument(dim, [], 'linalg.norm')
  if (ord !== undefined && (dims?.length ?? x.layout.rank) === 2) {
    return within('linalg.norm', () => matrixNorm(x, { ord, keepdim, dim: (dims ?? [0, 1]) as readonly [number, number] }))
  }
  if (typeof ord === 'string') {
    throw new ArgumentError(`linalg.norm: If ord is a str, the input must be a matrix or two dims given, got ${show(x.shape)}`, {
      op: 'linalg.norm',
    })
  }
  return within('linalg.norm', () => vectorNorm(x, { ord: ord ?? 2, keepdim, ...(dim === undefined ? {} : { dim }) }))
}

/**
 * Square matrices (…, n, n) to a whole power; negative ones of the inverse. Errors: ShapeError, ArgumentError, LinAlgError.
 * @example
 * linalg.matrixPower(tensor([[1, 1], [0, 1]]), 3).tolist() // [[1, 3], [0, 1]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.matrix_power.html
 */
export function matrixPower(a: Tensor, n: number): Tensor {
  const op = 'linalg.matrixPower'
  checkSquare(op, a)
  if (!Number.isInteger(n)) throw new ArgumentError(`${op}: the power must be a whole number, got ${n}`, { op })
  if (n < 0) return n === -1 ? inv(a) : matrixPower(inv(a), -n)
  if (n === 0) return a.detach().onesLike().tril().triu()
  if (n === 1) return a.clone()
  let result: Tensor | null = null
  let square = a
  for (let rest = n; ; square = square.matmul(square)) {
    if (rest % 2 === 1) result = result === null ? square : result.matmul(square)
    rest = Math.floor(rest / 2)
    if (rest === 0) return result!
  }
}

/**
 * The product of several matrices in the order that costs least; the first and the last may be vectors.
 * Errors: ArgumentError for fewer than two, ShapeError.
 * @example
 * linalg.multiDot([tensor([[1, 2]]), tensor([[3], [4]]), tensor([[5]])]).tolist() // [[55]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.multi_dot.html
 */
export function multiDot(tensors: readonly Tensor[]): Tensor {
  const op = 'linalg.multiDot'
  expectTensors(op, tensors)
  if (tensors.length < 2) throw new ArgumentError(`${op}(): expected at least 2 tensors but got ${tensors.length}`, { op })
  tensors.forEach((t, i) => {
    const end = i === 0 || i === tensors.length - 1
    if (t.layout.rank !== 2 && !(end && t.layout.rank === 1)) {
      throw new ShapeError(`${op}(): tensor ${i} must be 2D${end ? ' or 1D' : ''} but got ${show(t.shape)}`, { op, shapes: [t.shape] })
    }
  })
  const count = tensors.length
  const matrices = tensors.map((t, i) => (t.layout.rank === 2 ? t : t.unsqueeze(i === 0 ? 0 : 1)))
  const widths = [matrices[0]!.shape[0]!, ...matrices.map((t) => t.shape[1]!)]
  // The cheapest place to cut each run (Cormen et al., §14.2).
  const cost = Array.from({ length: count }, () => new Array<number>(count).fill(0))
  const cut = cost.map((row) => row.slice())
  for (let length = 2; length <= count; length++) {
    for (let i = 0; i + length <= count; i++) {
      const j = i + length - 1
      cost[i]![j] = Number.POSITIVE_INFINITY
      for (let k = i; k < j; k++) {
        const total = cost[i]![k]! + cost[k + 1]![j]! + widths[i]! * widths[k + 1]! * widths[j + 1]!
        if (total >= cost[i]![j]!) continue
        cost[i]![j] = total
        cut[i]![j] = k
      }
    }
  }
  const multiply = (i: number, j: number): Tensor =>
    i === j ? matrices[i]! : multiply(i, cut[i]![j]!).matmul(multiply(cut[i]![j]! + 1, j))
  return within(op, () => multiply(0, count - 1)).view([...tensors[0]!.shape.slice(0, -1), ...tensors[count - 1]!.shape.slice(1)])
}

const crossOp: GeneralOp<{ readonly dim: number }> = /* @__PURE__ */ general('linalg.cross', {
  node: 'LinalgCrossBackward0',
  forward: ([a, b], { dim }) => noGrad((): TensorCore => product(a as Tensor, b as Tensor, dim)),
  vjp: [vjp([1], (g, c) => crossOp.one([c.in(1), g], c.p)), vjp([0], (g, c) => crossOp.one([g, c.in(0)], c.p))],
  jvp: 'multilinear',
  batch: (b) =>
    crossOp.one(
      [inFront(b, 0), inFront(b, 1)].map((x) => (x.shape[0] === b.size ? x : x.expand([b.size, ...x.shape.slice(1)]))),
      { dim: b.p.dim + 1 },
    ),
})

/** Element i is aⱼ·bₖ − aₖ·bⱼ for (i, j, k) in cyclic order. */
function product(a: Tensor, b: Tensor, dim: number): Tensor {
  return a
    .roll(-1, dim)
    .mul(b.roll(-2, dim))
    .sub(a.roll(-2, dim).mul(b.roll(-1, dim)))
}

/**
 * The cross product of vectors of three numbers along `dim` (the last by default); others broadcast. Errors: ShapeError.
 * @example
 * linalg.cross(tensor([1, 0, 0]), tensor([0, 1, 0])).tolist() // [0, 0, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.cross.html
 */
export function cross(a: Tensor, b: Tensor, options: { readonly dim?: number } = {}): Tensor {
  const op = 'linalg.cross'
  expectTensor(op, a, 'argument 0')
  expectTensor(op, b, 'argument 1')
  checkOptions(op, options, { dim: 'any' })
  if (a.layout.rank !== b.layout.rank) {
    throw new ShapeError(`${op}: inputs must have the same number of dimensions: ${show(a.shape)} and ${show(b.shape)}`, {
      op,
      shapes: [a.shape, b.shape],
    })
  }
  const dim = wrapDim(options.dim ?? -1, a.layout.rank, op)
  if (a.shape[dim] !== 3 || b.shape[dim] !== 3) {
    throw new ShapeError(`${op}: inputs dimension ${dim} must have length 3. Got ${show(a.shape)} and ${show(b.shape)}`, {
      op,
      shapes: [a.shape, b.shape],
    })
  }
  const shape = broadcast(a.shape, b.shape, op)
  return crossOp.one([a.expand(shape), b.expand(shape)], { dim })
}

/**
 * The dot products Σ x·y over a dim (the last by default); the others broadcast.
 * @example
 * linalg.vecdot(tensor([[1, 2], [3, 4]]), tensor([1, 1])).tolist() // [3, 7]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.vecdot.html
 */
export function vecdot(x: Tensor, y: Tensor, options: { readonly dim?: number } = {}): Tensor {
  const op = 'linalg.vecdot'
  expectTensor(op, x, 'argument 0')
  expectTensor(op, y, 'argument 1')
  checkOptions(op, options, { dim: 'number' })
  return within(op, () => x.mul(y).sum(options.dim ?? -1))
}

/**
 * How many singular values are above max(m, n) · ε · the largest (int32).
 * @example
 * linalg.matrixRank(tensor([[1, 2], [2, 4]])).item() // 1
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.matrix_rank.html
 */
export function matrixRank(a: Tensor, options: { readonly atol?: number; readonly rtol?: number } = {}): Tensor {
  checkMatrices('linalg.matrixRank', a)
  checkOptions('linalg.matrixRank', options, { atol: 'number', rtol: 'number' })
  const s = svdvals(a.detach())
  const { atol = 0 } = options
  const epsilon = a.dtype === 'float64' ? Number.EPSILON : 2 ** -23
  const rtol = options.rtol ?? (atol > 0 ? 0 : Math.max(...a.shape.slice(-2)) * epsilon)
  return s
    .gt(
      s
        .narrow(-1, 0, Math.min(1, s.shape.at(-1)!))
        .mul(rtol)
        .clamp({ min: atol }),
    )
    .sum(-1)
}
