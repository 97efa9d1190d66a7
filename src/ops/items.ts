/** Reads Python-like indices: the basic ones become a view, the others positions for advanced indexing. */
import { dtypes } from '../dtype.ts'
import { ArgumentError, DTypeError, IndexError, show } from '../errors.ts'
import { full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import type { Shape } from '../shape.ts'
import { dataView, empty, isTensor, type TensorCore } from '../tensor.ts'
import { concrete, isBatched, nonzeroPositions, takeApart } from './positions.ts'
import type { Range } from './range.ts'

/**
 * One item of an index: a position; a slice (`range(…)`); null, a new dim; '...', all dims that nothing else names;
 * positions as a list or an int32 tensor; a mask as a bool tensor, a list of booleans, or one boolean.
 */
export type IndexItem = number | boolean | Range | null | '...' | Tensor | readonly number[] | readonly boolean[]

/** A view, and for each of its dims the positions that are taken there (null: all). */
export interface Subscript {
  readonly view: Tensor
  readonly positions: readonly (Tensor | null)[]
}

const KEYS: ReadonlySet<string> = new Set(['start', 'end', 'step'])

function isMask(item: IndexItem): boolean {
  return typeof item === 'boolean' || (isTensor(item) ? item.dt === dtypes.bool : Array.isArray(item) && typeof item[0] === 'boolean')
}

/** Refuses what isn't an index item. */
function checkItem(op: string, item: IndexItem): void {
  if (isTensor(item)) {
    if (item.dt === dtypes.bool || item.dt === dtypes.int32) return
    if (item.dt === dtypes.uint8) {
      throw new DTypeError(`${op}: uint8 tensors as indices are ambiguous: use to('bool') for a mask or to('int32') for positions`, {
        op,
        dtypes: ['uint8'],
      })
    }
    throw new IndexError(`${op}: tensors used as indices must be long, int, byte or bool tensors, got ${item.dt.name}; use to('int32')`, {
      op,
      dtypes: [item.dt.name],
    })
  }
  if (typeof item === 'number') {
    if (!Number.isInteger(item)) throw new IndexError(`${op}: only whole numbers are positions, got ${item}`, { op })
    return
  }
  if (item === null || item === '...' || typeof item === 'boolean') return
  if (Array.isArray(item)) {
    const kind = typeof item[0] === 'boolean' ? 'boolean' : 'number'
    for (const v of item as readonly unknown[]) {
      if (typeof v === kind && (kind === 'boolean' || Number.isInteger(v))) continue
      throw new IndexError(`${op}: a list in an index holds whole numbers or booleans, got ${String(v)}; use a tensor for more dims`, {
        op,
      })
    }
    return
  }
  if (typeof item === 'object' && Object.keys(item).every((k) => KEYS.has(k))) return
  throw new ArgumentError(
    `${op}: only integers, range(…), '...', null, lists, int32 and bool tensors are indices, got ${typeof item === 'object' ? JSON.stringify(item) : String(item)}`,
    { op },
  )
}

function vector(values: readonly (number | boolean)[], dtype: 'int32' | 'bool'): TensorCore {
  const t = empty(Layout.of([values.length]), dtypes[dtype], null)
  const data = dataView(t)
  values.forEach((v, i) => {
    data[t.layout.offset + i] = Number(v)
  })
  return t
}

/** How many dims of the tensor an item takes up. */
function takes(item: IndexItem): number {
  if (item === null || item === '...' || typeof item === 'boolean') return 0
  return isTensor(item) && item.dt === dtypes.bool ? item.layout.rank : 1
}

/** The positions of a mask's true elements, one vector for each of its dims, which start at `dim` of `shape`. */
function maskPositions(op: string, mask: TensorCore, shape: Shape, dim: number): Tensor[] {
  mask.layout.shape.forEach((n, k) => {
    if (n === shape[dim + k]) return
    throw new IndexError(
      `${op}: The shape of the mask ${show(mask.layout.shape)} at index ${k} does not match the shape of the indexed tensor ${show(shape)} at index ${dim + k}`,
      { op, shapes: [mask.layout.shape, shape] },
    )
  })
  return takeApart(nonzeroPositions(concrete(op, mask), null), mask.layout.shape, null) as Tensor[]
}

/** Reads an index. Nothing is read of x but its shape. */
export function subscript(op: string, x: Tensor, items: readonly IndexItem[]): Subscript {
  for (const item of items) checkItem(op, item)
  const { rank } = x.layout
  const used = items.reduce<number>((n, item) => n + takes(item), 0)
  if (used > rank) {
    throw new IndexError(`${op}: too many indices for tensor of dimension ${rank}: ${used} of its dimensions are indexed`, {
      op,
      shapes: [x.shape],
    })
  }
  const rests = items.filter((item) => item === '...').length
  if (rests > 1) throw new IndexError(`${op}: an index can only have a single ellipsis ('...')`, { op })
  let view = x
  const positions: (Tensor | null)[] = []
  const step = (): number => positions.length
  const all = (count: number): void => {
    for (let k = 0; k < count; k++) positions.push(null)
  }
  for (const item of items) {
    if (item === '...') all(rank - used)
    else if (item === null) {
      view = view.unsqueeze(step())
      all(1)
    } else if (typeof item === 'number') {
      const size = view.shape[step()]!
      if (item < -size || item >= size) {
        throw new IndexError(`${op}: index ${item} is out of bounds for dimension ${step()} with size ${size}`, { op, shapes: [x.shape] })
      }
      view = view.select(step(), item)
    } else if (isMask(item)) {
      let mask: TensorCore =
        typeof item === 'boolean'
          ? full([], Number(item), dtypes.bool, null)
          : isTensor(item)
            ? item
            : vector(item as readonly boolean[], 'bool')
      if (mask.layout.rank === 0) {
        // A mask without dims takes all of a new dim of size 1, or nothing.
        view = view.unsqueeze(step())
        concrete(op, mask)
        mask = (mask as Tensor).reshape([1])
      }
      positions.push(...maskPositions(op, mask, view.shape, step()))
    } else if (isTensor(item)) {
      // One position is like a number: a view.
      if (item.layout.rank === 0 && !isBatched(item)) {
        const at = (item as Tensor).item()
        const size = view.shape[step()]!
        if (at < -size || at >= size) {
          throw new IndexError(`${op}: index ${at} is out of bounds for dimension ${step()} with size ${size}`, { op, shapes: [x.shape] })
        }
        view = view.select(step(), at)
      } else positions.push(item as Tensor)
    } else if (Array.isArray(item)) positions.push(vector(item as readonly number[], 'int32') as Tensor)
    else {
      const { start, end, step: by } = item as Range
      if ((start ?? 0) !== 0 || (end !== undefined && end !== null) || (by ?? 1) !== 1) view = view.slice(step(), start, end, by ?? 1)
      all(1)
    }
  }
  all(view.layout.rank - positions.length)
  return { view, positions }
}
