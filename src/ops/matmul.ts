/** Products of matrices and vectors. */
import { dtypes, promote } from '../dtype.ts'
import { ArgumentError, DTypeError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkOptions } from '../options.ts'
import { broadcast, expandable, numel } from '../shape.ts'
import { expectTensor } from '../tensor.ts'
import { affine, form, inner, matrices, matrixVector, rowsTimes, unsafeView } from './product.ts'

const by = (shape: readonly number[]): string => shape.join('x')

/** Refuses operands of different dtypes, and bool. */
function sameTypes(op: string, a: Tensor, b: Tensor): void {
  if (a.dt !== b.dt) {
    throw new DTypeError(
      `expected m1 and m2 to have the same dtype, but got: ${a.dtype} != ${b.dtype}; ${op} doesn't promote, convert one with to('${promote(a.dt, b.dt).name}')`,
      { op, dtypes: [a.dtype, b.dtype] },
    )
  }
  if (a.dt === dtypes.bool)
    throw new DTypeError(`"${op}" not implemented for 'Bool'; convert first, e.g. x.to('float32')`, { op, dtypes: ['bool'] })
}

function expectBoth(op: string, a: Tensor, b: Tensor): void {
  expectTensor(op, a, 'argument 0')
  expectTensor(op, b, 'argument 1')
}

function refuseShapes(op: string, message: string, ...tensors: Tensor[]): ShapeError {
  return new ShapeError(message, { op, shapes: tensors.map((t) => t.shape) })
}

function checkInner(op: string, a: Tensor, b: Tensor): void {
  if (a.shape.at(-1) !== b.shape.at(-2)) {
    throw refuseShapes(
      op,
      `mat1 and mat2 shapes cannot be multiplied (${by(a.shape)} and ${by(b.shape)}): ${op} of ${show(a.shape)} and ${show(b.shape)} needs as many columns on the left as rows on the right`,
      a,
      b,
    )
  }
}

/** Checked products of fixed ranks; `op` names what the user called. */
function multiplyMatrices(op: string, a: Tensor, b: Tensor): Tensor {
  checkInner(op, a, b)
  sameTypes(op, a, b)
  return matrices.one([a, b], form(false, false, false))
}

function multiplyVector(op: string, a: Tensor, v: Tensor): Tensor {
  if (a.shape[1] !== v.shape[0])
    throw refuseShapes(
      op,
      `size mismatch, got input (${a.shape[0]}), mat (${by(a.shape)}), vec (${v.shape[0]}): ${op} of ${show(a.shape)} and ${show(v.shape)} needs as many elements as columns`,
      a,
      v,
    )
  sameTypes(op, a, v)
  return matrixVector.one([a, v], { t: false })
}

function multiplyVectors(op: string, a: Tensor, b: Tensor): Tensor {
  const [n, m] = [a.shape[0]!, b.shape[0]!]
  if (n !== m)
    throw refuseShapes(
      op,
      `inconsistent tensor size, expected tensor [${n}] and src [${m}] to have the same number of elements, but got ${n} and ${m} elements respectively (${op})`,
      a,
      b,
    )
  sameTypes(op, a, b)
  return inner.one([a, b], null)
}

/**
 * Should a stack of matrices be multiplied with one matrix (or vector) as one tall matrix? Always where the gradient of
 * the one is asked for (it is one product, not a sum of many), else where it costs no copy.
 */
function folds(stack: Tensor, one: Tensor, stackFirst: boolean): boolean {
  if (stack.layout.rank < 3 || one.layout.rank > 2) return false
  if (one.rg) return true
  if (one.layout.rank === 2 && !stackFirst) return false
  const { shape } = stack.layout
  return stack.layout.numel === 0 || stack.layout.reshape([numel(shape.slice(0, -1)), shape.at(-1)!]) !== undefined
}

/**
 * The matrix product of tensors of any rank: 1-dim operands are vectors, leading dims broadcast as batches.
 * Errors: ShapeError when the inner sizes differ or the batches don't broadcast, DTypeError when the dtypes differ.
 * @example
 * tensor([[1, 2], [3, 4]]).matmul(tensor([1, 1])).tolist() // [3, 7]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.matmul.html
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  expectBoth('matmul', a, b)
  const ra = a.layout.rank
  const rb = b.layout.rank
  if (ra === 2 && rb === 2) return multiplyMatrices('matmul', a, b)
  if (ra === 0 || rb === 0)
    throw refuseShapes(
      'matmul',
      `both arguments to matmul need to be at least 1D, but they are ${ra}D and ${rb}D; use mul to multiply by a scalar`,
      a,
      b,
    )
  if (ra === 1 && rb === 1) return multiplyVectors('matmul', a, b)
  if (ra === 2 && rb === 1) return multiplyVector('matmul', a, b)
  const column = rb === 1 ? b.unsqueeze(1) : b
  checkInner('matmul', a, column)
  sameTypes('matmul', a, b)
  if (ra === 1 && rb === 2) return rowsTimes(a, b, false)
  // A stack of one matrix against a stack of many counts as one matrix.
  if (ra === 3 && rb === 3 && a.shape[0] !== b.shape[0]) {
    if (b.shape[0] === 1) return matmul(a, b.squeeze(0))
    if (a.shape[0] === 1) return matmul(a.squeeze(0), b)
  }
  if (ra >= rb && folds(a, b, true)) {
    if (rb === 2) return rowsTimes(a, b, false)
    const lead = a.shape.slice(0, -1)
    const y = matrixVector.one([a.reshape([numel(lead), a.shape.at(-1)!]), b], { t: false })
    return unsafeView.one([y], { shape: lead, node: 'UnsafeViewBackward0' })
  }
  // A·Bᵢ for many B is (Bᵢᵀ·Aᵀ)ᵀ.
  if (ra === 2 && rb > 2 && folds(b, a, false)) {
    const n = b.shape.at(-1)!
    const stack = b.transpose(-2, -1)
    const y = matrices.one([stack.reshape([-1, stack.shape.at(-1)!]), a], form(false, false, true))
    const shaped = unsafeView.one([y], { shape: [...b.shape.slice(0, -2), n, a.shape[0]!], node: 'UnsafeViewBackward0' })
    return shaped.transpose(-2, -1).contiguous()
  }
  const row = ra === 1 ? a.unsqueeze(0) : a
  const lead = broadcast(row.shape.slice(0, -2), column.shape.slice(0, -2), 'matmul')
  const y = matrices.one([row, column], form(true, false, false))
  const shape = [...lead, ...(ra === 1 ? [] : [row.shape.at(-2)!]), ...(rb === 1 ? [] : [column.shape.at(-1)!])]
  return unsafeView.one([y], { shape, node: 'UnsafeViewBackward0' })
}

/**
 * The product of two matrices.
 * Errors: ShapeError unless both have two dims and the inner sizes agree, DTypeError when the dtypes differ.
 * @example
 * tensor([[1, 2]]).mm(tensor([[3], [4]])).tolist() // [[11]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.mm.html
 */
export function mm(a: Tensor, b: Tensor): Tensor {
  expectBoth('mm', a, b)
  if (a.layout.rank !== 2) throw refuseShapes('mm', `self must be a matrix: mm got ${show(a.shape)}; matmul takes any rank`, a, b)
  if (b.layout.rank !== 2) throw refuseShapes('mm', `mat2 must be a matrix: mm got ${show(b.shape)}; matmul takes any rank`, a, b)
  return multiplyMatrices('mm', a, b)
}

/**
 * The products of two stacks of matrices: [b, m, k] and [b, k, n] give [b, m, n].
 * Errors: ShapeError unless both have three dims, equal batches and inner sizes, DTypeError when the dtypes differ.
 * @example
 * ones([2, 1, 3]).bmm(ones([2, 3, 1])).tolist() // [[[3]], [[3]]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.bmm.html
 */
export function bmm(a: Tensor, b: Tensor): Tensor {
  expectBoth('bmm', a, b)
  if (a.layout.rank !== 3) throw refuseShapes('bmm', `batch1 must be a 3D tensor: bmm got ${show(a.shape)}; matmul takes any rank`, a, b)
  if (b.layout.rank !== 3) throw refuseShapes('bmm', `batch2 must be a 3D tensor: bmm got ${show(b.shape)}; matmul takes any rank`, a, b)
  if (a.shape[0] !== b.shape[0] || a.shape[2] !== b.shape[1]) {
    throw refuseShapes(
      'bmm',
      `Expected size for first two dimensions of batch2 tensor to be: [${a.shape[0]}, ${a.shape[2]}] but got: [${b.shape[0]}, ${b.shape[1]}]: bmm of ${show(a.shape)} and ${show(b.shape)}; matmul broadcasts batches`,
      a,
      b,
    )
  }
  sameTypes('bmm', a, b)
  return matrices.one([a, b], form(true, false, false))
}

/**
 * A matrix [m, k] times a vector [k].
 * Errors: ShapeError for other ranks and when the sizes differ, DTypeError when the dtypes do.
 * @example
 * tensor([[1, 2], [3, 4]]).mv(tensor([1, 1])).tolist() // [3, 7]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.mv.html
 */
export function mv(a: Tensor, v: Tensor): Tensor {
  expectBoth('mv', a, v)
  if (a.layout.rank !== 2 || v.layout.rank !== 1)
    throw refuseShapes(
      'mv',
      `vector + matrix @ vector expected, got ${a.layout.rank}D, ${v.layout.rank}D: mv of ${show(a.shape)} and ${show(v.shape)}`,
      a,
      v,
    )
  return multiplyVector('mv', a, v)
}

/**
 * The inner product of two vectors.
 * Errors: ShapeError unless both have one dim and the same size, DTypeError when the dtypes differ.
 * @example
 * tensor([1, 2]).dot(tensor([3, 4])).item() // 11
 * @see https://docs.pytorch.org/docs/stable/generated/torch.dot.html
 */
export function dot(a: Tensor, b: Tensor): Tensor {
  expectBoth('dot', a, b)
  if (a.layout.rank !== 1 || b.layout.rank !== 1)
    throw refuseShapes(
      'dot',
      `1D tensors expected, but got ${a.layout.rank}D and ${b.layout.rank}D tensors: dot of ${show(a.shape)} and ${show(b.shape)}; matmul takes any rank`,
      a,
      b,
    )
  return multiplyVectors('dot', a, b)
}

/**
 * All products of two vectors' elements: [m] and [n] give [m, n].
 * Errors: ShapeError unless both have one dim.
 * @example
 * tensor([1, 2]).outer(tensor([3, 4])).tolist() // [[3, 4], [6, 8]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.outer.html
 */
export function outer(a: Tensor, b: Tensor): Tensor {
  expectBoth('outer', a, b)
  if (a.layout.rank !== 1) throw refuseShapes('outer', `outer: Expected 1-D argument self, but got ${a.layout.rank}-D`, a, b)
  if (b.layout.rank !== 1) throw refuseShapes('outer', `outer: Expected 1-D argument vec2, but got ${b.layout.rank}-D`, a, b)
  return a.unsqueeze(1).mul(b)
}

/** Options of `addmm`. */
export interface AddmmOptions {
  /** Factor of the added tensor; with 0 it isn't read at all. Default 1. */
  readonly beta?: number
  /** Factor of the product. Default 1. */
  readonly alpha?: number
}

/**
 * beta·x + alpha·(a·b) for matrices a [m, k] and b [k, n]; x broadcasts to [m, n].
 * Errors: ShapeError when the shapes don't fit, DTypeError when the dtypes differ.
 * @example
 * ones([1, 1]).addmm(tensor([[1, 2]]), tensor([[3], [4]])).tolist() // [[12]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.addmm.html
 */
export function addmm(x: Tensor, a: Tensor, b: Tensor, options: AddmmOptions = {}): Tensor {
  expectTensor('addmm', x, 'argument 0')
  expectTensor('addmm', a, 'argument 1')
  expectTensor('addmm', b, 'argument 2')
  checkOptions('addmm', options, { beta: 'number', alpha: 'number' })
  const { beta = 1, alpha = 1 } = options
  if (a.layout.rank !== 2 || b.layout.rank !== 2) {
    const [name, t] = a.layout.rank === 2 ? ['mat2', b] : ['mat1', a]
    throw refuseShapes(
      'addmm',
      `${name} must be a matrix, got ${t.layout.rank}-D tensor: addmm of ${show(a.shape)} and ${show(b.shape)}`,
      x,
      a,
      b,
    )
  }
  checkInner('addmm', a, b)
  sameTypes('addmm', a, b)
  sameTypes('addmm', x, a)
  const target = [a.shape[0]!, b.shape[1]!]
  if (!expandable(x.shape, target)) {
    const lead = target.length - x.layout.rank
    const dim = lead < 0 ? 0 : target.findIndex((n, d) => d >= lead && x.shape[d - lead] !== 1 && x.shape[d - lead] !== n)
    throw refuseShapes(
      'addmm',
      lead < 0
        ? `expand: the number of sizes provided (2) must be greater or equal to the number of dimensions in the tensor (${x.layout.rank}): addmm adds to ${show(target)}`
        : `The expanded size of the tensor (${target[dim]}) must match the existing size (${x.shape[dim - lead]}) at non-singleton dimension ${dim}.  Target sizes: ${show(target)}.  Tensor sizes: ${show(x.shape)} (addmm)`,
      x,
      a,
      b,
    )
  }
  if (!a.dt.floating && !(Number.isInteger(beta) && Number.isInteger(alpha)))
    throw new ArgumentError(
      `For integral input tensors, argument ${Number.isInteger(beta) ? 'alpha' : 'beta'} must not be a floating point number (addmm)`,
      { op: 'addmm' },
    )
  return affine.one([x, a, b], { beta, alpha, tb: false })
}
