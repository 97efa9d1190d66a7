/** `vmap`: functions of one example, for a batch of them. */
import { unbatch } from '../autograd/grad.ts'
import { type Randomness, withLevel, wrap } from '../autograd/levels.ts'
import { ArgumentError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { cat } from '../ops/join.ts'
import { checkOptions, describe } from '../options.ts'
import { isTensor } from '../tensor.ts'
import { flatten, isPlainObject, mapTensors, type Tree } from '../tree.ts'
import type { Fn } from './transforms.ts'

/** Where the batch is in an argument: a dim; null for nowhere; or one of these for each part of a list or an object. */
export type InDim = number | null | readonly InDim[] | { readonly [key: string]: InDim }

/** Where the batch is: a dim of all arguments, or one entry per argument. */
export type InDims = number | readonly InDim[]

/** Options of `vmap`. */
export interface VmapOptions {
  /** Default 0. */
  readonly inDims?: InDims
  /** Where the batch goes: a dim of all outputs, or one per output tensor. Default 0. */
  readonly outDims?: number | readonly number[]
  /** What random operations do inside: refuse ('error', the default), draw once for all examples ('same'), or for each ('different'). */
  readonly randomness?: Randomness
  /** So many examples at a time, for less memory. Default: all at once. */
  readonly chunkSize?: number | null
}

/** A tensor of the arguments and the dim of its batch. */
interface Place {
  readonly t: unknown
  readonly dim: number | null
}

/** The leaves of an argument with their batch dims. */
function places(tree: Tree, dim: InDim, argument: number): Place[] {
  if (typeof dim === 'number' || dim === null) return flatten(tree).leaves.map((t) => ({ t, dim }))
  const parts = Array.isArray(tree) ? [...tree.entries()] : isPlainObject(tree) ? Object.entries(tree) : []
  const given = dim as { readonly [key: string | number]: InDim }
  if (
    parts.length === 0 ||
    Array.isArray(tree) !== Array.isArray(dim) ||
    parts.length !== Object.keys(given).length ||
    !parts.every(([k]) => k in given)
  ) {
    throw new ArgumentError(
      `vmap: in_dims is not compatible with the structure of inputs: inDims of argument ${argument} is ${JSON.stringify(dim)}, but the argument is ${describe(tree)}`,
      { op: 'vmap' },
    )
  }
  return parts.flatMap(([k, part]) => places(part, given[k]!, argument))
}

/** How many examples the arguments hold. */
function batchSize(all: readonly Place[][]): number {
  let size = -1
  for (const [i, list] of all.entries()) {
    for (const { t, dim } of list) {
      if (dim === null || !isTensor(t)) continue
      const n = Number.isInteger(dim) ? t.layout.shape.at(dim) : undefined
      if (n === undefined || dim < -t.layout.rank)
        throw new ShapeError(`vmap: inDims says dim ${dim} of argument ${i}, which has shape ${show(t.layout.shape)}`, {
          op: 'vmap',
          shapes: [t.layout.shape],
        })
      if (size >= 0 && n !== size)
        throw new ShapeError(`vmap: Expected all tensors to have the same size in the mapped dimension, got sizes ${size} and ${n}`, {
          op: 'vmap',
        })
      size = n
    }
  }
  if (size < 0) throw new ArgumentError('vmap: at least one argument must be batched', { op: 'vmap' })
  return size
}

/** The second argument: where the batch is, or all options. */
function read(given: InDims | VmapOptions, outDims: number | readonly number[] | undefined, more: VmapOptions): Required<VmapOptions> {
  const first = typeof given === 'number' || Array.isArray(given) ? { inDims: given as InDims } : (given as VmapOptions)
  const options = { ...first, ...(outDims === undefined ? {} : { outDims }), ...more }
  checkOptions('vmap', first, { inDims: 'any', outDims: 'any', randomness: 'any', chunkSize: 'any' })
  checkOptions('vmap', more, { inDims: 'any', outDims: 'any', randomness: 'any', chunkSize: 'any' })
  const { inDims = 0, randomness = 'error', chunkSize = null } = options
  if (randomness !== 'error' && randomness !== 'same' && randomness !== 'different') {
    throw new ArgumentError(`vmap: Only allowed values for randomness are 'error', 'different', or 'same'. Got ${describe(randomness)}`, {
      op: 'vmap',
    })
  }
  if (chunkSize !== null && !(Number.isInteger(chunkSize) && chunkSize > 0))
    throw new ArgumentError(`vmap: chunk_size should be null or greater than 0, got ${describe(chunkSize)}`, { op: 'vmap' })
  return { inDims, outDims: options.outDims ?? 0, randomness, chunkSize }
}

/**
 * `f` for one example, turned into a function for a batch of them: `vmap(f, inDims, outDims)`, or with all options in one object.
 * Arguments and results may be lists and objects of tensors.
 * Errors: ShapeError for batches of different sizes, ArgumentError where nothing is batched or `inDims` doesn't fit, UnsupportedError for
 * random operations (see `randomness`) and for what would differ in shape between examples.
 * @example
 * const dots = func.vmap((a: Tensor, b: Tensor) => a.mul(b).sum())
 * dots(tensor([[1, 2], [3, 4]]), tensor([[1, 1], [2, 2]])).tolist() // [3, 14]
 * func.vmap((a: Tensor, b: Tensor) => a.add(b), { inDims: [0, null] })(tensor([1, 2]), tensor(10)).tolist() // [11, 12]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.vmap.html
 */
export function vmap<A extends unknown[], R>(
  f: Fn<A, R>,
  given: InDims | VmapOptions = 0,
  outDims?: number | readonly number[],
  more: VmapOptions = {},
): (...args: A) => R {
  const options = read(given, outDims, more)
  const { inDims, chunkSize } = options
  return (...args) => {
    if (typeof inDims !== 'number' && inDims.length !== args.length) {
      throw new ArgumentError(
        `vmap: in_dims is not compatible with the structure of inputs: ${inDims.length} entries for ${args.length} arguments`,
        {
          op: 'vmap',
        },
      )
    }
    const all = args.map((arg, i) => places(arg, typeof inDims === 'number' ? inDims : inDims[i]!, i))
    const size = batchSize(all)
    if (chunkSize === null || chunkSize >= size) return batched(f, args, all, size, options)
    const parts = Array.from({ length: Math.ceil(size / chunkSize) }, (_, k) => {
      const from = k * chunkSize
      const n = Math.min(chunkSize, size - from)
      const cut = all.map((list) =>
        list.map(({ t, dim }) => ({ t: dim === null || !isTensor(t) ? t : (t as Tensor).narrow(dim, from, n), dim })),
      )
      return batched(f, args, cut, n, options)
    })
    return joined(parts, options.outDims)
  }
}

/** The results of chunks, end to end. */
function joined<R>(parts: readonly R[], outDims: number | readonly number[]): R {
  const lists = parts.map((part) => flatten(part).leaves)
  let k = 0
  return flatten(parts[0]).rebuild(
    lists[0]!.map((leaf, i) => {
      if (!isTensor(leaf)) return leaf
      const dim = typeof outDims === 'number' ? outDims : (outDims[k++] ?? 0)
      return cat(
        lists.map((list) => list[i] as Tensor),
        dim,
      )
    }),
  ) as R
}

function batched<A extends unknown[], R>(
  f: Fn<A, R>,
  args: A,
  all: readonly Place[][],
  size: number,
  { outDims, randomness }: Required<VmapOptions>,
): R {
  return withLevel(
    'batch',
    size,
    (level) => {
      const inner = args.map((arg, i) =>
        flatten(arg).rebuild(
          all[i]!.map(({ t, dim }) => (dim === null || !isTensor(t) ? t : wrap(level, t, null, dim < 0 ? dim + t.layout.rank : dim))),
        ),
      )
      const y = f(...(inner as A))
      let k = 0
      return mapTensors(y, (t) => {
        const out = typeof outDims === 'number' ? outDims : (outDims[k++] ?? 0)
        const v = unbatch(t, level.depth, size)
        return out === 0 ? v : v.movedim(0, out)
      }) as R
    },
    randomness,
  )
}
