/** The tensor: a storage, a layout, a dtype, and its place in the graph. Operations are installed on it in `fluent.ts`. */

import type { Wrapped } from './autograd/levels.ts'
import type { LeafMeta, Node, VersionCounter, ViewMeta } from './autograd/node.ts'
import { arrayType, type DType, type DTypeInfo, type TypedArray } from './dtype.ts'
import { ArgumentError, DTypeError, MemoryError, ReleasedTensorError, show } from './errors.ts'
import type { Layout } from './layout.ts'
import { linearMemory } from './memory/linear.ts'
import { allocate, allocatePersistent } from './memory/scope.ts'
import type { Owner } from './memory/storage.ts'
import { EXTERNAL, type Storage } from './memory/storage.ts'
import { describe } from './options.ts'
import { numel, type Shape } from './shape.ts'

/** Nested JS arrays of numbers, as `tolist` gives them and `tensor` takes them. */
export type Nested = number | boolean | readonly Nested[]

/** What kernels read: a storage seen through a layout. Tensors and saved tensors are both this. */
export interface ArrayLike {
  readonly storage: Storage
  readonly layout: Layout
  readonly dt: DTypeInfo
}

/** The version counter of new tensors. */
let born: VersionCounter | null = null

/** Gives new tensors this counter from the start (null: one of their own when somebody asks). */
export function bornWith(counter: VersionCounter | null): void {
  born = counter
}

/** Brands tensors across copies of the package; set on the prototype with the methods. */
export const BRAND: unique symbol = Symbol.for('gradtape.tensor')

/**
 * A multi-dimensional array with a place in the graph. Made by `tensor`, `zeros`, … and by operations, never by `new`.
 */
export class TensorCore implements ArrayLike {
  storage: Storage
  layout: Layout
  dt: DTypeInfo
  /** Requires gradients, as a leaf or through its node. */
  rg = false
  /** What made this tensor, if that is recorded (of a stale view, what made it before its base changed). */
  node: Node | null = null
  /** Which output of `node` this is. */
  outputNr = 0
  /** Counts in-place changes; made when somebody first asks. Null counts as 0. */
  vc: VersionCounter | null
  leaf: LeafMeta | null = null
  viewMeta: ViewMeta | null = null
  /** Inside a transform: the level and what it wraps. */
  wrap: Wrapped | null = null

  constructor(storage: Storage, layout: Layout, dt: DTypeInfo) {
    this.storage = storage
    this.layout = layout
    this.dt = dt
    this.vc = born
  }

  /** Sizes of the dims: `[2, 3]`. */
  get shape(): Shape {
    return this.layout.shape
  }

  /** The element type. */
  get dtype(): DType {
    return this.dt.name
  }

  /** How many dims. */
  get ndim(): number {
    return this.layout.shape.length
  }

  /** Where the tensor lives; there is only 'cpu'. */
  get device(): 'cpu' {
    return 'cpu'
  }

  /** How many elements. */
  numel(): number {
    return this.layout.numel
  }

  /** Steps, in elements, between neighbours along each dim. */
  stride(): readonly number[] {
    return this.layout.strides
  }

  /** Index of the first element in the storage. */
  storageOffset(): number {
    return this.layout.offset
  }

  /** Row-major without gaps? */
  isContiguous(): boolean {
    return this.layout.contiguous
  }
}

/** Is this a tensor of this copy of the package? */
export function isTensor(value: unknown): value is TensorCore {
  return value instanceof TensorCore
}

/** A typed refusal of anything that isn't a tensor, naming the op and what came instead. */
export function refuse(op: string, value: unknown, position: string): ArgumentError {
  if (typeof value === 'object' && value !== null && BRAND in value) {
    return new ArgumentError(`${op}: ${position} is a tensor of another copy of gradtape: make sure that one copy is installed`, { op })
  }
  const what = value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value
  return new ArgumentError(`${op}: expected a tensor for ${position} but got ${what}; make one with tensor(…)`, { op })
}

/** `value` as a tensor, or the refusal. */
export function expectTensor(op: string, value: unknown, position: string): asserts value is TensorCore {
  if (!(value instanceof TensorCore)) throw refuse(op, value, position)
}

/** `value` as a tensor or nothing (absent, null), or the refusal. */
export function expectTensorOrNone(op: string, value: unknown, position: string): asserts value is TensorCore | null | undefined {
  if (value !== undefined && value !== null) expectTensor(op, value, position)
}

/** `value` as a list of tensors, at least one, or the refusal. */
export function expectTensors(op: string, value: unknown): asserts value is readonly TensorCore[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw new ArgumentError(`${op}: expects a non-empty TensorList, in an array such as [a, b], got ${describe(value)}`, { op })
  }
  value.forEach((t, i) => expectTensor(op, t, `tensor ${i}`))
}

/** What 32-bit addresses reach. */
const ADDRESSABLE = 4 * 1024 ** 3

/** The error for a tensor that no memory of 32-bit addresses can hold. */
function tooLarge(shape: Shape, dt: DTypeInfo, op?: string): MemoryError {
  const size = ((numel(shape) * dt.bytes) / 1024 ** 3).toFixed(1)
  return new MemoryError(
    `${op === undefined ? '' : `${op}: `}out of memory: a tensor of shape ${show(shape)} and dtype ${dt.name} needs ${size} GiB, more than the 4 GiB that can be addressed; work in parts`,
    { op, shapes: [shape], dtypes: [dt.name] },
  )
}

/** Refuses a shape that can't be addressed, before lists as long as its dims are made. */
export function checkAddressable(op: string, shape: Shape, dt: DTypeInfo): void {
  if (numel(shape) * dt.bytes > ADDRESSABLE) throw tooLarge(shape, dt, op)
}

/** A fresh uninitialised tensor. `owner` is the backward pass that recycles it, if one does. May sweep. */
export function empty(layout: Layout, dt: DTypeInfo, owner: Owner | null): TensorCore {
  const bytes = layout.numel * dt.bytes
  if (bytes > ADDRESSABLE) throw tooLarge(layout.shape, dt)
  return new TensorCore(owner === null ? allocate(bytes) : owner.alloc(bytes), layout, dt)
}

/** A fresh uninitialised tensor that no scope releases. */
export function emptyPersistent(layout: Layout, dt: DTypeInfo): TensorCore {
  return new TensorCore(allocatePersistent(layout.numel * dt.bytes), layout, dt)
}

/** The address of the first element. Throws for released storages; external ones must have been brought in before. */
export function address(a: ArrayLike): number {
  const ptr = a.storage.ptr
  if (ptr < 0) throw unreadable(a)
  return ptr + a.layout.offset * a.dt.bytes
}

function unreadable(a: ArrayLike): Error {
  if (a.storage.ptr === EXTERNAL) return new TypeError('internal: an external storage reached a kernel')
  return new ReleasedTensorError(
    `this tensor (shape ${show(a.layout.shape)}, ${a.dt.name}) was made inside a scope() that has ended; return it from the scope or keep() it to let it live on`,
    { shapes: [a.layout.shape], dtypes: [a.dt.name] },
  )
}

/** A typed array over the whole storage, to use before anything allocates. Index with layout positions. */
export function dataView(a: ArrayLike): TypedArray {
  const { storage, dt } = a
  if (storage.external !== null) return storage.external
  if (storage.ptr < 0) throw unreadable(a)
  const Type = arrayType(dt)
  return new Type(linearMemory().buffer as ArrayBuffer, storage.ptr, Math.floor(storage.bytes / dt.bytes))
}

/** The elements in row-major order, copied out. */
export function readAll(a: ArrayLike): TypedArray {
  const { layout, dt } = a
  const data = dataView(a)
  const Type = arrayType(dt)
  if (layout.contiguous) return new Type(data.subarray(layout.offset, layout.offset + layout.numel) as Float64Array)
  const out = new Type(layout.numel)
  let k = 0
  eachIndex(layout, (i) => {
    out[k++] = data[i]!
  })
  return out
}

/** Writes row-major `values` into the elements of `a`. */
export function writeAll(a: ArrayLike, values: ArrayLikeNumbers): void {
  const data = dataView(a)
  const { layout } = a
  if (layout.contiguous) {
    for (let i = 0; i < layout.numel; i++) data[layout.offset + i] = values[i]!
    return
  }
  let k = 0
  eachIndex(layout, (i) => {
    data[i] = values[k++]!
  })
}

interface ArrayLikeNumbers {
  readonly length: number
  readonly [index: number]: number
}

/** Visits the storage index of each element in row-major order. */
export function eachIndex(layout: Layout, visit: (index: number) => void): void {
  const { shape, strides, numel } = layout
  if (numel === 0) return
  const rank = shape.length
  const counter = new Array<number>(rank).fill(0)
  let index = layout.offset
  for (;;) {
    visit(index)
    let d = rank - 1
    for (; d >= 0; d--) {
      index += strides[d]!
      if (++counter[d]! < shape[d]!) break
      index -= strides[d]! * shape[d]!
      counter[d] = 0
    }
    if (d < 0) return
  }
}

/** Refuses values that `dt` can't hold. */
export function checkValue(value: unknown, dt: DTypeInfo, op: string): number {
  const v = typeof value === 'boolean' ? Number(value) : value
  if (typeof v !== 'number')
    throw new DTypeError(`${op}: expected numbers or booleans, got ${value === null ? 'null' : typeof value}`, { op })
  if (dt.category === 1) {
    const low = dt.name === 'uint8' ? 0 : -2147483648
    const high = dt.name === 'uint8' ? 255 : 2147483647
    const whole = Math.trunc(v)
    if (!(whole >= low && whole <= high))
      throw new DTypeError(`${op}: value cannot be converted to type ${dt.name} without overflow: ${v}`, { op, dtypes: [dt.name] })
    return whole
  }
  return dt.category === 0 ? Number(v !== 0) : v
}
