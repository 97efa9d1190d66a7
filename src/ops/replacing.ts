/** Tensors with a part replaced by another tensor: through a window, or where a mask holds. */
import { noGrad } from '../autograd/modes.ts'
import { ArgumentError, DTypeError, ShapeError, show, within } from '../errors.ts'
import { cloneContiguous, copyInto, full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { type GeneralOp, general, vjp } from '../op/general.ts'
import { checkOptions } from '../options.ts'
import type { Shape } from '../shape.ts'
import { dataView, expectTensor, readAll } from '../tensor.ts'

interface Window {
  readonly node: string
  /** The part that is replaced, as a view. */
  readonly view: (x: Tensor) => Tensor
}
const windowOp: GeneralOp<Window> = /* @__PURE__ */ general('windowScatter', {
  node: (p) => p.node,
  names: ['self', 'src'],
  forward: ([x, src], { view }, owner) => {
    const out = cloneContiguous(x!, owner)
    noGrad(() => copyInto(view(out as Tensor), src!))
    return out
  },
  vjp: [vjp([], (g, c) => windowOp.one([g, g.sum().zerosLike().expand(c.shapeOf(1))], c.p)), vjp([], (g, c) => c.p.view(g))],
  jvp: 'linear',
})

function throughWindow(op: string, x: Tensor, src: Tensor, p: Window): Tensor {
  expectTensor(op, x, 'argument 0')
  expectTensor(op, src, 'the source')
  const window = within(op, () => noGrad(() => p.view(x)))
  if (show(window.shape) !== show(src.shape)) {
    throw new ShapeError(
      `${op}: expected src to have a size equal to the slice of self. src size = ${show(src.shape)}, slice size = ${show(window.shape)}`,
      {
        op,
        shapes: [src.shape, window.shape],
      },
    )
  }
  return windowOp.one([x, src], p)
}

/**
 * x with `src` in place of `select(dim, index)`.
 * @example
 * selectScatter(zeros([2, 2]), tensor([5, 6]), 0, 1).tolist() // [[0, 0], [5, 6]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.select_scatter.html
 */
export function selectScatter(x: Tensor, src: Tensor, dim: number, index: number): Tensor {
  return throughWindow('selectScatter', x, src, { node: 'SelectScatterBackward0', view: (t) => t.select(dim, index) })
}

/**
 * x with `src` in place of `slice(dim, start, end, step)`.
 * @example
 * sliceScatter(zeros([4]), tensor([5, 6]), 0, 1, 3).tolist() // [0, 5, 6, 0]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.slice_scatter.html
 */
export function sliceScatter(x: Tensor, src: Tensor, dim = 0, start?: number | null, end?: number | null, step?: number): Tensor {
  const view = (t: Tensor): Tensor => t.slice(dim, start ?? undefined, end ?? undefined, step)
  return throughWindow('sliceScatter', x, src, { node: 'SliceScatterBackward0', view })
}

/**
 * x with `src` in place of `diagonal(options)`.
 * @example
 * diagonalScatter(zeros([2, 2]), tensor([1, 2])).tolist() // [[1, 0], [0, 2]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.diagonal_scatter.html
 */
export function diagonalScatter(
  x: Tensor,
  src: Tensor,
  options: { readonly offset?: number; readonly dim1?: number; readonly dim2?: number } = {},
): Tensor {
  checkOptions('diagonalScatter', options, { offset: 'integer', dim1: 'any', dim2: 'any' })
  return throughWindow('diagonalScatter', x, src, { node: 'DiagonalScatterBackward0', view: (t) => t.diagonal(options) })
}

const maskedScatterOp: GeneralOp<null> = /* @__PURE__ */ general('maskedScatter', {
  node: 'MaskedScatterBackward0',
  names: ['self', 'mask', 'source'],
  forward: ([x, mask, source], _p, owner) => {
    const out = cloneContiguous(x!, owner)
    const values = readAll(source!)
    const chosen = readAll(mask!)
    const data = dataView(out)
    let k = 0
    chosen.forEach((m, i) => {
      if (m === 0) return
      if (k === values.length) {
        throw new ArgumentError(
          'maskedScatter: expected self and source to have same dtypes and source to have at least as many elements as the mask is true',
          {
            op: 'maskedScatter',
          },
        )
      }
      data[out.layout.offset + i] = values[k++]!
    })
    return out
  },
  vjp: [vjp([1], (g, c) => g.maskedFill(c.in(1), 0)), null, vjp([1], (g, c) => maskedSourceOp.one([g, c.in(1)], { shape: c.shapeOf(2) }))],
  jvp: 'linear',
})

/** The elements where the mask holds, in order, then zeros: what arrives at a source of this shape. */
const maskedSourceOp: GeneralOp<{ readonly shape: Shape }> = /* @__PURE__ */ general('maskedScatterBackward', {
  node: 'MaskedScatterBackwardBackward0',
  names: ['self', 'mask'],
  forward: ([g, mask], { shape }, owner) => {
    const out = full(shape, 0, g!.dt, owner)
    const values = readAll(g!)
    const data = dataView(out)
    let k = out.layout.offset
    readAll(mask!).forEach((m, i) => {
      if (m !== 0) data[k++] = values[i]!
    })
    return out
  },
  vjp: [vjp([1], (g, c) => maskedScatterOp.one([g.sum().zerosLike().expand(c.shapeOf(0)), c.in(1), g], null)), null],
  jvp: 'linear',
})

/**
 * x with the elements of `source`, in order, where the mask (bool; broadcast) holds.
 * Errors: DTypeError, ArgumentError for a source with too few elements.
 * @example
 * maskedScatter(zeros([3]), tensor([true, false, true]), tensor([5, 6])).tolist() // [5, 0, 6]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.masked_scatter.html
 */
export function maskedScatter(x: Tensor, mask: Tensor, source: Tensor): Tensor {
  expectTensor('maskedScatter', x, 'argument 0')
  expectTensor('maskedScatter', mask, 'the mask')
  expectTensor('maskedScatter', source, 'the source')
  if (source.dt !== x.dt || mask.dtype !== 'bool') {
    throw new DTypeError(
      `maskedScatter: expected self and source to have same dtypes and a bool mask, but got ${x.dtype}, ${source.dtype} and ${mask.dtype}`,
      { op: 'maskedScatter', dtypes: [x.dtype, mask.dtype, source.dtype] },
    )
  }
  const whole = within('maskedScatter', () => mask.expand(x.shape))
  return maskedScatterOp.one([x, whole, source], null)
}
