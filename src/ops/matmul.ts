/** Products of matrices and vectors. */

import { dtypes, promote } from '../dtype.ts'
import { DTypeError, ShapeError, show } from '../errors.ts'
import { backend, contiguous, fillWith, workspace } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { EXTERNAL, type Owner } from '../memory/storage.ts'
import { type GeneralOp, general, vjp } from '../op/general.ts'
import { broadcast, numel } from '../shape.ts'
import { type ArrayLike, address, empty, expectTensor, type TensorCore } from '../tensor.ts'

/** C[batch…, M, N] = A[batch…, M, K] · B[batch…, K, N]; the batch dims are equal or broadcast as stride 0. */
export function product(a: ArrayLike, b: ArrayLike, owner: Owner | null): TensorCore {
  const ra = a.layout.rank
  const rb = b.layout.rank
  const m = a.layout.shape[ra - 2]!
  const k = a.layout.shape[ra - 1]!
  const n = b.layout.shape[rb - 1]!
  const batchShape = broadcast(a.layout.shape.slice(0, -2), b.layout.shape.slice(0, -2), 'matmul')
  const batch = numel(batchShape)
  const out = empty(Layout.of([...batchShape, m, n]), a.dt, owner)
  if (out.layout.numel === 0) return out
  const left = batchOperand(a, batchShape, owner)
  const right = batchOperand(b, batchShape, owner)
  const work = workspace(backend().matmulWork(a.dt.name, m, n, k))
  const fn = backend().matmul(a.dt.name)
  const la = left.array.layout
  const lb = right.array.layout
  if (k === 0) {
    fillWith(out, 0)
    return out
  }
  fn(
    batch,
    m,
    n,
    k,
    address(left.array),
    left.stride,
    la.strides[la.rank - 2]!,
    la.strides[la.rank - 1]!,
    address(right.array),
    right.stride,
    lb.strides[lb.rank - 2]!,
    lb.strides[lb.rank - 1]!,
    out.storage.ptr,
    m * n,
    0,
    work,
  )
  return out
}

/** The operand with one batch stride: as it is where its batch dims allow, else copied. */
function batchOperand(x: ArrayLike, batchShape: readonly number[], owner: Owner | null): { array: ArrayLike; stride: number } {
  const inside = x.storage.ptr === EXTERNAL ? contiguous(x, owner) : x
  const l = inside.layout
  if (numel(batchShape) === 1 || numel(l.shape.slice(0, -2)) === 1) return { array: inside, stride: 0 }
  const matrix = l.shape.slice(-2)
  const full = l.expand([...batchShape, ...matrix])
  const lead = new Layout(full.shape.slice(0, -2), full.strides.slice(0, -2), 0)
  const flat = lead.reshape([numel(batchShape)])
  if (flat !== undefined) return { array: { storage: inside.storage, dt: inside.dt, layout: full }, stride: flat.strides[0]! }
  return { array: contiguous({ storage: inside.storage, dt: inside.dt, layout: full }, owner), stride: matrix[0]! * matrix[1]! }
}

const matmulOp: GeneralOp<{ node: string }> = /* @__PURE__ */ general('matmul', {
  node: ({ node }) => node,
  forward: (x, _p, owner) => product(x[0]!, x[1]!, owner),
  vjp: [
    vjp([1], (g, c) => matmulOp.one([g, c.in(1).transpose(-2, -1)], c.p)),
    vjp([0], (g, c) => matmulOp.one([c.in(0).transpose(-2, -1), g], c.p)),
  ],
  jvp: 'multilinear',
})

/** Both operands in their common dtype. */
function common(op: string, a: Tensor, b: Tensor): readonly [Tensor, Tensor] {
  if (a.dt === b.dt) {
    if (a.dt === dtypes.bool)
      throw new DTypeError(`${op}: not implemented for bool; convert first, e.g. x.to('float32')`, { op, dtypes: ['bool'] })
    return [a, b]
  }
  throw new DTypeError(
    `${op}: expected both operands to have the same dtype, but got ${a.dtype} and ${b.dtype}; convert one with to('${promote(a.dt, b.dt).name}')`,
    { op, dtypes: [a.dtype, b.dtype] },
  )
}

/**
 * The matrix product of tensors of any rank: 1-dim operands are vectors, leading dims broadcast as batches.
 * Errors: ShapeError when the inner sizes differ, DTypeError when the dtypes do.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.matmul.html
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  expectTensor('matmul', a, 'argument 0')
  expectTensor('matmul', b, 'argument 1')
  const [x, y] = common('matmul', a, b)
  const ra = x.layout.rank
  const rb = y.layout.rank
  if (ra === 0 || rb === 0)
    throw new ShapeError(
      `matmul: both arguments need at least 1 dimension, got ${show(x.shape)} and ${show(y.shape)}; use mul for scalars`,
      { op: 'matmul', shapes: [x.shape, y.shape] },
    )
  const k = x.layout.shape[ra - 1]!
  const inner = y.layout.shape[rb === 1 ? 0 : rb - 2]!
  if (k !== inner)
    throw new ShapeError(`matmul: inner dimensions differ: ${show(x.shape)} × ${show(y.shape)} (${k} against ${inner})`, {
      op: 'matmul',
      shapes: [x.shape, y.shape],
    })
  if (ra === 1 && rb === 1) return x.mul(y).sum()
  if (ra === 1) return matmulOp.one([x.unsqueeze(0), y], { node: 'MmBackward0' }).squeeze(-2)
  if (rb === 1) return matmulOp.one([x, y.unsqueeze(1)], { node: 'MvBackward0' }).squeeze(-1)
  if (rb === 2 && ra > 2 && x.layout.contiguous) {
    // A stack of rows against one matrix is one product.
    const rows = numel(x.layout.shape.slice(0, -1))
    return matmulOp.one([x.reshape([rows, k]), y], { node: 'MmBackward0' }).reshape([...x.layout.shape.slice(0, -1), y.layout.shape[1]!])
  }
  return matmulOp.one([x, y], { node: ra === 2 && rb === 2 ? 'MmBackward0' : 'BmmBackward0' })
}
