/** Where the elements of a tensor lie in its storage: shape, strides, offset. Pure arithmetic, immutable, shared freely. */
import { ArgumentError, IndexError, ShapeError, show } from './errors.ts'
import { numel, type Shape, sameShape } from './shape.ts'

export class Layout {
  readonly shape: Shape
  /** Distance, in elements, between neighbours along each dim. */
  readonly strides: readonly number[]
  /** Index of the first element in the storage. */
  readonly offset: number
  readonly numel: number
  /** Row-major without gaps: the elements are `offset … offset + numel`, in order. */
  readonly contiguous: boolean

  constructor(shape: Shape, strides: readonly number[], offset: number) {
    this.shape = shape
    this.strides = strides
    this.offset = offset
    this.numel = numel(shape)
    this.contiguous = isContiguous(shape, strides, this.numel)
  }

  /** The row-major layout of `shape` at the start of a storage. */
  static of(shape: Shape): Layout {
    return shape.length === 0 ? SCALAR : new Layout(shape, rowMajor(shape), 0)
  }

  get rank(): number {
    return this.shape.length
  }

  /** Each element has a place of its own and the places have no gaps: a permuted contiguous layout. */
  get dense(): boolean {
    if (this.contiguous) return true
    const order = this.shape.map((_, i) => i).filter((i) => this.shape[i] !== 1)
    order.sort((a, b) => this.strides[a]! - this.strides[b]!)
    let expected = 1
    for (const i of order) {
      if (this.strides[i] !== expected) return false
      expected *= this.shape[i]!
    }
    return true
  }

  /** Could two indices name the same element? (Exact for views made by slicing and permuting; true for expanded ones.) */
  get overlapping(): boolean {
    if (this.contiguous || this.numel === 0) return false
    const dims = this.shape.map((_, i) => i).filter((i) => this.shape[i]! > 1)
    dims.sort((a, b) => Math.abs(this.strides[a]!) - Math.abs(this.strides[b]!))
    let reach = 0
    for (const i of dims) {
      if (Math.abs(this.strides[i]!) <= reach) return true
      reach += Math.abs(this.strides[i]!) * (this.shape[i]! - 1)
    }
    return false
  }

  /** One past the highest element index this layout touches. */
  get end(): number {
    if (this.numel === 0) return this.offset
    let last = this.offset
    for (let i = 0; i < this.rank; i++) last += this.strides[i]! * (this.shape[i]! - 1)
    return last + 1
  }

  permute(order: readonly number[]): Layout {
    return new Layout(
      order.map((d) => this.shape[d]!),
      order.map((d) => this.strides[d]!),
      this.offset,
    )
  }

  transpose(a: number, b: number): Layout {
    const order = this.shape.map((_, i) => i)
    order[a] = b
    order[b] = a
    return this.permute(order)
  }

  /** Elements start, start + step, … of one dim. Arguments are already wrapped and clamped; step ≥ 1. */
  slice(dim: number, start: number, length: number, step = 1): Layout {
    const shape = [...this.shape]
    const strides = [...this.strides]
    shape[dim] = length
    strides[dim] = this.strides[dim]! * step
    return new Layout(shape, strides, this.offset + start * this.strides[dim]!)
  }

  /** One element of `dim`; the dim goes away. */
  select(dim: number, index: number): Layout {
    const size = this.shape[dim]!
    if (!Number.isInteger(index) || index < -size || index >= size) {
      throw new IndexError(`select: index ${index} is out of bounds for dimension ${dim} with size ${size}`, { op: 'select' })
    }
    return new Layout(
      without(this.shape, dim),
      without(this.strides, dim),
      this.offset + (index < 0 ? index + size : index) * this.strides[dim]!,
    )
  }

  unsqueeze(dim: number): Layout {
    const stride = dim < this.rank ? this.shape[dim]! * this.strides[dim]! : 1
    return new Layout(this.shape.toSpliced(dim, 0, 1), this.strides.toSpliced(dim, 0, stride), this.offset)
  }

  squeeze(dims: readonly number[]): Layout {
    const keep = this.shape.map((_, i) => i).filter((i) => !(dims.includes(i) && this.shape[i] === 1))
    return this.permute(keep)
  }

  /** Size-1 dims repeated without copying (stride 0); -1 keeps a size. */
  expand(target: Shape): Layout {
    if (sameShape(this.shape, target)) return this
    const lead = target.length - this.rank
    const shape = [...target]
    const strides = new Array<number>(target.length).fill(0)
    for (let i = 0; i < target.length; i++) {
      const own = i < lead ? 1 : this.shape[i - lead]!
      if (target[i] === -1 && i >= lead) shape[i] = own
      if (shape[i] === own && i >= lead) strides[i] = this.strides[i - lead]!
      else if (own !== 1 || !Number.isInteger(shape[i]) || shape[i]! < 0 || lead < 0) {
        throw new ShapeError(
          `expand: cannot expand ${show(this.shape)} to ${show(target)}: dimension ${i} has size ${own} and would have ${shape[i]}; only size 1 expands, to whole numbers ≥ 0`,
          {
            op: 'expand',
            shapes: [this.shape, target],
          },
        )
      }
    }
    if (lead < 0)
      throw new ShapeError(`expand: ${show(target)} has fewer dimensions than ${show(this.shape)}`, {
        op: 'expand',
        shapes: [this.shape, target],
      })
    return new Layout(shape, strides, this.offset)
  }

  /** The same elements in another shape without a copy, or undefined when strides don't allow it. */
  reshape(shape: Shape): Layout | undefined {
    if (sameShape(shape, this.shape)) return this
    if (this.contiguous) return new Layout(shape, rowMajor(shape), this.offset)
    if (this.numel === 0) return new Layout(shape, rowMajor(shape), this.offset)
    // Walk both shapes from the back in groups of equal size; inside a group the old dims must be mergeable.
    const strides = new Array<number>(shape.length).fill(1)
    let j = shape.length - 1
    let i = this.rank - 1
    while (i >= 0) {
      const stride = this.strides[i]!
      let size = this.shape[i]!
      while (i > 0 && (this.shape[i - 1] === 1 || this.strides[i - 1] === size * stride)) size *= this.shape[--i]!
      let left = size
      let s = stride
      while (j >= 0 && (left > 1 || shape[j] === 1)) {
        if (left % shape[j]! !== 0) return undefined
        strides[j] = s
        s *= shape[j]!
        left /= shape[j]!
        j--
      }
      if (left !== 1) return undefined
      i--
    }
    return j >= 0 && shape.slice(0, j + 1).some((n) => n !== 1) ? undefined : new Layout(shape, strides, this.offset)
  }

  /** The diagonal of two dims as a new last dim. */
  diagonal(offset: number, dim1: number, dim2: number): Layout {
    const n1 = this.shape[dim1]!
    const n2 = this.shape[dim2]!
    const size = Math.max(0, Math.min(offset >= 0 ? n2 - offset : n2, offset >= 0 ? n1 : n1 + offset))
    const start = size === 0 ? 0 : offset >= 0 ? offset * this.strides[dim2]! : -offset * this.strides[dim1]!
    const rest = this.shape.map((_, i) => i).filter((i) => i !== dim1 && i !== dim2)
    return new Layout(
      [...rest.map((i) => this.shape[i]!), size],
      [...rest.map((i) => this.strides[i]!), this.strides[dim1]! + this.strides[dim2]!],
      this.offset + start,
    )
  }

  /** Windows of `size` elements every `step` along `dim`; the window is a new last dim. */
  unfold(dim: number, size: number, step: number): Layout {
    const n = this.shape[dim]!
    if (!Number.isInteger(size) || size < 0 || size > n)
      throw new ShapeError(`unfold: maximum size for tensor at dimension ${dim} is ${n} but size is ${size}`, { op: 'unfold' })
    if (!Number.isInteger(step) || step <= 0) throw new ArgumentError(`unfold: step is ${step} but must be > 0`, { op: 'unfold' })
    const shape = [...this.shape, size]
    const strides = [...this.strides, this.strides[dim]!]
    shape[dim] = Math.floor((n - size) / step) + 1
    strides[dim] = this.strides[dim]! * step
    return new Layout(shape, strides, this.offset)
  }

  /** The same strides seen from the start of a storage of its own. */
  at(offset: number): Layout {
    return offset === this.offset ? this : new Layout(this.shape, this.strides, offset)
  }
}

const SCALAR = new Layout([], [], 0)

/** Row-major strides; a dim after an empty one counts it as 1, as torch does. */
function rowMajor(shape: Shape): number[] {
  const strides = new Array<number>(shape.length)
  let stride = 1
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride
    stride *= Math.max(shape[i]!, 1)
  }
  return strides
}

function isContiguous(shape: Shape, strides: readonly number[], count: number): boolean {
  if (count === 0) return true
  let expected = 1
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== expected) return false
    expected *= shape[i]!
  }
  return true
}

const without = (list: readonly number[], i: number): number[] => list.filter((_, j) => j !== i)

/** Dims shared by several operands, with as few dims as their strides allow: the plan of a strided loop. */
export interface Loop {
  /** Outermost first; at least one dim. */
  readonly sizes: number[]
  /** strides[operand][dim], in elements. */
  readonly strides: number[][]
}

/**
 * Merges neighbouring dims that every operand walks in one stride, drops size-1 dims, and puts the dim where the first
 * operand's stride is smallest innermost. All layouts have the same shape.
 */
export function collapse(layouts: readonly Layout[]): Loop {
  const first = layouts[0]!
  const dims: number[] = []
  for (let i = 0; i < first.rank; i++) if (first.shape[i] !== 1) dims.push(i)
  let sorted = true
  for (let k = 1; k < dims.length; k++) if (first.strides[dims[k]!]! > first.strides[dims[k - 1]!]!) sorted = false
  if (!sorted) dims.sort((a, b) => first.strides[b]! - first.strides[a]!)
  const sizes: number[] = []
  const strides: number[][] = layouts.map(() => [])
  for (const d of dims) {
    const last = sizes.length - 1
    const n = first.shape[d]!
    if (last >= 0 && layouts.every((l, o) => strides[o]![last] === l.strides[d]! * n)) {
      sizes[last]! *= n
      for (let o = 0; o < layouts.length; o++) strides[o]![last] = layouts[o]!.strides[d]!
    } else {
      sizes.push(n)
      for (let o = 0; o < layouts.length; o++) strides[o]!.push(layouts[o]!.strides[d]!)
    }
  }
  if (sizes.length === 0) {
    sizes.push(1)
    for (const s of strides) s.push(0)
  }
  return { sizes, strides }
}
