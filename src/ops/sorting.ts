/** Elements by their order along a dim: sorted, the k largest, medians, the most frequent. */
import { dtypes } from '../dtype.ts'
import { ArgumentError, IndexError, show } from '../errors.ts'
import { full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type GeneralOp, general, OUT, vjp } from '../op/general.ts'
import { checkOptions, type Known } from '../options.ts'
import { wrapDim } from '../shape.ts'
import { empty, expectTensor, readAll, writeAll } from '../tensor.ts'
import { type Chosen, chooser, shareTies, type ValuesAndIndices } from './chosen.ts'
import { order } from './order.ts'

export type { ValuesAndIndices }

/** Options of `sort` and `argsort`. */
export interface SortOptions {
  /** Default −1. */
  readonly dim?: number
  readonly descending?: boolean
  /** Equal elements always keep their order; torch names the node by whether that was asked for. */
  readonly stable?: boolean
}
const SORT: Known<SortOptions> = { dim: 'any', descending: 'boolean', stable: 'boolean' }
type Sorted = Chosen & { readonly descending: boolean }

const pickAll = (line: Float64Array, { descending }: Sorted): Int32Array => order(line, descending)
const whole = (n: number): number => n
const sorted = /* @__PURE__ */ chooser<Sorted>('sort', 'SortBackward0', pickAll, whole)
const stableSorted = /* @__PURE__ */ chooser<Sorted>('sort', 'SortBackward1', pickAll, whole)

/** The dim and the other options of a call that takes a number or options in its place. */
function along<O extends { readonly dim?: number }>(
  x: Tensor,
  dim: number | O | undefined,
  options: O | undefined,
  op: string,
  known: Known<O>,
): [number, O] {
  expectTensor(op, x, 'argument 0')
  const o = (typeof dim === 'number' || dim === undefined ? (options ?? {}) : dim) as O
  checkOptions(op, o, known)
  return [wrapDim(typeof dim === 'number' ? dim : (o.dim ?? -1), x.layout.rank, op), o]
}

/**
 * The elements along a dim (the last by default) in ascending order, and where they were (int32). Equal elements keep their
 * order; NaN counts as the largest.
 * @example
 * sort(tensor([3, 1, 2])).values.tolist() // [1, 2, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.sort.html
 */
export function sort(x: Tensor, dim?: number | SortOptions, options?: SortOptions): ValuesAndIndices {
  return sortAs('sort', x, dim, options)
}

function sortAs(op: string, x: Tensor, dim?: number | SortOptions, options?: SortOptions): ValuesAndIndices {
  const [d, { descending = false, stable }] = along(x, dim, options, op, SORT)
  return (stable === undefined ? sorted : stableSorted)(x, { dim: d, keepdim: true, descending })
}

/**
 * The positions that sort along a dim; see `sort`.
 * @example
 * argsort(tensor([3, 1, 2])).tolist() // [1, 2, 0]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.argsort.html
 */
export function argsort(x: Tensor, dim?: number | SortOptions, options?: SortOptions): Tensor {
  return sortAs('argsort', x, dim, options).indices
}

/**
 * The elements sorted along the first dim.
 * @example
 * msort(tensor([[3, 1], [2, 4]])).tolist() // [[2, 1], [3, 4]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.msort.html
 */
export function msort(x: Tensor): Tensor {
  return sortAs('msort', x, 0).values
}

/** Options of `topk`. */
export interface TopkOptions {
  /** Default −1. */
  readonly dim?: number
  /** The largest (default) or the smallest? */
  readonly largest?: boolean
  /** They come in order always. */
  readonly sorted?: boolean
}
type Top = Sorted & { readonly k: number }

const top = /* @__PURE__ */ chooser<Top>('topk', 'TopkBackward0', pickAll, (_, { k }) => k)

/** How many elements a dim has; a number without dims counts as one. */
const sizeOf = (x: Tensor, dim: number): number => x.layout.shape[dim] ?? 1

/**
 * The k largest (or smallest) elements along a dim, in order, and where they were; NaN counts as the largest.
 * Errors: IndexError for a k beyond the size.
 * @example
 * topk(tensor([1, 4, 3]), 2).values.tolist() // [4, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.topk.html
 */
export function topk(x: Tensor, k: number, dim?: number | TopkOptions, options?: TopkOptions): ValuesAndIndices {
  const [d, { largest = true }] = along(x, dim, options, 'topk', { dim: 'any', largest: 'boolean', sorted: 'boolean' })
  if (!Number.isInteger(k) || k < 0 || k > sizeOf(x, d)) {
    throw new IndexError(`topk: selected index k out of range: k is ${k}, dim ${d} of ${show(x.shape)} has ${sizeOf(x, d)} elements`, {
      op: 'topk',
      shapes: [x.shape],
    })
  }
  return top(x, { dim: d, keepdim: true, descending: largest, k })
}

/** Options of operations that choose one element along a dim. */
export interface ChoiceOptions {
  readonly dim?: number
  /** Keep the dim with size 1. */
  readonly keepdim?: boolean
}
const CHOICE: Known<ChoiceOptions> = { dim: 'any', keepdim: 'boolean' }
type Kth = Chosen & { readonly k: number }

const kth = /* @__PURE__ */ chooser<Kth>('kthvalue', 'KthvalueBackward0', (line, { k }) => [order(line, false)[k - 1]!])

/** Refuses a dim without elements. */
function refuseNone(x: Tensor, dim: number, op: string): void {
  if (sizeOf(x, dim) > 0) return
  throw new IndexError(`${op}(): Expected reduction dim ${dim} to have non-zero size: ${show(x.shape)}`, { op, shapes: [x.shape] })
}

/**
 * The k-th smallest element along a dim (the last by default; k counts from 1) and where it is.
 * Errors: IndexError for a k outside of 1 … size.
 * @example
 * kthvalue(tensor([3, 1, 2]), 2).values.item() // 2
 * @see https://docs.pytorch.org/docs/stable/generated/torch.kthvalue.html
 */
export function kthvalue(x: Tensor, k: number, dim?: number | ChoiceOptions, options?: ChoiceOptions): ValuesAndIndices {
  const [d, { keepdim = false }] = along(x, dim, options, 'kthvalue', CHOICE)
  refuseNone(x, d, 'kthvalue')
  if (!Number.isInteger(k) || k < 1 || k > sizeOf(x, d)) {
    throw new IndexError(`kthvalue(): selected number k out of range for dimension ${d}: k is ${k}, ${show(x.shape)}`, {
      op: 'kthvalue',
      shapes: [x.shape],
    })
  }
  return kth(x, { dim: d, keepdim, k })
}

/** The position of the lower median; of a NaN if there is one and NaNs count. */
function middle(line: Float64Array, skip: boolean): number {
  let nans = 0
  for (const v of line) if (Number.isNaN(v)) nans++
  if (nans > 0 && !skip) return line.findIndex(Number.isNaN)
  return order(line, false)[Math.max(0, (line.length - nans - 1) >> 1)]!
}
const medianAlong = /* @__PURE__ */ chooser<Chosen>('median', 'MedianBackward1', (line) => [middle(line, false)])
const nanmedianAlong = /* @__PURE__ */ chooser<Chosen>('nanmedian', 'NanmedianBackward1', (line) => [middle(line, true)])

// @__NO_SIDE_EFFECTS__
function medianOfAll(name: string, node: string, skip: boolean): GeneralOp<null> {
  return general(name, {
    node,
    forward: ([x], _p, owner) => {
      if (x!.layout.numel === 0) return full([], Number.NaN, x!.dt, owner)
      const out = empty(Layout.of([]), x!.dt, owner)
      const line = Float64Array.from(readAll(x!))
      writeAll(out, [line[middle(line, skip)]!])
      return out
    },
    vjp: [vjp([0, OUT], (g, c) => shareTies(g, c.in(0), c.out(), undefined, true))],
  })
}
const medianAll = /* @__PURE__ */ medianOfAll('median', 'MedianBackward0', false)
const nanmedianAll = /* @__PURE__ */ medianOfAll('nanmedian', 'NanmedianBackward0', true)

function medianOf(
  op: 'median' | 'nanmedian',
  x: Tensor,
  dim: number | ChoiceOptions | undefined,
  options: ChoiceOptions | undefined,
): Tensor | ValuesAndIndices {
  if (dim === undefined && options?.dim === undefined) {
    expectTensor(op, x, 'argument 0')
    checkOptions(op, options, CHOICE)
    return (op === 'median' ? medianAll : nanmedianAll).one([x], null)
  }
  const [d, { keepdim = false }] = along(x, dim, options, op, CHOICE)
  refuseNone(x, d, op)
  return (op === 'median' ? medianAlong : nanmedianAlong)(x, { dim: d, keepdim })
}

/**
 * The median of all elements (equal ones share the gradient), or along a dim with its position; of an even number of
 * elements the lower one. NaN if there is one.
 * @example
 * median(tensor([3, 1, 2])).item() // 2
 * @see https://docs.pytorch.org/docs/stable/generated/torch.median.html
 */
export function median(x: Tensor): Tensor
export function median(x: Tensor, dim: number | (ChoiceOptions & { dim: number }), options?: ChoiceOptions): ValuesAndIndices
export function median(x: Tensor, dim?: number | ChoiceOptions, options?: ChoiceOptions): Tensor | ValuesAndIndices {
  return medianOf('median', x, dim, options)
}

/**
 * As `median`, of the elements that aren't NaN.
 * @example
 * nanmedian(tensor([3, NaN, 2])).item() // 2
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nanmedian.html
 */
export function nanmedian(x: Tensor): Tensor
export function nanmedian(x: Tensor, dim: number | (ChoiceOptions & { dim: number }), options?: ChoiceOptions): ValuesAndIndices
export function nanmedian(x: Tensor, dim?: number | ChoiceOptions, options?: ChoiceOptions): Tensor | ValuesAndIndices {
  return medianOf('nanmedian', x, dim, options)
}

/** The last position of the most frequent number, the smallest of those. */
function mostFrequent(line: Float64Array): number {
  const at = order(line, false)
  let best = 0
  let most = 0
  let run = 0
  at.forEach((i, k) => {
    run = k > 0 && line[i] === line[at[k - 1]!] ? run + 1 : 1
    const last = k === at.length - 1 || line[at[k + 1]!] !== line[i]
    if (!last || run <= most) return
    most = run
    best = i
  })
  return best
}
const modeOp = /* @__PURE__ */ chooser<Chosen>('mode', 'ModeBackward0', (line) => [mostFrequent(line)])

/**
 * The most frequent element along a dim (the last by default), the smallest of equally frequent ones, and its last position.
 * @example
 * mode(tensor([1, 2, 2])).values.item() // 2
 * @see https://docs.pytorch.org/docs/stable/generated/torch.mode.html
 */
export function mode(x: Tensor, dim?: number | ChoiceOptions, options?: ChoiceOptions): ValuesAndIndices {
  const [d, { keepdim = false }] = along(x, dim, options, 'mode', CHOICE)
  refuseNone(x, d, 'mode')
  return modeOp(x, { dim: d, keepdim })
}

/** Options of `searchsorted` and `bucketize`. */
export interface SearchOptions {
  /** The place after equal elements instead of before them. */
  readonly right?: boolean
}

/** The first place in line[from … to) whose element is ≥ v (or > v). */
function place(line: ArrayLike<number>, from: number, to: number, v: number, right: boolean): number {
  let low = from
  let high = to
  while (low < high) {
    const half = (low + high) >> 1
    const e = line[half]!
    if (right ? e > v : e >= v) high = half
    else low = half + 1
  }
  return low - from
}

const searchOp: GeneralOp<{ right: boolean }> = /* @__PURE__ */ general('searchsorted', {
  node: 'SearchsortedBackward0',
  forward: ([sequence, values], { right }, owner) => {
    const out = empty(Layout.of(values!.layout.shape), dtypes.int32, owner)
    const lines = readAll(sequence!)
    const n = sequence!.layout.shape.at(-1)!
    const asked = readAll(values!)
    const each = sequence!.layout.rank === 1 ? Number.POSITIVE_INFINITY : values!.layout.shape.at(-1)!
    writeAll(
      out,
      Array.from(asked, (v, i) => {
        const from = Math.floor(i / each) * n
        return place(lines, from, from + n, v, right)
      }),
    )
    return out
  },
})

/**
 * Where values belong in a sorted sequence (its last dim), as int32: before equal elements, or after them with `right`.
 * The sequence is a vector, or has the values' shape but for the last dim. Errors: ShapeError.
 * @example
 * searchsorted(tensor([1, 3, 5]), tensor([3, 6])).tolist() // [1, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.searchsorted.html
 */
export function searchsorted(sequence: Tensor, values: Tensor | number, options: SearchOptions = {}): Tensor {
  return search('searchsorted', sequence, values, options)
}

function search(op: string, sequence: Tensor, values: Tensor | number, options: SearchOptions): Tensor {
  expectTensor(op, sequence, 'the sequence')
  checkOptions(op, options, { right: 'boolean' })
  const asked = typeof values === 'number' ? (full([], values, sequence.dt, null) as Tensor) : values
  expectTensor(op, asked, 'the values')
  const { rank, shape } = sequence.layout
  if (rank === 0 || (rank > 1 && (asked.layout.rank !== rank || shape.slice(0, -1).some((n, d) => n !== asked.shape[d])))) {
    throw new ArgumentError(
      `${op}(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input value tensor must match, but we got boundaries tensor ${show(shape)} and input value tensor ${show(asked.shape)}`,
      { op },
    )
  }
  return searchOp.one([sequence, asked], { right: options.right ?? false })
}

/**
 * Where values belong among boundaries (a sorted vector); see `searchsorted`.
 * @example
 * bucketize(tensor([0, 2, 5]), tensor([1, 3])).tolist() // [0, 1, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.bucketize.html
 */
export function bucketize(x: Tensor, boundaries: Tensor, options: SearchOptions = {}): Tensor {
  return search('bucketize', boundaries, x, options)
}
