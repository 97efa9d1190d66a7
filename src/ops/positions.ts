/** Tensors of positions: checked, wrapped and flattened for the kernels that gather and scatter. */
import { input, Program, type Scalar, scalar } from '../backend/scalar.ts'
import { dtypes } from '../dtype.ts'
import { DTypeError, IndexError, UnsupportedError } from '../errors.ts'
import { backend, contiguous, type Kernel, kernel, runInto } from '../execute.ts'
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

/** Refuses contiguous positions below `least` or not below `size`. */
function checkRange(op: string, at: ArrayLike, dim: number, least: number, size: number, owner: Owner | null): void {
  const { numel: count } = at.layout
  if (count >= MANY) {
    // Two passes at the speed of memory; only if one fails are the positions looked at one by one.
    const extremes = empty(PAIR, dtypes.int32, owner)
    const to = address(extremes)
    backend().reduce('min', 'int32', true)(1, count, 1, address(at), to)
    backend().reduce('max', 'int32', true)(1, count, 1, address(at), to + 4)
    const [lowest, highest] = readAll(extremes) as Int32Array
    if (lowest! >= least && highest! < size) return
  }
  const data = readAll(at)
  for (let i = 0; i < count; i++) {
    const v = data[i]!
    if (v < least || v >= size) throw outside(op, v, dim, size)
  }
}

/** int32 positions along `dim` in row-major order, none below 0 or beyond `size`. */
export function positions(op: string, index: TensorCore, dim: number, size: number, owner: Owner | null): ArrayLike {
  const at = contiguous(index, owner)
  checkRange(op, at, dim, 0, size, owner)
  return at
}

let wrapping: Kernel | undefined
let joining: Kernel | undefined

/** Positions as they count from the front of a dim of size s₀. */
const fromFront = (i: Scalar): Scalar => i.add(scalar(0)).where(i.lt(0), i)

/** The kernel that wraps positions: of the first dim, or joined to what the dims before gave. */
function wrapKernel(first: boolean): Kernel {
  if (first) return (wrapping ??= kernel(new Program([fromFront(input(0))], ['int32'], ['int32'], 1, 'int32')))
  const joined = input(1)
    .mul(scalar(0))
    .add(fromFront(input(0)))
  return (joining ??= kernel(new Program([joined], ['int32'], ['int32', 'int32'], 1, 'int32')))
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
  const flat = indices.map((index) => contiguous(index, owner))
  if (numel(common) > 0) flat.forEach((at, k) => checkRange(op, at, dims[k]!, -shape[dims[k]!]!, shape[dims[k]!]!, owner))
  const joined = empty(Layout.of(common), dtypes.int32, owner)
  flat.forEach((at, k) => runInto(wrapKernel(k === 0), [joined], k === 0 ? [at] : [at, joined], [shape[dims[k]!]!]))
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
