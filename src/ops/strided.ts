/** Views by strides. */
import { ArgumentError, IndexError, show } from '../errors.ts'
import { cloneContiguous, copyInto, full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type GeneralOp, general, view, vjp } from '../op/general.ts'
import { describe } from '../options.ts'
import { checkShape, type Shape, shapeArgument } from '../shape.ts'
import { expectTensor } from '../tensor.ts'
import { stridedBackward } from './geometry.ts'

interface Strided {
  readonly shape: Shape
  readonly strides: readonly number[]
  /** From the first element of x. */
  readonly offset: number
  /** Where x lies, for the way back. */
  readonly base: Layout
}
const asStridedOp: GeneralOp<Strided> = /* @__PURE__ */ view('asStrided', {
  node: 'AsStridedBackward0',
  layout: (l, { shape, strides, offset }) => new Layout(shape, strides, l.offset + offset),
  vjp: (g, { p: { shape, strides, offset, base } }) =>
    stridedBackward.one([g], { node: 'AsStridedBackwardBackward0', base, window: new Layout(shape, strides, base.offset + offset) }),
})

/**
 * Any window of the elements, by strides and offset (in elements of the storage; by default from the first of x).
 * Errors: IndexError when it would leave the storage.
 * @example
 * tensor([1, 2, 3, 4]).asStrided([2, 2], [1, 1]).tolist() // [[1, 2], [2, 3]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.as_strided.html
 */
export function asStrided(x: Tensor, shape: Shape, steps: readonly number[], offset?: number): Tensor {
  expectTensor('asStrided', x, 'argument 0')
  checkShape(shape, 'asStrided')
  const strides = shapeArgument(steps, [], 'asStrided')
  if (strides.length !== shape.length || strides.some((s) => !Number.isInteger(s))) {
    throw new ArgumentError(`asStrided: mismatch in length of strides and shape: ${show(strides)} for ${show(shape)}`, { op: 'asStrided' })
  }
  if (offset !== undefined && offset !== null && !Number.isInteger(offset))
    throw new ArgumentError(`asStrided: the offset must be a whole number, got ${describe(offset)}`, { op: 'asStrided' })
  const layout = new Layout(shape, strides, offset ?? x.layout.offset)
  const elements = Math.floor(x.storage.bytes / x.dt.bytes)
  if (!Number.isInteger(layout.offset) || layout.offset < 0 || strides.some((s) => s < 0) || layout.end > elements) {
    throw new IndexError(
      `asStrided: shape ${show(shape)}, strides ${show(strides)} and offset ${layout.offset} leave the ${elements} elements of the storage`,
      { op: 'asStrided', shapes: [shape] },
    )
  }
  return asStridedOp.one([x], { shape, strides, offset: layout.offset - x.layout.offset, base: x.layout })
}

/** A window by strides of a row-major copy. */
interface DenseWindow {
  readonly shape: Shape
  readonly strides: readonly number[]
  readonly offset: number
}
const denseWindow = (g: Tensor, { shape, strides, offset }: DenseWindow): Tensor => {
  const dense = g.contiguous()
  return asStrided(dense, shape, strides, dense.layout.offset + offset)
}

const stridedScatter: GeneralOp<DenseWindow> = /* @__PURE__ */ general('asStridedScatter', {
  node: 'AsStridedScatterBackward0',
  forward: (x, { shape, strides, offset }, owner) => {
    const out = cloneContiguous(x[0]!, owner)
    copyInto({ storage: out.storage, dt: out.dt, layout: new Layout(shape, strides, out.layout.offset + offset) }, x[1]!)
    return out
  },
  vjp: [vjp([], (g, { p }) => stridedScatter.one([g, full([], 0, g.dt, null)], p)), vjp([], (g, { p }) => denseWindow(g, p))],
  jvp: 'linear',
})

/**
 * A row-major copy of x with a window of it (by strides and offset in that copy) replaced by `src`.
 * @example
 * zeros([4]).asStridedScatter(ones([2]), [2], [2]).tolist() // [1, 0, 1, 0]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.as_strided_scatter.html
 */
export function asStridedScatter(x: Tensor, src: Tensor, shape: Shape, strides: readonly number[], offset = 0): Tensor {
  expectTensor('asStridedScatter', x, 'argument 0')
  expectTensor('asStridedScatter', src, 'argument 1')
  return stridedScatter.one([x, src], { shape, strides, offset })
}
