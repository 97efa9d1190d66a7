/** Shapes as plain number arrays: sizes, dimensions, broadcasting. No data, no strides. */
import { ArgumentError, IndexError, ShapeError, show } from './errors.ts'
import { describe } from './options.ts'

export type Shape = readonly number[]

/** How many elements a tensor of this shape has; 1 for `[]`. */
export function numel(shape: Shape): number {
  let n = 1
  for (let i = 0; i < shape.length; i++) n *= shape[i]!
  return n
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** A shape given as one array or as numbers. Errors: ArgumentError for anything else. */
export function shapeArgument(first: unknown, rest: readonly number[], op: string): Shape {
  if (typeof first === 'number') return [first, ...rest]
  if (Array.isArray(first) && first.every((n) => typeof n === 'number')) return first as Shape
  throw new ArgumentError(`${op}: expected sizes or dims as numbers or one array of them, such as [2, 3], got ${describe(first)}`, { op })
}

/** Refuses anything that isn't a list of whole, non-negative sizes. */
export function checkShape(shape: Shape, op: string): void {
  if (!Array.isArray(shape)) throw new ArgumentError(`${op}: expected a shape such as [2, 3], got ${describe(shape)}`, { op })
  for (const size of shape) {
    if (!Number.isInteger(size) || size < 0) {
      throw new ShapeError(`${op}: sizes must be whole numbers ≥ 0, got ${show(shape)}`, { op, shapes: [shape] })
    }
  }
  const n = numel(shape)
  if (n > Number.MAX_SAFE_INTEGER)
    throw new ShapeError(`${op}: ${show(shape)} has more elements than can be counted`, { op, shapes: [shape] })
}

/** `dim` counted from the front; a 0-dim tensor accepts 0 and -1, as torch does. */
export function wrapDim(dim: number, rank: number, op: string): number {
  if (typeof dim !== 'number') throw new ArgumentError(`${op}: expected a dim such as 0 or -1, got ${describe(dim)}`, { op })
  const n = Math.max(rank, 1)
  if (!Number.isInteger(dim) || dim < -n || dim >= n) {
    throw new IndexError(`${op}: Dimension out of range (expected to be in range of [${-n}, ${n - 1}], but got ${dim})`, { op })
  }
  return dim < 0 ? dim + n : dim
}

/** Every dim of `dims` from the front, sorted, without repeats; all of them when nothing is named. */
export function wrapDims(dims: number | readonly number[] | undefined, rank: number, op: string): number[] {
  if (dims === undefined || (Array.isArray(dims) && dims.length === 0)) return Array.from({ length: rank }, (_, i) => i)
  if (typeof dims !== 'number' && !Array.isArray(dims)) {
    throw new ArgumentError(`${op}: expected a dim or a list of dims, such as 0 or [0, 1], got ${describe(dims)}`, { op })
  }
  const list = (typeof dims === 'number' ? [dims] : [...dims]).map((d) => wrapDim(d, rank, op))
  list.sort((a, b) => a - b)
  for (let i = 1; i < list.length; i++) {
    if (list[i] === list[i - 1]) throw new ArgumentError(`${op}: dim ${list[i]} appears multiple times in the list of dims`, { op })
  }
  return rank === 0 ? [] : list
}

/** The shape both operands broadcast to (numpy's and torch's rule). */
export function broadcast(a: Shape, b: Shape, op: string): Shape {
  if (sameShape(a, b)) return a
  const rank = Math.max(a.length, b.length)
  const out = new Array<number>(rank)
  for (let i = 0; i < rank; i++) {
    const x = a[a.length - rank + i] ?? 1
    const y = b[b.length - rank + i] ?? 1
    if (x !== y && x !== 1 && y !== 1) {
      throw new ShapeError(
        `${op}: The size of tensor a (${x}) must match the size of tensor b (${y}) at non-singleton dimension ${i}; ` +
          `shapes ${show(a)} and ${show(b)} don't broadcast`,
        { op, shapes: [a, b] },
      )
    }
    out[i] = x === 1 ? y : x
  }
  return out
}

/** The dims to sum so that a gradient of shape `from` becomes one of shape `to`, which broadcast to `from`. */
export function broadcastDims(from: Shape, to: Shape): number[] {
  const lead = from.length - to.length
  const dims: number[] = []
  for (let i = 0; i < from.length; i++) if (i < lead || (to[i - lead] === 1 && from[i] !== 1)) dims.push(i)
  return dims
}

/** Does `from` broadcast to `to`? */
export function expandable(from: Shape, to: Shape): boolean {
  const lead = to.length - from.length
  if (lead < 0) return false
  for (let i = 0; i < from.length; i++) if (from[i] !== 1 && from[i] !== to[i + lead]) return false
  return true
}

/** The shape left after reducing `dims` (sorted). */
export function reducedShape(shape: Shape, dims: readonly number[], keepdim: boolean): number[] {
  const out: number[] = []
  for (let i = 0; i < shape.length; i++) {
    if (!dims.includes(i)) out.push(shape[i]!)
    else if (keepdim) out.push(1)
  }
  return out
}

/** `shape` with one −1 replaced by what the element count leaves. */
export function inferShape(shape: Shape, count: number, op: string): number[] {
  const at = shape.indexOf(-1)
  if (at < 0) {
    checkShape(shape, op)
    if (numel(shape) !== count)
      throw new ShapeError(`${op}: shape '${show(shape)}' is invalid for input of size ${count}`, { op, shapes: [shape] })
    return [...shape]
  }
  if (shape.indexOf(-1, at + 1) >= 0)
    throw new ShapeError(`${op}: only one dimension can be inferred, got ${show(shape)}`, { op, shapes: [shape] })
  const rest = shape.filter((_, i) => i !== at)
  checkShape(rest, op)
  const known = numel(rest)
  if (known === 0)
    throw new ShapeError(
      `${op}: cannot reshape tensor of ${count} elements into shape ${show(shape)} because the unspecified dimension size -1 can be any value and is ambiguous`,
      { op, shapes: [shape] },
    )
  if (count % known !== 0)
    throw new ShapeError(`${op}: shape '${show(shape)}' is invalid for input of size ${count}`, { op, shapes: [shape] })
  return shape.with(at, count / known)
}
