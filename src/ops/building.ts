/** Tensors built from others: turned, repeated, laid side by side or crossed. */
import { noGrad } from '../autograd/modes.ts'
import { ArgumentError, ShapeError, show, within } from '../errors.ts'
import { cloneContiguous, copyInto, full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type GeneralOp, general, inFront, vjp } from '../op/general.ts'
import { checkKind, checkOptions, describe, optionsOr } from '../options.ts'
import { broadcast, numel, type Shape, shapeArgument, wrapDim } from '../shape.ts'
import { empty, expectTensor, expectTensors, readAll, type TensorCore, writeAll } from '../tensor.ts'
import { cat } from './join.ts'
import { pad } from './padding.ts'
import { checkPositions } from './positions.ts'
import { unsafeView } from './product.ts'

interface Turn {
  /** 0 … 3 quarter turns. */
  readonly k: number
  readonly dims: readonly [number, number]
}

function turned(x: Tensor, { k, dims: [a, b] }: Turn): Tensor {
  if (k === 0) return x
  return k === 2 ? x.flip([a, b]) : x.flip(k === 1 ? b : a).transpose(a, b)
}

const rot90Op: GeneralOp<Turn> = /* @__PURE__ */ general('rot90', {
  node: 'Rot90Backward0',
  forward: ([x], p, owner) =>
    cloneContiguous(
      noGrad(() => turned(x as Tensor, p)),
      owner,
    ),
  vjp: [vjp([], (g, { p }) => rot90Op.one([g], { ...p, k: (4 - p.k) % 4 }))],
  jvp: 'linear',
  batch: ({ p, ...b }) => rot90Op.one([inFront(b, 0)], { ...p, dims: [p.dims[0] + 1, p.dims[1] + 1] }),
})

/**
 * k quarter turns in the plane of two dims, from the first towards the second. Errors: ArgumentError for other numbers of dims.
 * @example
 * rot90(tensor([[1, 2], [3, 4]])).tolist() // [[2, 4], [1, 3]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.rot90.html
 */
export function rot90(x: Tensor, k = 1, dims: readonly number[] = [0, 1]): Tensor {
  expectTensor('rot90', x, 'argument 0')
  checkKind('rot90', 'k', k, 'integer')
  if (shapeArgument(dims, [], 'rot90').length !== 2)
    throw new ArgumentError(`rot90: expected total rotation dims == 2, but got dims = ${dims.length}`, { op: 'rot90' })
  if (x.layout.rank < 2)
    throw new ShapeError(`rot90: expected total dims >= 2, but got total dims = ${x.layout.rank}`, { op: 'rot90', shapes: [x.shape] })
  const [a, b] = dims.map((d) => wrapDim(d, x.layout.rank, 'rot90')) as [number, number]
  if (a === b)
    throw new ArgumentError(`rot90: expected rotation dims to be different, but got dim0 = ${dims[0]} and dim1 = ${dims[1]}`, {
      op: 'rot90',
    })
  return rot90Op.one([x], { k: ((k % 4) + 4) % 4, dims: [a, b] })
}

/**
 * Columns in reverse order.
 * @example
 * fliplr(tensor([[1, 2], [3, 4]])).tolist() // [[2, 1], [4, 3]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fliplr.html
 */
export function fliplr(x: Tensor): Tensor {
  expectTensor('fliplr', x, 'argument 0')
  if (x.layout.rank < 2) throw new ShapeError(`fliplr: Input must be >= 2-d, got ${show(x.shape)}`, { op: 'fliplr', shapes: [x.shape] })
  return x.flip(1)
}

/**
 * Rows in reverse order.
 * @example
 * flipud(tensor([[1, 2], [3, 4]])).tolist() // [[3, 4], [1, 2]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.flipud.html
 */
export function flipud(x: Tensor): Tensor {
  expectTensor('flipud', x, 'argument 0')
  if (x.layout.rank < 1) throw new ShapeError('flipud: Input must be >= 1-d, got []', { op: 'flipud', shapes: [x.shape] })
  return x.flip(0)
}

/**
 * Every element (or, with `dim`, every slice) repeated: a number of times, or as often as a vector of numbers (int32) says.
 * Errors: ArgumentError, ShapeError.
 * @example
 * repeatInterleave(tensor([1, 2]), 2).tolist() // [1, 1, 2, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.repeat_interleave.html
 */
export function repeatInterleave(x: Tensor, repeats: number | Tensor, options: number | { readonly dim?: number } = {}): Tensor {
  const op = 'repeatInterleave'
  expectTensor(op, x, 'argument 0')
  const given = optionsOr(op, 'dim', options, { dim: 'any' }).dim
  const source = given === undefined ? x.reshape([-1]) : x
  const dim = given === undefined ? 0 : wrapDim(given, x.layout.rank, op)
  const n = source.shape[dim]!
  if (typeof repeats === 'number') {
    if (!Number.isInteger(repeats) || repeats < 0) throw new ArgumentError(`${op}: Repeats must be non-negative, got ${repeats}`, { op })
    const spread = [...source.shape.slice(0, dim + 1), repeats, ...source.shape.slice(dim + 1)]
    return source
      .unsqueeze(dim + 1)
      .expand(spread)
      .clone()
      .contiguous()
      .view(source.shape.with(dim, n * repeats))
  }
  expectTensor(op, repeats, 'repeats')
  checkPositions(op, repeats)
  const times = readAll(repeats)
  if (times.length !== n && times.length !== 1) {
    throw new ShapeError(
      `${op}: repeats must have the same size as input along dim, but got repeats.size(0) = ${times.length} and input.size(${dim}) = ${n}`,
      {
        op,
        shapes: [x.shape, repeats.shape],
      },
    )
  }
  const at = Array.from({ length: n }, (_, i) => new Array<number>(times[times.length === 1 ? 0 : i]!).fill(i)).flat()
  const index = empty(Layout.of([at.length]), repeats.dt, null)
  writeAll(index, at)
  return source.indexSelect(dim, index as Tensor)
}

/**
 * The coordinates of a grid: each vector (or number) expanded over a dim of its own; `indexing: 'xy'` exchanges the first two
 * dims. Errors: ArgumentError, ShapeError.
 * @example
 * meshgrid([tensor([1, 2]), tensor([3, 4])], { indexing: 'ij' }).map((t) => t.tolist()) // [[[1, 1], [2, 2]], [[3, 4], [3, 4]]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.meshgrid.html
 */
export function meshgrid(tensors: readonly Tensor[], options: { readonly indexing?: 'ij' | 'xy' } = {}): Tensor[] {
  const op = 'meshgrid'
  expectTensors(op, tensors)
  checkOptions(op, options, { indexing: 'any' })
  const { indexing = 'ij' } = options
  if (indexing !== 'ij' && indexing !== 'xy') {
    throw new ArgumentError(`${op}: indexing must be one of "xy" or "ij", but received: ${String(indexing)}`, { op })
  }
  for (const t of tensors) {
    if (t.layout.rank > 1)
      throw new ShapeError(`${op}: Expected 0D or 1D tensor in the tensor list but got: ${show(t.shape)}`, { op, shapes: [t.shape] })
  }
  const swap = indexing === 'xy' && tensors.length >= 2
  const order = swap ? [tensors[1]!, tensors[0]!, ...tensors.slice(2)] : tensors
  const shape = order.map((t) => t.numel())
  const grids = order.map((t, d) => t.view(shape.map((n, k) => (k === d ? n : 1))).expand(shape))
  return swap ? [grids[1]!, grids[0]!, ...grids.slice(2)] : grids
}

const rowsOf = (shape: Shape): number => (shape.length === 2 ? shape[0]! : 1)
const columnsOf = (shape: Shape): number => shape.at(-1) ?? 1

const blockDiagOp: GeneralOp<null> = /* @__PURE__ */ general('blockDiag', {
  node: 'BlockDiagBackward0',
  forward: (x, _p, owner) => {
    const shapes = x.map((t) => t.layout.shape)
    const out = full([shapes.reduce((n, s) => n + rowsOf(s), 0), shapes.reduce((n, s) => n + columnsOf(s), 0)], 0, x[0]!.dt, owner)
    let [row, column] = [0, 0]
    for (const t of x) {
      const [m, n] = [rowsOf(t.layout.shape), columnsOf(t.layout.shape)]
      const layout = out.layout.slice(0, row, m).slice(1, column, n)
      if (m * n > 0)
        copyInto(
          { storage: out.storage, dt: out.dt, layout },
          { storage: t.storage, dt: t.dt, layout: t.layout.reshape([m, n]) ?? t.layout },
        )
      row += m
      column += n
    }
    return out
  },
  vjp: (i) =>
    vjp([], (g, c) => {
      let [row, column] = [0, 0]
      for (let k = 0; k < i; k++) {
        row += rowsOf(c.shapeOf(k))
        column += columnsOf(c.shapeOf(k))
      }
      const shape = c.shapeOf(i)
      return g.narrow(0, row, rowsOf(shape)).narrow(1, column, columnsOf(shape)).reshape(shape)
    }),
  jvp: 'linear',
})

/**
 * Matrices along the diagonal, zeros elsewhere; vectors are rows, numbers 1 × 1. Errors: ShapeError for more dims.
 * @example
 * blockDiag(tensor([[1, 2]]), tensor([[3]])).tolist() // [[1, 2, 0], [0, 0, 3]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.block_diag.html
 */
export function blockDiag(...tensors: Tensor[]): Tensor {
  const op = 'blockDiag'
  if (tensors.length === 0) throw new ArgumentError(`${op}: expected at least one tensor`, { op })
  tensors.forEach((t, i) => {
    expectTensor(op, t, `argument ${i}`)
    if (t.layout.rank > 2)
      throw new ShapeError(`${op}: Input tensors must have 2 or fewer dimensions. Input ${i} has ${t.layout.rank} dimensions`, {
        op,
        shapes: [t.shape],
      })
  })
  const dt = tensors[0]!.dtype
  return blockDiagOp.one(
    tensors.map((t) => t.to(dt)),
    null,
  )
}

/**
 * Kronecker's product: every element of a times all of b. Shapes are padded with leading ones.
 * @example
 * kron(tensor([1, 2]), tensor([1, 10])).tolist() // [1, 10, 2, 20]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.kron.html
 */
export function kron(a: Tensor, b: Tensor): Tensor {
  expectTensor('kron', a, 'argument 0')
  expectTensor('kron', b, 'argument 1')
  const rank = Math.max(a.layout.rank, b.layout.rank)
  const padded = (t: Tensor): number[] => [...new Array<number>(rank - t.layout.rank).fill(1), ...t.shape]
  const [sa, sb] = [padded(a), padded(b)]
  const spreadA = a.reshape(sa.flatMap((n) => [n, 1]))
  const spreadB = b.reshape(sb.flatMap((n) => [1, n]))
  return unsafeView.one([spreadA.mul(spreadB)], { shape: sa.map((n, d) => n * sb[d]!), node: 'UnsafeViewBackward0' })
}

const traceOp: GeneralOp<null> = /* @__PURE__ */ general('trace', {
  node: 'TraceBackward0',
  forward: ([x]) => noGrad((): TensorCore => (x as Tensor).diagonal().sum()),
  vjp: [
    vjp([], (g, c) => {
      const shape = c.shapeOf(0)
      const k = Math.min(...shape)
      const square = g.expand([k]).diagEmbed()
      return pad(square, [0, shape[1]! - k, 0, shape[0]! - k])
    }),
  ],
  jvp: 'linear',
  batch: (b) => inFront(b, 0).diagonal({ offset: 0, dim1: -2, dim2: -1 }).sum(-1),
})

/**
 * The sum of a matrix's diagonal. Errors: ShapeError for other ranks.
 * @example
 * trace(tensor([[1, 2], [3, 4]])).item() // 5
 * @see https://docs.pytorch.org/docs/stable/generated/torch.trace.html
 */
export function trace(x: Tensor): Tensor {
  expectTensor('trace', x, 'argument 0')
  if (x.layout.rank !== 2)
    throw new ShapeError(`trace: expected a matrix, but got tensor with dim ${x.layout.rank}`, { op: 'trace', shapes: [x.shape] })
  return traceOp.one([x], null)
}

/**
 * The sum of products over dims of a and b: the last `dims` of a with the first of b, or two lists of dims.
 * Errors: ShapeError, ArgumentError.
 * @example
 * tensordot(ones([2, 3]), ones([3, 4]), 1).shape // [2, 4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.tensordot.html
 */
export function tensordot(
  a: Tensor,
  b: Tensor,
  options: number | { readonly dims?: number | readonly (readonly number[])[] } = {},
): Tensor {
  const op = 'tensordot'
  expectTensor(op, a, 'argument 0')
  expectTensor(op, b, 'argument 1')
  const { dims = 2 } = optionsOr(op, 'dims', options, { dims: 'any' })
  if (typeof dims !== 'number' && !(Array.isArray(dims) && dims.length === 2))
    throw new ArgumentError(`${op}: expected dims as a number or two lists such as [[0], [1]], got ${describe(dims)}`, { op })
  const count = typeof dims === 'number' ? dims : 0
  if (count < 0 || !Number.isInteger(count)) throw new ArgumentError(`${op} expects dims >= 0, but got dims=${count}`, { op })
  if (count > Math.min(a.layout.rank, b.layout.rank)) {
    throw new ArgumentError(`${op} expects dims < ndim_a or ndim_b, but got dims=${count} for ${show(a.shape)} and ${show(b.shape)}`, {
      op,
    })
  }
  const firsts = Array.from({ length: count }, (_, i) => i)
  const lists = typeof dims === 'number' ? [firsts.map((i) => a.layout.rank - count + i), firsts] : dims
  const [left, right] = lists.map((list) => shapeArgument(list, [], op)) as [Shape, Shape]
  if (left.length !== right.length) {
    throw new ArgumentError(`${op}: both dimension lists should have same length, got ${show(left)} and ${show(right)}`, { op })
  }
  const la = left.map((d) => wrapDim(d, a.layout.rank, op))
  const lb = right.map((d) => wrapDim(d, b.layout.rank, op))
  la.forEach((d, k) => {
    if (a.shape[d] !== b.shape[lb[k]!]) {
      throw new ShapeError(
        `${op}: contracted dimensions need to match, but first has size ${a.shape[d]} in dim ${left[k]} and second has size ${b.shape[lb[k]!]} in dim ${right[k]}`,
        {
          op,
          shapes: [a.shape, b.shape],
        },
      )
    }
  })
  const keptA = a.shape.map((_, d) => d).filter((d) => !la.includes(d))
  const keptB = b.shape.map((_, d) => d).filter((d) => !lb.includes(d))
  const sizesOf = (t: Tensor, list: readonly number[]): number[] => list.map((d) => t.shape[d]!)
  const inner = numel(sizesOf(a, la))
  const rows = a.permute([...keptA, ...la]).reshape([numel(sizesOf(a, keptA)), inner])
  const columns = b.permute([...lb, ...keptB]).reshape([inner, numel(sizesOf(b, keptB))])
  return rows.mm(columns).view([...sizesOf(a, keptA), ...sizesOf(b, keptB)])
}

/** Options of `diff`. */
export interface DiffOptions {
  /** How often. Default 1. */
  readonly n?: number
  /** Default −1. */
  readonly dim?: number
  readonly prepend?: Tensor
  readonly append?: Tensor
}

/**
 * Differences of neighbours along a dim. Errors: ArgumentError, ShapeError.
 * @example
 * diff(tensor([1, 4, 9])).tolist() // [3, 5]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.diff.html
 */
export function diff(x: Tensor, options: DiffOptions = {}): Tensor {
  const op = 'diff'
  expectTensor(op, x, 'argument 0')
  checkOptions(op, options, { n: 'any', dim: 'any', prepend: 'any', append: 'any' })
  const { n = 1, prepend, append } = options
  if (x.layout.rank === 0) throw new ShapeError('diff expects input to be at least one-dimensional', { op, shapes: [x.shape] })
  if (!Number.isInteger(n) || n < 0) throw new ArgumentError(`order must be non-negative but got ${n} (${op})`, { op })
  const dim = wrapDim(options.dim ?? -1, x.layout.rank, op)
  const parts = [prepend, x, append].filter((t) => t !== undefined)
  let y = parts.length === 1 ? x : within(op, () => cat(parts, dim))
  if (n === 0) return y.clone()
  for (let k = 0; k < Math.min(n, x.shape[dim]! + parts.length - 1); k++) {
    const size = y.shape[dim]!
    const [late, early] = [y.narrow(dim, 1, size - 1), y.narrow(dim, 0, size - 1)]
    y = y.dtype === 'bool' ? late.logicalXor(early) : late.sub(early)
  }
  return y
}

/**
 * A dim taken apart into several; one size may be −1.
 * @example
 * unflatten(zeros([6]), 0, [2, 3]).shape // [2, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.unflatten.html
 */
export function unflatten(x: Tensor, dim: number, sizes: readonly number[]): Tensor {
  expectTensor('unflatten', x, 'argument 0')
  const d = wrapDim(dim, x.layout.rank, 'unflatten')
  const parts = shapeArgument(sizes, [], 'unflatten')
  const known = parts.reduce((n, s) => (s === -1 ? n : n * s), 1)
  const whole = parts.map((s) => (s === -1 ? x.shape[d]! / known : s))
  if (parts.length === 0 || numel(whole) !== x.shape[d]) {
    throw new ShapeError(
      `unflatten: Provided sizes ${show(parts)} don't multiply up to the size of dim ${dim} (${x.shape[d]}) in the input tensor`,
      {
        op: 'unflatten',
        shapes: [x.shape],
      },
    )
  }
  return x.view([...x.shape.slice(0, d), ...whole, ...x.shape.slice(d + 1)])
}

/**
 * Tensors expanded to the shape that they broadcast to.
 * @example
 * broadcastTensors(zeros([2, 1]), zeros([3])).map((t) => t.shape) // [[2, 3], [2, 3]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.broadcast_tensors.html
 */
export function broadcastTensors(...tensors: Tensor[]): Tensor[] {
  tensors.forEach((t, i) => expectTensor('broadcastTensors', t, `argument ${i}`))
  const shape = tensors.reduce<Shape>((s, t) => broadcast(s, t.shape, 'broadcastTensors'), [])
  return tensors.map((t) => t.expand(shape))
}

/**
 * Side by side: joined along the second dim (vectors along their only one).
 * @example
 * hstack([tensor([1]), tensor([2, 3])]).tolist() // [1, 2, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.hstack.html
 */
export function hstack(tensors: readonly Tensor[]): Tensor {
  expectTensors('hstack', tensors)
  const whole = tensors.map((t) => (t.layout.rank === 0 ? t.reshape([1]) : t))
  return within('hstack', () => cat(whole, whole[0]!.layout.rank === 1 ? 0 : 1))
}

/**
 * One below the other: joined along the first dim, vectors as rows.
 * @example
 * vstack([tensor([1, 2]), tensor([3, 4])]).tolist() // [[1, 2], [3, 4]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.vstack.html
 */
export function vstack(tensors: readonly Tensor[]): Tensor {
  expectTensors('vstack', tensors)
  const rows = tensors.map((t) => (t.layout.rank < 2 ? t.reshape([1, t.numel()]) : t))
  return within('vstack', () => cat(rows))
}
