/** Attention as one node: products, softmax and products again by blocks of queries, so that no matrix of all weights is kept. */
import type { FloatType } from '../backend/backend.ts'
import { attention, attentionBackward, attentionDot } from '../backend/jobs/attention.ts'
import { dtypes } from '../dtype.ts'
import { ArgumentError, DTypeError, ShapeError, show } from '../errors.ts'
import { backend, contiguous, fillWith, full, resident } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { workspace } from '../memory/collector.ts'
import type { Owner } from '../memory/storage.ts'
import { followed } from '../op/follow.ts'
import { type Context, type GeneralOp, general, inFront, OUT, type VjpRule, vjp } from '../op/general.ts'
import { checkOptions, describe } from '../options.ts'
import { broadcast, numel, type Shape, sameShape } from '../shape.ts'
import { type ArrayLike, address, eachIndex, empty, expectTensor, type TensorCore } from '../tensor.ts'
import { choose } from './choose.ts'
import { dropout } from './dropout.ts'

/** Elements of a block of scores: with the gradients of its weights it stays in the second-level cache. */
const BLOCK = 65536
/** Queries of a block at least: the products pack the keys and the values again for each. */
const LEAST = 96

interface Attend {
  readonly scale: number
  readonly causal: boolean
  /** Is the fourth operand a mask? */
  readonly masked: boolean
  /** Are the weights kept for the backward pass? Else they are computed twice. */
  readonly kept: boolean
}

/** Elements up to which the weights of all heads are kept for the backward pass. */
const KEPT = 2 ** 22

/** The sizes of an attention, and how its queries go in blocks. */
interface Sizes {
  readonly l: number
  readonly s: number
  readonly e: number
  readonly d: number
  readonly rows: number
}

function sizesOf(q: ArrayLike, v: ArrayLike): Sizes {
  const [l, e] = q.layout.shape.slice(-2) as [number, number]
  const [s, d] = v.layout.shape.slice(-2) as [number, number]
  const blocks = Math.ceil(l / Math.max(LEAST, BLOCK / s))
  // Whole tiles of the products.
  return { l, s, e, d, rows: Math.min(l, Math.ceil(l / blocks / 6) * 6) }
}

/** An array of matrices: where each starts, in bytes, and the strides within, in elements. Taken once all is allocated. */
class Matrices {
  readonly steps: readonly [number, number]
  readonly turned: readonly [number, number]
  /** Bytes from row to row. */
  readonly row: number
  readonly #starts: number[] = []
  readonly #bytes: number

  constructor(x: ArrayLike) {
    const { shape, strides } = x.layout
    const [row, col] = strides.slice(-2) as [number, number]
    this.steps = [row, col]
    this.turned = [col, row]
    this.#bytes = x.dt.bytes
    this.row = row * x.dt.bytes
    const first = address(x)
    eachIndex(new Layout(shape.slice(0, -2), strides.slice(0, -2), 0), (at) => this.#starts.push(first + at * this.#bytes))
  }
  get count(): number {
    return this.#starts.length
  }
  /** Elements from one matrix to the next, as far as they lie evenly. */
  get batch(): number {
    return this.count < 2 ? 0 : (this.#starts[1]! - this.#starts[0]!) / this.#bytes
  }
  /** How many matrices from the first on, and from any multiple of that, lie evenly. */
  get even(): number {
    let n = Math.min(2, this.count)
    while (n < this.count && this.#starts[n]! - this.#starts[n - 1]! === this.batch * this.#bytes) n++
    return n
  }
  /** The address of a row of matrix number `i`. */
  at(i: number, row = 0): number {
    return this.#starts[i]! + row * this.row
  }
}

/** How many matrices of each array go into one batch of products, whose scores make up a block. */
function batchOf(arrays: readonly Matrices[], { l, s, rows }: Sizes): number {
  if (rows < l) return 1
  const even = Math.min(...arrays.map((a) => a.even))
  let n = Math.min(even, Math.max(1, Math.floor(BLOCK / (l * s))))
  while (even % n !== 0) n--
  return n
}

/** The array with the elements of a row next to each other. */
const rowwise = (x: ArrayLike, owner: Owner | null): ArrayLike => (x.layout.strides.at(-1) === 1 ? resident(x) : contiguous(x, owner))

/** An operand of a batch of products: its address, its strides of matrices, rows and columns. */
type Operand = readonly [address: number, batch: number, steps: readonly [number, number]]
/** A batch of products of m·k by k·n, written one after the other. */
type Multiply = (m: number, n: number, k: number, a: Operand, b: Operand, c: number, accumulate: boolean) => void

/** Products in batches, and the address of a workspace of `elements`. May sweep: read other addresses after. */
function workshop(
  dtype: FloatType,
  { s, e, d, rows }: Sizes,
  bytes: number,
  elements: number,
): { products: (batch: number) => Multiply; work: number } {
  const b = backend()
  const kernel = b.matmul(dtype)
  const wide = Math.max(e, d)
  const needs = [b.matmulWork(dtype, rows, s, wide), b.matmulWork(dtype, rows, wide, s), b.matmulWork(dtype, s, wide, rows)]
  // Blocks may end with a single row, and such products want a vector more.
  const room = Math.ceil((Math.max(...needs) + Math.max(s, wide, rows) * bytes) / 16) * 16
  const start = workspace(room + elements * bytes)
  return {
    products:
      (batch) =>
      (m, n, k, [pa, aBatch, [aRow, aCol]], [pb, bBatch, [bRow, bCol]], pc, accumulate) =>
        kernel(batch, m, n, k, pa, aBatch, aRow, aCol, pb, bBatch, bRow, bCol, pc, m * n, accumulate ? 1 : 0, start),
    work: start + room,
  }
}

/** The result and the weights if they are kept; else the result and each row's maximum and reciprocal sum of exponentials. */
function attend(x: readonly TensorCore[], { scale, causal, kept }: Attend, owner: Owner | null): TensorCore[] {
  const { dt } = x[0]!
  const dtype = dt.name as FloatType
  const { bytes } = dt
  const [query, key, value] = x.slice(0, 3).map(resident) as [ArrayLike, ArrayLike, ArrayLike]
  const shift = x[3] && rowwise(x[3], owner)
  const sizes = sizesOf(query, value)
  const { l, s, e, d, rows } = sizes
  const lead = query.layout.shape.slice(0, -2)
  const out = empty(Layout.of([...lead, l, d]), dt, owner)
  const weights = kept ? empty(Layout.of([...lead, l, s]), dt, owner) : null
  const statistics = kept ? [] : [empty(Layout.of([...lead, l]), dt, owner), empty(Layout.of([...lead, l]), dt, owner)]
  const { products, work } = workshop(dtype, sizes, bytes, (kept ? 0 : Math.max(BLOCK, rows * s)) + 2 * rows)
  const weigh = backend().job(attention, dtype)
  const [q, k, v, y] = [query, key, value, out].map((t) => new Matrices(t)) as [Matrices, Matrices, Matrices, Matrices]
  const mask = shift && new Matrices(shift)
  const batch = batchOf([q, k, v], sizes)
  const multiply = products(batch)
  for (let i = 0; i < q.count; i += batch) {
    for (let row = 0; row < l; row += rows) {
      const m = Math.min(rows, l - row)
      // Kept weights have a place for every key, batches one length.
      const n = causal && !kept && batch === 1 ? Math.min(s, row + m) : s
      const scores = weights === null ? work + 2 * rows * bytes : weights.storage.ptr + (i * l + row) * s * bytes
      multiply(m, n, e, [q.at(i, row), q.batch, q.steps], [k.at(i), k.batch, k.turned], scores, false)
      for (let j = 0; j < batch; j++) {
        const at = (i + j) * l + row
        const [max, share] = kept ? [work, work + rows * bytes] : statistics.map((t) => t.storage.ptr + at * bytes)
        const hidden = mask?.at(i + j, row) ?? 0
        weigh(m, n, causal ? row : n, scores + j * m * n * bytes, hidden, mask?.row ?? 0, scale, max!, share!)
      }
      multiply(m, d, n, [scores, m * n, [n, 1]], [v.at(i), v.batch, v.steps], y.at(i, row), false)
    }
  }
  return weights === null ? [out, ...statistics] : [out, weights]
}

/** The gradients of query, key and value; null where not wanted. */
type Slopes = readonly (Tensor | null)[]

/** Block by block: the weights (once more), their gradients, and the products with both. */
function slopesByKernels(g: Tensor, c: Context<Attend>): Slopes {
  const { owner } = g.storage
  const { dt } = g
  const dtype = dt.name as FloatType
  const { bytes } = dt
  const { scale, causal, masked, kept } = c.p
  const [query, key, value] = [resident(c.in(0)), resident(c.in(1)), resident(c.in(2))]
  const shift = masked && !kept ? rowwise(c.in(3), owner) : undefined
  const [slope, result] = [rowwise(g, owner), rowwise(c.out(), owner)]
  const sizes = sizesOf(query, value)
  const { l, s, e, d, rows } = sizes
  const gradient = (i: number): TensorCore | null => (c.wants(i) ? empty(Layout.of(c.shapeOf(i)), dt, owner) : null)
  const [dq, dk, dv] = [gradient(0), gradient(1), gradient(2)]
  // Keys that no query sees.
  if (causal) for (const t of [dk, dv]) if (t !== null) fillWith(t, 0)
  const block = Math.max(BLOCK, rows * s)
  const { products, work: slopes } = workshop(dtype, sizes, bytes, (kept ? 1 : 2) * block + l)
  const delta = slopes + block * bytes
  const [dot, turn] = [backend().job(attentionDot, dtype), backend().job(attentionBackward, dtype)]
  const [q, k, v, y, gy] = [query, key, value, result, slope].map((t) => new Matrices(t)) as [
    Matrices,
    Matrices,
    Matrices,
    Matrices,
    Matrices,
  ]
  const mask = shift && new Matrices(shift)
  const [first, second] = [address(c.out(1)), kept ? 0 : address(c.out(2))]
  const batch = batchOf([q, k, v, gy], sizes)
  const multiply = products(batch)
  for (let i = 0; i < q.count; i += batch) {
    for (let row = 0; row < l; row += rows) {
      const m = Math.min(rows, l - row)
      const n = causal && !kept && batch === 1 ? Math.min(s, row + m) : s
      const add = causal || row > 0
      const start = i * l + row
      const scores = kept ? first + start * s * bytes : delta + l * bytes
      const g: Operand = [gy.at(i, row), gy.batch, gy.steps]
      if (!kept) multiply(m, n, e, [q.at(i, row), q.batch, q.steps], [k.at(i), k.batch, k.turned], scores, false)
      multiply(m, n, d, g, [v.at(i), v.batch, v.turned], slopes, false)
      for (let j = 0; j < batch; j++) {
        const at = start + j * l
        const [max, share] = kept ? [0, 0] : [first + at * bytes, second + at * bytes]
        const [from, to] = [scores + j * m * n * bytes, slopes + j * m * n * bytes]
        // Σ w·∂w of a row is Σ g·y.
        dot(m, d, gy.at(i + j, row), gy.row, y.at(i + j, row), y.row, delta)
        turn(m, n, causal ? row : n, from, to, mask?.at(i + j, row) ?? 0, mask?.row ?? 0, scale, max, share, delta)
      }
      const across: readonly [number, number] = [1, n]
      if (dv !== null) multiply(n, d, m, [scores, m * n, across], g, dv.storage.ptr + i * s * d * bytes, add)
      if (dq !== null) multiply(m, e, n, [slopes, m * n, [n, 1]], [k.at(i), k.batch, k.steps], dq.storage.ptr + start * e * bytes, false)
      if (dk !== null) multiply(n, e, m, [slopes, m * n, across], [q.at(i, row), q.batch, q.steps], dk.storage.ptr + i * s * e * bytes, add)
    }
  }
  return [dq, dk, dv] as Slopes
}

const turned = (x: Tensor): Tensor => x.transpose(-2, -1)

/** The same in public operations. */
function slopesFollowed(g: Tensor, c: Context<Attend>): Slopes {
  const { scale, causal, masked } = c.p
  const [q, k, v] = [c.in(0), c.in(1), c.in(2)]
  const w = attentionWeights(q, k, masked ? c.in(3) : null, causal, scale)
  const slope = g.matmul(turned(v))
  const scores = w.mul(slope.sub(slope.mul(w).sum({ dim: -1, keepdim: true }))).mul(scale)
  return [scores.matmul(k), turned(scores).matmul(q), turned(w).matmul(g)]
}

const rule = (i: number): VjpRule<Attend> =>
  vjp([0, 1, 2, 3, OUT, OUT - 1, OUT - 2], (_g, c, gs) => {
    const g = gs[0]
    // The statistics are not for users: nothing leads to their gradients.
    if (g === null || g === undefined) return null
    const slopes = c.shared(() => {
      const plain = ![g, c.in(0), c.in(1), c.in(2)].some(followed)
      return plain ? slopesByKernels(g, c) : slopesFollowed(g, c)
    })
    return slopes[i]!
  })

const attentionOp: GeneralOp<Attend> = /* @__PURE__ */ general('scaledDotProductAttention', {
  node: 'ScaledDotProductFlashAttentionForCpuBackward0',
  names: ['query', 'key', 'value', 'attnMask'],
  results: ['output'],
  forward: attend,
  vjp: [/* @__PURE__ */ rule(0), /* @__PURE__ */ rule(1), /* @__PURE__ */ rule(2), null],
  batch: (b) =>
    attentionOp.call(
      b.x.map((_, i) => {
        const x = inFront(b, i)
        return x.expand([b.size, ...x.shape.slice(1)])
      }),
      b.p,
    ) as Tensor[],
})

/**
 * softmax(q·kᵀ·scale + mask), in public operations: what attention is, and its form where weights are asked for, dropped or
 * differentiated twice. A row of −∞ gets zeros.
 */
export function attentionWeights(q: Tensor, k: Tensor, mask: Tensor | null, causal: boolean, scale: number): Tensor {
  const scores = q.mul(scale).matmul(turned(k))
  if (causal) {
    const [l, s] = scores.shape.slice(-2) as [number, number]
    return scores.maskedFill((full([l, s], 1, dtypes.bool, null) as Tensor).triu(1), Number.NEGATIVE_INFINITY).softmax(-1)
  }
  if (mask === null) return scores.softmax(-1)
  const shifted = scores.add(mask)
  const blind = shifted.ne(Number.NEGATIVE_INFINITY).any({ dim: -1, keepdim: true }).logicalNot()
  return shifted.maskedFill(blind, 0).softmax(-1).maskedFill(blind, 0)
}

/** Options of `scaledDotProductAttention`. */
export interface AttentionOptions {
  /** Where bool: true lets a query see a key. Where float: added to the scores. Broadcast to [*, queries, keys]. */
  readonly attnMask?: Tensor | null
  /** Share of the weights that are dropped. Applied whenever it isn't 0: pass 0 in evaluation. */
  readonly dropoutP?: number
  /** Query i sees keys 0 … i only. */
  readonly isCausal?: boolean
  /** What scores are multiplied by. Default 1/√(width of the queries). */
  readonly scale?: number | null
}

/**
 * softmax(q·kᵀ·scale + mask)·v, for query [*, l, e], key [*, s, e], value [*, s, d] of one float dtype, whose leading dims
 * broadcast. A query that may see no key gets zeros. It is one node; more than four million weights [*, l, s] are not kept but
 * computed block by block, in the backward pass again. With dropped weights, or a mask that requires a gradient, it is several.
 * Errors: ArgumentError for a mask together with `isCausal` and for options out of range, ShapeError, DTypeError.
 * @example
 * const heads = randn([2, 4, 10, 8])
 * nn.functional.scaledDotProductAttention(heads, heads, heads, { isCausal: true }).shape // [2, 4, 10, 8]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
 */
export function scaledDotProductAttention(query: Tensor, key: Tensor, value: Tensor, options: AttentionOptions = {}): Tensor {
  const op = 'scaledDotProductAttention'
  checkOptions(op, options, { attnMask: 'any', dropoutP: 'number', isCausal: 'boolean', scale: 'any' })
  const { attnMask, dropoutP = 0, isCausal = false } = options
  checkOperands(op, query, key, value)
  const mask = attnMask ? additive(op, attnMask, query, key) : null
  if (isCausal && mask !== null) throw new ArgumentError(`${op}: Explicit attn_mask should not be set when is_causal=True`, { op })
  if (!(dropoutP >= 0 && dropoutP <= 1))
    throw new ArgumentError(`dropout probability has to be between 0 and 1, but got ${dropoutP}`, { op })
  const { scale = null } = options
  if (scale !== null && typeof scale !== 'number')
    throw new ArgumentError(`${op}: scale must be a number or null, got ${describe(scale)}`, { op })
  const [l, e] = query.shape.slice(-2) as [number, number]
  const [s, d] = value.shape.slice(-2) as [number, number]
  const factor = scale ?? 1 / Math.sqrt(e)
  const lead = [key, value, ...(mask === null ? [] : [mask])].reduce<Shape>(
    (shape, t) => broadcast(shape, t.shape.slice(0, -2), op),
    query.shape.slice(0, -2),
  )
  if (dropoutP > 0 || (mask !== null && followed(mask)) || numel(lead) * l * s * e * d === 0) {
    const weights = attentionWeights(query, key, mask, isCausal, factor)
    return (dropoutP === 0 ? weights : dropout(weights, { p: dropoutP })).matmul(value)
  }
  const operands = [spread(query, [...lead, l, e]), spread(key, [...lead, s, e]), spread(value, [...lead, s, d])]
  if (mask !== null) operands.push(spread(mask, [...lead, l, s]))
  const kept = numel(lead) * l * s <= KEPT && operands.some(followed)
  return (attentionOp.call(operands, { scale: factor, causal: isCausal, masked: mask !== null, kept }) as [Tensor])[0]
}

const spread = (x: Tensor, shape: Shape): Tensor => (sameShape(x.shape, shape) ? x : x.expand(shape))

/** Matrices of one float dtype, with as many features of queries as of keys, and as many keys as values. */
function checkOperands(op: string, query: Tensor, key: Tensor, value: Tensor): void {
  expectTensor(op, query, 'query')
  expectTensor(op, key, 'key')
  expectTensor(op, value, 'value')
  const shapes = [query.shape, key.shape, value.shape]
  if (query.ndim < 2 || key.ndim < 2 || value.ndim < 2) {
    throw new ShapeError(
      `Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: ${query.ndim} key.dim: ${key.ndim} and value.dim: ${value.ndim} instead: ${op} takes query [*, l, e], key [*, s, e], value [*, s, d]`,
      { op, shapes },
    )
  }
  if (key.dt !== query.dt || value.dt !== query.dt) {
    throw new DTypeError(
      `Expected query, key, and value to have the same dtype, but got query.dtype: ${query.dtype} key.dtype: ${key.dtype} and value.dtype: ${value.dtype} instead: ${op} converts nothing, use to('${query.dtype}')`,
      { op, dtypes: [query.dtype, key.dtype, value.dtype] },
    )
  }
  if (!query.dt.floating) {
    throw new DTypeError(
      `expected scalar type Float but found ${query.dtype}: ${op} takes floats; convert first, e.g. query.to('float32')`,
      {
        op,
        dtypes: [query.dtype],
      },
    )
  }
  if (query.shape.at(-1) !== key.shape.at(-1) || key.shape.at(-2) !== value.shape.at(-2)) {
    throw new ShapeError(
      `${op}: expected query [*, l, e], key [*, s, e] and value [*, s, d], got ${show(query.shape)}, ${show(key.shape)} and ${show(value.shape)}`,
      { op, shapes },
    )
  }
}

/** The mask as what is added to scores: −∞ where a bool one hides a key. */
function additive(op: string, mask: Tensor, query: Tensor, key: Tensor): Tensor {
  expectTensor(op, mask, 'attnMask')
  if (mask.dt !== dtypes.bool && mask.dt !== dtypes.float32 && mask.dt !== query.dt) {
    throw new DTypeError(
      `Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: ${mask.dtype} and  query.dtype: ${query.dtype} instead: ${op} takes bool masks, or ones of the query's dtype`,
      { op, dtypes: [mask.dtype, query.dtype] },
    )
  }
  const wanted = [query.shape.at(-2)!, key.shape.at(-2)!]
  const [rows = 1, columns = 1] = mask.ndim === 1 ? [1, ...mask.shape] : mask.shape.slice(-2)
  for (const [i, n] of [rows, columns].entries()) {
    if (n === 1 || n === wanted[i]) continue
    throw new ShapeError(
      `The size of tensor a (${wanted[i]}) must match the size of tensor b (${n}) at non-singleton dimension ${query.ndim - 2 + i}: ${op}, attnMask ${show(mask.shape)} has to broadcast to [*, ${wanted}]`,
      { op, shapes: [mask.shape, query.shape, key.shape] },
    )
  }
  const shift =
    mask.dt === dtypes.bool ? choose(mask, full([], 0, query.dt, null) as Tensor, Number.NEGATIVE_INFINITY) : mask.to(query.dtype)
  return mask.ndim < 2 ? shift.expand(wanted) : shift
}
