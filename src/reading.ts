/** Ways out of a tensor: numbers, nested arrays, typed arrays, shared numpy-style arrays, text. */
import type { NdArray } from 'ndarray'
import { modes } from './autograd/modes.ts'
import { needs } from './autograd/record.ts'
import { arrayType, type TypedArray } from './dtype.ts'
import { AutogradError, IndexError, ShapeError, show, UnsupportedError } from './errors.ts'
import type { Tensor } from './fluent.ts'
import { collector } from './memory/collector.ts'
import { EXTERNAL } from './memory/storage.ts'
import { View } from './ndarray.ts'
import { formatTensor } from './print.ts'
import { wrapDim } from './shape.ts'
import { dataView, readAll, type TensorCore } from './tensor.ts'

function plain(x: TensorCore, what: string): TensorCore {
  let t = x
  while (t.wrap !== null) {
    if (t.wrap.level.kind === 'batch')
      throw new UnsupportedError(`${what}: a tensor inside vmap has one value per example; return it from the function instead`, {
        op: what,
      })
    t = t.wrap.value
  }
  return t
}

/** The value of a tensor of one element. Errors: ShapeError for more. @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.item.html */
function item(x: Tensor): number {
  if (x.layout.numel !== 1) {
    throw new ShapeError(`a Tensor with ${x.layout.numel} elements cannot be converted to Scalar (shape ${show(x.layout.shape)})`, {
      op: 'item',
      shapes: [x.layout.shape],
    })
  }
  const t = plain(x, 'item')
  return dataView(t)[t.layout.offset]!
}

/** A number, or arrays of numbers nested as the dims are; bools become booleans. */
export type NestedList = number | boolean | NestedList[]

function tolist(x: Tensor): NestedList {
  const t = plain(x, 'tolist')
  const values = readAll(t)
  const bool = t.dt.name === 'bool'
  let k = 0
  const build = (d: number): NestedList => {
    if (d === t.layout.rank) {
      const v = values[k++]!
      return bool ? v !== 0 : v
    }
    return Array.from({ length: t.layout.shape[d]! }, () => build(d + 1))
  }
  return build(0)
}

/** The elements in row-major order, a copy. */
function toTypedArray(x: Tensor): TypedArray {
  return readAll(plain(x, 'toTypedArray'))
}

/**
 * An `ndarray` over the same memory: a write through one is seen in the other.
 * Errors: AutogradError when the tensor requires gradients.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.numpy.html
 */
function numpy(x: Tensor): NdArray<TypedArray> {
  if (modes.grad && needs(x, null))
    throw new AutogradError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.", { op: 'numpy' })
  const t = plain(x, 'numpy')
  moveOut(t)
  return new View(t.storage.external!, [...t.layout.shape], [...t.layout.strides], t.layout.offset)
}

/** Moves a storage, with every view of it, to a typed array of its own on the JS heap. */
function moveOut(t: TensorCore): void {
  const { storage, dt } = t
  if (storage.external !== null) return
  const length = Math.floor(storage.bytes / dt.bytes)
  const view = dataView(t)
  const Type = arrayType(dt)
  const external = new Type(length)
  external.set(view.subarray(0, length) as Float64Array)
  const { ptr } = storage
  if (storage.region === null) collector().free(storage, ptr)
  storage.region = null
  storage.external = external
  storage.ptr = EXTERNAL
}

/** As torch prints: `tensor([1., 2.], requiresGrad=true)`. */
function toString(x: Tensor): string {
  if (x.wrap !== null)
    return `${x.wrap.level.kind === 'batch' ? 'BatchedTensor' : x.wrap.level.kind === 'forward' ? 'DualTensor' : 'GradTensor'}(level=${x.wrap.level.depth}, shape=${show(x.shape)})`
  const gradFn = x.gradFn
  return formatTensor(readAll(x), x.shape, x.dtype, gradFn !== null ? { gradFn: gradFn.name() } : x.rg ? { requiresGrad: true } : {})
}

/** The methods of this file. */
export const reading: {
  readonly item: (x: Tensor) => number
  readonly tolist: (x: Tensor) => NestedList
  readonly toTypedArray: (x: Tensor) => TypedArray
  readonly numpy: (x: Tensor) => NdArray<TypedArray>
  readonly toString: (x: Tensor) => string
  readonly toJSON: (x: Tensor) => { dtype: string; shape: readonly number[]; data: NestedList }
  /** The sizes, or that of one dim. @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.size.html */
  readonly size: (x: Tensor, dim?: number) => unknown
  /** How many dims. @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.dim.html */
  readonly dim: (x: Tensor) => number
} = {
  item,
  tolist,
  toTypedArray,
  numpy,
  toString,
  toJSON: (x) => ({ dtype: x.dtype, shape: x.shape, data: tolist(x) }),
  size: (x, dim) => {
    if (dim === undefined) return x.shape
    if (x.layout.rank === 0) throw new IndexError('size: a 0-dim tensor has no dims', { op: 'size' })
    return x.layout.shape[wrapDim(dim, x.layout.rank, 'size')]!
  },
  dim: (x) => x.layout.rank,
}
