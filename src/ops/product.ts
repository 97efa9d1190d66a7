/** Products of matrices and vectors as records: transposed operands by strides, leading dims broadcast as batches. */
import { computeType, input, Program, scalar } from '../backend/scalar.ts'
import type { DTypeInfo } from '../dtype.ts'
import { backend, contiguous, copyInto, type Kernel, kernel, runInto } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { workspace } from '../memory/collector.ts'
import { EXTERNAL, type Owner } from '../memory/storage.ts'
import { type Batched, type GeneralOp, general, inFront, vjp } from '../op/general.ts'
import { broadcast, numel, type Shape } from '../shape.ts'
import { type ArrayLike, address, empty, TensorCore } from '../tensor.ts'

/**
 * C[batch…, M, N] = op(A)·op(B): the last two dims are matrices (read transposed if `ta`, `tb`), the others broadcast.
 * `start` (of rank 2 only) is what the product is added to; it broadcasts.
 */
function product(a: ArrayLike, b: ArrayLike, ta: boolean, tb: boolean, start: ArrayLike | null, owner: Owner | null): TensorCore {
  const left = a.storage.ptr === EXTERNAL ? contiguous(a, owner) : a
  const right = b.storage.ptr === EXTERNAL ? contiguous(b, owner) : b
  return left.layout.rank === 2 && right.layout.rank === 2
    ? multiply(left, 0, right, 0, 1, [], ta, tb, start, owner)
    : batches(left, right, ta, tb, owner)
}

function batches(a: ArrayLike, b: ArrayLike, ta: boolean, tb: boolean, owner: Owner | null): TensorCore {
  const lead = broadcast(a.layout.shape.slice(0, -2), b.layout.shape.slice(0, -2), 'matmul')
  const left = batchOperand(a, lead, owner)
  const right = batchOperand(b, lead, owner)
  return multiply(left.array, left.stride, right.array, right.stride, numel(lead), lead, ta, tb, null, owner)
}

/** The operand with one batch stride: as it is where its batch dims allow, else copied. */
function batchOperand(x: ArrayLike, lead: Shape, owner: Owner | null): { array: ArrayLike; stride: number } {
  const l = x.layout
  if (numel(lead) === 1 || numel(l.shape.slice(0, -2)) === 1) return { array: x, stride: 0 }
  const [m, n] = l.shape.slice(-2) as [number, number]
  const full = l.expand([...lead, m, n])
  const flat = new Layout(full.shape.slice(0, -2), full.strides.slice(0, -2), 0).reshape([numel(lead)])
  const array = { storage: x.storage, dt: x.dt, layout: full }
  return flat === undefined ? { array: contiguous(array, owner), stride: m * n } : { array, stride: flat.strides[0]! }
}

function multiply(
  a: ArrayLike,
  aBatch: number,
  b: ArrayLike,
  bBatch: number,
  batch: number,
  lead: Shape,
  ta: boolean,
  tb: boolean,
  start: ArrayLike | null,
  owner: Owner | null,
): TensorCore {
  const la = a.layout
  const lb = b.layout
  const ra = la.rank
  const rb = lb.rank
  const aRow = ta ? ra - 1 : ra - 2
  const aCol = ta ? ra - 2 : ra - 1
  const bRow = tb ? rb - 1 : rb - 2
  const bCol = tb ? rb - 2 : rb - 1
  const m = la.shape[aRow]!
  const k = la.shape[aCol]!
  const n = lb.shape[bCol]!
  const out = empty(Layout.of([...lead, m, n]), a.dt, owner)
  if (out.layout.numel === 0) return out
  const b0 = backend()
  const work = workspace(b0.matmulWork(a.dt.name, m, n, k))
  const from = start === null ? 0 : startOf(out, start)
  const [pa, pb, pc] = [address(a), address(b), out.storage.ptr]
  const sa = la.strides
  const sb = lb.strides
  b0.matmul(a.dt.name)(batch, m, n, k, pa, aBatch, sa[aRow]!, sa[aCol]!, pb, bBatch, sb[bRow]!, sb[bCol]!, pc, m * n, from, work)
  return out
}

/** The address of the row that every row of `out` starts from; otherwise `start` is copied into `out`, and the answer is 1. */
function startOf(out: TensorCore, start: ArrayLike): number {
  const { layout, storage } = start
  const n = out.layout.shape[1]!
  if (layout.numel === n && layout.contiguous && layout.shape.at(-1) === n && storage.ptr !== EXTERNAL) return address(start)
  copyInto(out, start)
  return 1
}

/** Which operands of a product are read transposed, and whether it counts as batched (for its name only). */
export interface Form {
  readonly batched: boolean
  readonly ta: boolean
  readonly tb: boolean
}

const FORMS: readonly Form[] = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => ({ ta: (i & 1) !== 0, tb: (i & 2) !== 0, batched: (i & 4) !== 0 }))

/** The shared form with these flags. */
export function form(batched: boolean, ta: boolean, tb: boolean): Form {
  return FORMS[(batched ? 4 : 0) + (ta ? 1 : 0) + (tb ? 2 : 0)]!
}

/** op(A)·op(B). With C = AᵀB also dA = B·gᵀ: every gradient is one product, nothing is transposed in memory. */
export const matrices: GeneralOp<Form> = /* @__PURE__ */ general('matmul', {
  node: ({ batched }) => (batched ? 'BmmBackward0' : 'MmBackward0'),
  names: ['self', 'mat2'],
  forward: (x, { ta, tb }, owner) => product(x[0]!, x[1]!, ta, tb, null, owner),
  vjp: [
    vjp([1], (g, c) => {
      const { batched, ta, tb } = c.p
      return ta ? matrices.one([c.in(1), g], form(batched, tb, true)) : matrices.one([g, c.in(1)], form(batched, false, !tb))
    }),
    vjp([0], (g, c) => {
      const { batched, ta, tb } = c.p
      return tb ? matrices.one([g, c.in(0)], form(batched, true, ta)) : matrices.one([c.in(0), g], form(batched, !ta, false))
    }),
  ],
  jvp: 'multilinear',
  batch: (b) => {
    const { ta, tb } = b.p
    const ranks = b.x.map((x, i) => x.layout.rank - (b.dims[i] === -1 ? 0 : 1))
    if (b.dims[1] === -1 && ranks[0] === 2 && ranks[1] === 2 && !ta) {
      // All rows against one matrix: one product, and one for its gradient.
      const rows = inFront(b, 0)
      const [size, m, k] = rows.shape as [number, number, number]
      return matrices.one([rows.reshape([size * m, k]), b.x[1]!], form(false, false, tb)).reshape([size, m, b.x[1]!.shape[tb ? 0 : 1]!])
    }
    const rank = Math.max(ranks[0]!, ranks[1]!)
    return matrices.one(
      b.x.map((x, i) => (b.dims[i] === -1 ? x : aligned(inFront(b, i), rank + 1))),
      form(true, ta, tb),
    )
  },
})

/** Size-1 dims after the batch dim, up to `rank`. */
function aligned(x: Tensor, rank: number): Tensor {
  const missing = rank - x.layout.rank
  return missing <= 0 ? x : x.reshape([x.shape[0]!, ...new Array<number>(missing).fill(1), ...x.shape.slice(1)])
}

/** A vector as a matrix of one column. */
const column = (v: TensorCore): ArrayLike => ({
  storage: v.storage,
  dt: v.dt,
  layout: new Layout([v.layout.shape[0]!, 1], [v.layout.strides[0]!, 0], v.layout.offset),
})

const withShape = (y: TensorCore, shape: Shape): TensorCore => new TensorCore(y.storage, Layout.of(shape), y.dt)

/** A·v, or Aᵀ·v. */
export const matrixVector: GeneralOp<{ readonly t: boolean }> = /* @__PURE__ */ general('mv', {
  node: 'MvBackward0',
  forward: ([a, v], { t }, owner) => withShape(product(a!, column(v!), t, false, null, owner), [a!.layout.shape[t ? 1 : 0]!]),
  vjp: [
    vjp([1], (g, c) => (c.p.t ? c.in(1).unsqueeze(1).mul(g) : g.unsqueeze(1).mul(c.in(1)))),
    vjp([0], (g, c) => matrixVector.one([c.in(0), g], { t: !c.p.t })),
  ],
  jvp: 'multilinear',
  batch: (b) => {
    const { t } = b.p
    if (b.dims[0] === -1) return matrices.one([inFront(b, 1), b.x[0]!], form(false, false, !t))
    const v = inFront(b, 1)
    return matrices.one([inFront(b, 0), v.unsqueeze(2)], form(true, t, false)).squeeze(2)
  },
})

/** Σ aᵢbᵢ. */
export const inner: GeneralOp<null> = /* @__PURE__ */ general('dot', {
  node: 'DotBackward0',
  forward: ([a, b], _p, owner) => {
    const row = {
      storage: a!.storage,
      dt: a!.dt,
      layout: new Layout([1, a!.layout.shape[0]!], [0, a!.layout.strides[0]!], a!.layout.offset),
    }
    return withShape(product(row, column(b!), false, false, null, owner), [])
  },
  vjp: [vjp([1], (g, c) => c.in(1).mul(g)), vjp([0], (g, c) => c.in(0).mul(g))],
  jvp: 'multilinear',
  batch: (b) => matrices.one([inFront(b, 0).unsqueeze(1), inFront(b, 1).unsqueeze(2)], form(true, false, false)).reshape([b.size]),
})

/** The factors of `addmm`, and whether its second matrix is read transposed. */
export interface Affine {
  readonly beta: number
  readonly alpha: number
  readonly tb: boolean
}

const combinations: (Kernel | undefined)[] = []
const scalings: (Kernel | undefined)[] = []

function combination(dt: DTypeInfo): Kernel {
  return (combinations[dt.code] ??= kernel(
    new Program(
      [
        input(0)
          .mul(scalar(0))
          .add(input(1).mul(scalar(1))),
      ],
      [dt.name],
      [dt.name, dt.name],
      2,
      computeType(dt.name),
    ),
  ))
}
function scaling(dt: DTypeInfo): Kernel {
  return (scalings[dt.code] ??= kernel(new Program([input(0).mul(scalar(0))], [dt.name], [dt.name], 1, computeType(dt.name))))
}

/** β·c + α·A·op(B); c broadcasts, and is not read at all if β is 0. */
export const affine: GeneralOp<Affine> = /* @__PURE__ */ general('addmm', {
  node: 'AddmmBackward0',
  forward: ([c, a, b], { beta, alpha, tb }, owner) => {
    const plain = beta === 1 && alpha === 1
    const y = product(a!, b!, false, tb, plain ? c! : null, owner)
    if (plain) return y
    if (beta !== 0) runInto(combination(y.dt), [y], [y, c!], [alpha, beta])
    else if (alpha !== 1) runInto(scaling(y.dt), [y], [y], [alpha])
    return y
  },
  vjp: [
    vjp([], (g, c) => times(g, c.p.beta)),
    vjp([2], (g, c) => times(matrices.one([g, c.in(2)], form(false, false, !c.p.tb)), c.p.alpha)),
    vjp([1], (g, c) =>
      times(
        c.p.tb ? matrices.one([g, c.in(1)], form(false, true, false)) : matrices.one([c.in(1), g], form(false, true, false)),
        c.p.alpha,
      ),
    ),
  ],
  jvp: ([tc, ta, tb], c) => {
    const { alpha, beta } = c.p
    const f = form(false, false, c.p.tb)
    const terms: Tensor[] = []
    if (ta) terms.push(times(matrices.one([ta, c.in(2)], f), alpha))
    if (tb) terms.push(times(matrices.one([c.in(1), tb], f), alpha))
    if (tc) terms.push(times(tc.expand(c.out().shape), beta))
    return terms.reduce((x, y) => x.add(y))
  },
  batch: affineBatch,
})

const times = (x: Tensor, factor: number): Tensor => (factor === 1 ? x : x.mul(factor))

function affineBatch(b: Batched<Affine>): Tensor {
  const [c, , m2] = b.x as [Tensor, Tensor, Tensor]
  const { alpha, beta, tb } = b.p
  const rows = inFront(b, 1)
  if (b.dims[0] === -1 && b.dims[2] === -1 && (c.layout.rank < 2 || c.shape[0] === 1)) {
    const [size, m, k] = rows.shape as [number, number, number]
    return affine.one([c, rows.reshape([size * m, k]), m2], b.p).reshape([size, m, m2.shape[tb ? 0 : 1]!])
  }
  const y = times(matrices.one([rows, inFront(b, 2)], form(true, false, tb)), alpha)
  // Without it the added tensor alone may carry the batch.
  if (beta === 0) return y.shape[0] === b.size ? y : y.expand([b.size, ...y.shape.slice(1)])
  return y.add(times(b.dims[0] === -1 ? c : aligned(inFront(b, 0), 3), beta))
}

/** What a composition returned, in another shape. The intermediate can't be reached, so this is no view of it. */
export const unsafeView: GeneralOp<{ readonly shape: Shape; readonly node: string }> = /* @__PURE__ */ general('unsafeView', {
  node: ({ node }) => node,
  forward: (x, { shape }, owner) => {
    const made = x[0]!.layout.reshape(shape)
    return made === undefined ? withShape(contiguous(x[0]!, owner) as TensorCore, shape) : new TensorCore(x[0]!.storage, made, x[0]!.dt)
  },
  vjp: [vjp([], (g, c) => g.reshape(c.shapeOf(0)))],
  jvp: 'linear',
  batch: (b) => inFront(b, 0).reshape([b.size, ...b.p.shape]),
})

/** The rows of x [..., k] times op(W), as one product. */
export function rowsTimes(x: Tensor, w: Tensor, tb: boolean): Tensor {
  const { shape } = x
  const f = form(false, false, tb)
  const n = w.shape[tb ? 0 : 1]!
  if (shape.length === 2) return matrices.one([x, w], f)
  if (shape.length === 1) return unsafeView.one([matrices.one([x.unsqueeze(0), w], f)], { shape: [n], node: 'SqueezeBackward4' })
  const lead = shape.slice(0, -1)
  return unsafeView.one([matrices.one([x.reshape([numel(lead), shape.at(-1)!]), w], f)], {
    shape: [...lead, n],
    node: 'UnsafeViewBackward0',
  })
}
