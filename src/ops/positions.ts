/** Tensors of positions: checked, wrapped and flattened for the kernels that gather and scatter. */
import { dtypes } from '../dtype.ts'
import { DTypeError, IndexError, UnsupportedError } from '../errors.ts'
import { backend, contiguous } from '../execute.ts'
import { Layout } from '../layout.ts'
import type { Owner } from '../memory/storage.ts'
import { numel, type Shape } from '../shape.ts'
import { type ArrayLike, address, dataView, empty, readAll, type TensorCore } from '../tensor.ts'

/** Refuses positions that aren't int32. */
export function checkPositions(op: string, index: TensorCore): void {
  if (index.dt !== dtypes.int32) {
    throw new DTypeError(`${op}(): Expected dtype int32/int64 for index, got ${index.dt.name}; convert it with to('int32')`, {
      op,
      dtypes: [index.dt.name],
    })
  }
}

/** From this many positions on, kernels check faster than a loop here. */
const MANY = 256
const PAIR: Layout = /* @__PURE__ */ Layout.of([2])

function outside(op: string, v: number, dim: number, size: number): IndexError {
  return new IndexError(`${op}: index ${v} is out of bounds for dimension ${dim} with size ${size}`, { op })
}

/** int32 positions along `dim` in row-major order, none below 0 or beyond `size`. */
export function positions(op: string, index: TensorCore, dim: number, size: number, owner: Owner | null): ArrayLike {
  const at = contiguous(index, owner)
  const { numel: count } = at.layout
  if (count >= MANY) {
    // Two passes at the speed of memory; only if one fails are the positions looked at one by one.
    const extremes = empty(PAIR, dtypes.int32, owner)
    const to = address(extremes)
    backend().reduce('min', 'int32')(1, count, 1, address(at), to)
    backend().reduce('max', 'int32')(1, count, 1, address(at), to + 4)
    const [least, most] = readAll(extremes) as Int32Array
    if (least! >= 0 && most! < size) return at
  }
  const data = readAll(at)
  for (let i = 0; i < count; i++) {
    const v = data[i]!
    if (v < 0 || v >= size) throw outside(op, v, dim, size)
  }
  return at
}

/**
 * Positions in dims `dims` of `shape` (which follow each other in memory order of those dims) as positions in all of them
 * together: ((i·n₁ + j)·n₂ + k)…, broadcast to `common`. Negative positions count from the end.
 */
export function joinPositions(
  op: string,
  indices: readonly TensorCore[],
  dims: readonly number[],
  shape: Shape,
  common: Shape,
  owner: Owner | null,
): ArrayLike {
  const flat = indices.map((index) => contiguous({ storage: index.storage, dt: index.dt, layout: index.layout.expand(common) }, owner))
  const joined = empty(Layout.of(common), dtypes.int32, owner)
  const out = dataView(joined)
  const { offset, numel: count } = joined.layout
  flat.forEach((at, k) => {
    const data = dataView(at)
    const from = at.layout.offset
    const size = shape[dims[k]!]!
    for (let i = 0; i < count; i++) {
      const v = data[from + i]!
      if (v < -size || v >= size) throw outside(op, v, dims[k]!, size)
      out[offset + i] = (k === 0 ? 0 : out[offset + i]! * size) + (v < 0 ? v + size : v)
    }
  })
  return joined
}

/** [outer, n, inner]: the sizes around `dim`, in elements. */
export function around(shape: Shape, dim: number): [number, number, number] {
  return [numel(shape.slice(0, dim)), shape[dim] ?? 1, numel(shape.slice(dim + 1))]
}

/** Has every example its own values here? Then a result whose shape depends on them can't be batched. */
export function isBatched(t: TensorCore): boolean {
  for (let v: TensorCore = t; v.wrap !== null; v = v.wrap.value) if (v.wrap.level.kind === 'batch') return true
  return false
}

/** The elements of a tensor whose values decide the shape of a result. Errors: UnsupportedError inside vmap. */
export function concrete(op: string, t: TensorCore): ArrayLike {
  if (isBatched(t)) {
    throw new UnsupportedError(
      `${op}: vmap: It looks like you're attempting to use a Tensor whose values decide the shape of the result; that shape would differ between examples. Use where(…) or maskedFill(…)`,
      { op },
    )
  }
  return t
}

/** The row-major positions of the elements that aren't 0, as a fresh int32 vector. */
export function nonzeroPositions(a: ArrayLike, owner: Owner | null): TensorCore {
  const values = readAll(a)
  // Without branches: which elements are nonzero is anybody's guess.
  const found = new Int32Array(values.length + 1)
  let count = 0
  for (let i = 0; i < values.length; i++) {
    found[count] = i
    count += Number(values[i] !== 0)
  }
  const out = empty(Layout.of([count]), dtypes.int32, owner)
  dataView(out).set(found.subarray(0, count), out.layout.offset)
  return out
}

/** Row-major positions taken apart into one int32 vector for each dim of `shape`. */
export function takeApart(flat: TensorCore, shape: Shape, owner: Owner | null): TensorCore[] {
  const count = flat.layout.numel
  const parts = shape.map(() => empty(Layout.of([count]), dtypes.int32, owner))
  const views = parts.map((p) => dataView(p))
  const data = dataView(flat)
  for (let i = 0; i < count; i++) {
    let left = data[flat.layout.offset + i]!
    for (let d = shape.length - 1; d >= 0; d--) {
      const q = Math.floor(left / shape[d]!)
      views[d]![parts[d]!.layout.offset + i] = left - q * shape[d]!
      left = q
    }
  }
  return parts
}
