/** Copies, conversions and fills, in place and out of it. */
import { type DType, dtypeInfo } from '../dtype.ts'
import { ShapeError, show } from '../errors.ts'
import { cast, cloneContiguous, copyInto, copyKernel, fillWith, full, run1, sumTo } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { type GeneralOp, general, vjp } from '../op/general.ts'
import { expandable, type Shape, sameShape, shapeArgument } from '../shape.ts'
import { checkValue, expectTensor, isTensor, TensorCore } from '../tensor.ts'
import { overwrite } from './overwrite.ts'

const cloneOp: GeneralOp<null> = /* @__PURE__ */ general('clone', {
  node: 'CloneBackward0',
  // Dense permuted layouts keep their strides, as torch does.
  forward: (x, _p, owner) =>
    x[0]!.storage.ptr < 0 ? cloneContiguous(x[0]!, owner) : run1(copyKernel(x[0]!.dt, x[0]!.dt), x[0]!, null, owner),
  vjp: [vjp([], (g) => g)],
  jvp: 'linear',
  batch: (b) => (b.dims[0] === 0 ? b.x[0]! : b.x[0]!.movedim(b.dims[0]!, 0)).clone(),
})

/**
 * A copy with memory of its own, in the graph.
 * @example
 * const x = tensor([1, 2])
 * const y = x.clone()
 * y.add_(1)
 * x.tolist() // [1, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.clone.html
 */
export function clone(x: Tensor): Tensor {
  return cloneOp.one([x], null)
}

const contiguousOp: GeneralOp<null> = /* @__PURE__ */ general('contiguous', {
  node: 'CloneBackward0',
  forward: (x, _p, owner) => cloneContiguous(x[0]!, owner),
  vjp: [vjp([], (g) => g)],
  jvp: 'linear',
  batch: (b) => (b.dims[0] === 0 ? b.x[0]! : b.x[0]!.movedim(b.dims[0]!, 0)).contiguous(),
})

/**
 * x itself if it is row-major, else a row-major copy.
 * @example
 * tensor([[1, 2], [3, 4]]).t().contiguous().isContiguous() // true
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.contiguous.html
 */
export function contiguous(x: Tensor): Tensor {
  expectTensor('contiguous', x, 'argument 0')
  return x.layout.contiguous && x.wrap === null ? x : contiguousOp.one([x], null)
}

const toOp: GeneralOp<{ dtype: DType }> = /* @__PURE__ */ general('to', {
  node: 'ToCopyBackward0',
  forward: (x, { dtype }, owner) => cast(x[0]!, dtypeInfo(dtype), owner),
  // The engine brings gradients back to the dtype of the input.
  vjp: [vjp([], (g) => g)],
  jvp: 'linear',
  batch: (b) => (b.dims[0] === 0 ? b.x[0]! : b.x[0]!.movedim(b.dims[0]!, 0)).to(b.p.dtype),
})

/**
 * x in another dtype; itself if it already has it.
 * @example
 * tensor([1.5, -2.5]).to('int32').tolist() // [1, -2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.to.html
 */
export function to(x: Tensor, dtype: DType): Tensor {
  expectTensor('to', x, 'argument 0')
  return x.dt === dtypeInfo(dtype, 'to') ? x : toOp.one([x], { dtype })
}

const sumToOp: GeneralOp<{ shape: Shape }> = /* @__PURE__ */ general('sumToSize', {
  node: 'SumToSizeBackward0',
  forward: (x, { shape }, owner) => {
    const made = sumTo(x[0]!, shape, owner)
    return made === x[0] ? new TensorCore(made.storage, made.layout, made.dt) : made
  },
  vjp: [vjp([], (g, c) => g.expand(c.shapeOf(0)))],
  jvp: 'linear',
  batch: (b) => {
    const v = b.dims[0] === 0 ? b.x[0]! : b.x[0]!.movedim(b.dims[0]!, 0)
    let w = v
    for (let k = b.p.shape.length; k < v.layout.rank - 1; k++) w = w.sum(1)
    return w.sumToSize([b.size, ...b.p.shape])
  },
})

/**
 * The opposite of expand: sums to `shape`.
 * @example
 * ones([2, 3]).sumToSize([1, 3]).tolist() // [[2, 2, 2]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.sum_to_size.html
 */
export function sumToSize(x: Tensor, shape: Shape): Tensor {
  expectTensor('sumToSize', x, 'argument 0')
  if (sameShape(x.layout.shape, shapeArgument(shape, [], 'sumToSize'))) return x
  if (!expandable(shape, x.layout.shape))
    throw new ShapeError(`sumToSize: size ${show(shape)} is not expandable to size ${show(x.layout.shape)}`, {
      op: 'sumToSize',
      shapes: [shape, x.layout.shape],
    })
  return sumToOp.one([x], { shape })
}

/**
 * Zeros shaped like x, outside the graph.
 * @example
 * tensor([5, 6]).zerosLike().tolist() // [0, 0]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.zeros_like.html
 */
export function zerosLike(x: Tensor): Tensor {
  expectTensor('zerosLike', x, 'argument 0')
  return x.wrap === null ? (full(x.layout.shape, 0, x.dt, null) as Tensor) : (x.detach().ne(x.detach()).to(x.dtype).mul(0) as Tensor)
}

/**
 * Ones shaped like x, outside the graph.
 * @example
 * tensor([5, 6]).onesLike().tolist() // [1, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.ones_like.html
 */
export function onesLike(x: Tensor): Tensor {
  expectTensor('onesLike', x, 'argument 0')
  return x.wrap === null ? (full(x.layout.shape, 1, x.dt, null) as Tensor) : zerosLike(x).add(1)
}

/**
 * x becomes a copy of `src`, converted and broadcast.
 * @example
 * zeros([2]).copy_(tensor([1, 2])).tolist() // [1, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.copy_.html
 */
export function copy_(x: Tensor, src: Tensor | number): Tensor {
  if (typeof src === 'number') return fill_(x, src)
  expectTensor('copy_', src, 'argument 1')
  expectTensor('copy_', x, 'argument 0')
  if (!expandable(src.layout.shape, x.layout.shape)) {
    throw new ShapeError(
      `output with shape ${show(x.layout.shape)} doesn't match the broadcast shape of the source ${show(src.layout.shape)} (copy_)`,
      { op: 'copy_', shapes: [x.layout.shape, src.layout.shape] },
    )
  }
  return overwrite('copy_', 'torch::autograd::CopyBackwards', x, src, () => {
    if (x !== src) copyInto(x, src)
  })
}

/**
 * Every element becomes `value`, a number or a tensor without dims.
 * Errors: ShapeError for a tensor with dims, DTypeError for a value that the dtype can't hold.
 * @example
 * zeros([2]).fill_(3).tolist() // [3, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.fill_.html
 */
export function fill_(x: Tensor, value: number | boolean | Tensor): Tensor {
  expectTensor('fill_', x, 'argument 0')
  if (!isTensor(value)) {
    const v = checkValue(value, x.dt, 'fill_')
    return overwrite('fill_', 'FillBackward2', x, null, () => fillWith(x, v))
  }
  if (value.layout.rank > 0) {
    throw new ShapeError(
      `fill_ only supports 0-dimension value tensor but got tensor with ${value.layout.rank} dimensions, of shape ${show(value.layout.shape)}; use copy_`,
      { op: 'fill_', shapes: [value.layout.shape] },
    )
  }
  return overwrite('fill_', 'FillBackward3', x, value, () => copyInto(x, value))
}

/**
 * Every element becomes 0.
 * @example
 * tensor([1, 2]).zero_().tolist() // [0, 0]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.zero_.html
 */
export function zero_(x: Tensor): Tensor {
  return overwrite('zero_', 'ZeroBackward0', x, null, () => fillWith(x, 0))
}
