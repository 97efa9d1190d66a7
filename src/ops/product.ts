/** Products with fixed ranks, and the affine map. */
import { DTypeError, ShapeError, show } from '../errors.ts'
import { addInto } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { type GeneralOp, general, vjp } from '../op/general.ts'
import { numel } from '../shape.ts'
import { expectTensor, TensorCore } from '../tensor.ts'
import { product } from './matmul.ts'

function ranks(op: string, a: Tensor, ra: number, b: Tensor, rb: number): void {
  expectTensor(op, a, 'argument 0')
  expectTensor(op, b, 'argument 1')
  if (a.layout.rank !== ra || b.layout.rank !== rb) {
    throw new ShapeError(
      `${op}: expected tensors of ${ra} and ${rb} dimensions, got ${show(a.shape)} and ${show(b.shape)}; matmul takes any`,
      { op, shapes: [a.shape, b.shape] },
    )
  }
}

/** The product of two matrices. @see https://docs.pytorch.org/docs/stable/generated/torch.mm.html */
export function mm(a: Tensor, b: Tensor): Tensor {
  ranks('mm', a, 2, b, 2)
  return a.matmul(b)
}
/** Products of two stacks of matrices. @see https://docs.pytorch.org/docs/stable/generated/torch.bmm.html */
export function bmm(a: Tensor, b: Tensor): Tensor {
  ranks('bmm', a, 3, b, 3)
  if (a.shape[0] !== b.shape[0])
    throw new ShapeError(`bmm: Expected the batch sizes to be equal, got ${show(a.shape)} and ${show(b.shape)}`, {
      op: 'bmm',
      shapes: [a.shape, b.shape],
    })
  return a.matmul(b)
}
/** A matrix times a vector. @see https://docs.pytorch.org/docs/stable/generated/torch.mv.html */
export function mv(a: Tensor, b: Tensor): Tensor {
  ranks('mv', a, 2, b, 1)
  return a.matmul(b)
}
/** The inner product of two vectors. @see https://docs.pytorch.org/docs/stable/generated/torch.dot.html */
export function dot(a: Tensor, b: Tensor): Tensor {
  ranks('dot', a, 1, b, 1)
  return a.matmul(b)
}
/** All products of two vectors' elements. @see https://docs.pytorch.org/docs/stable/generated/torch.outer.html */
export function outer(a: Tensor, b: Tensor): Tensor {
  ranks('outer', a, 1, b, 1)
  return a.unsqueeze(1).mul(b)
}

/** x·Wᵀ + bias over rows: the bias is added into the product. Inputs: bias, x [rows, in], W [out, in]. */
const affine: GeneralOp<null> = /* @__PURE__ */ general('linear', {
  node: 'AddmmBackward0',
  forward: ([bias, x, w], _p, owner) => {
    const y = product(x!, new TensorCore(w!.storage, w!.layout.transpose(0, 1), w!.dt), owner)
    if (y.layout.numel > 0) addInto(y, bias!)
    return y
  },
  vjp: [vjp([], (g) => g), vjp([2], (g, c) => g.matmul(c.in(2))), vjp([1], (g, c) => g.transpose(0, 1).matmul(c.in(1)))],
  jvp: ([tb, tx, tw], c) => {
    const terms = [
      tb?.expand([c.in(1).shape[0]!, tb.shape[0]!]),
      tx?.matmul(c.in(2).t()),
      tw === null || tw === undefined ? undefined : c.in(1).matmul(tw.t()),
    ].filter((t) => t !== undefined && t !== null) as Tensor[]
    return terms.reduce((a, b) => a.add(b))
  },
})

/**
 * x·Wᵀ + bias: x of shape [..., in], weight [out, in], bias [out].
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.linear.html
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor | null): Tensor {
  expectTensor('linear', x, 'the input')
  expectTensor('linear', weight, 'the weight')
  if (weight.layout.rank !== 2 || x.layout.rank === 0 || x.shape.at(-1) !== weight.shape[1]) {
    throw new ShapeError(`linear: the input's last dim must be the weight's second: ${show(x.shape)} with weight ${show(weight.shape)}`, {
      op: 'linear',
      shapes: [x.shape, weight.shape],
    })
  }
  if (x.dt !== weight.dt || (bias && bias.dt !== x.dt))
    throw new DTypeError(
      `linear: input, weight and bias must have one dtype, got ${x.dtype}, ${weight.dtype}${bias ? ` and ${bias.dtype}` : ''}`,
      { op: 'linear' },
    )
  if (!bias) return x.matmul(weight.t())
  expectTensor('linear', bias, 'the bias')
  if (bias.layout.rank !== 1 || bias.shape[0] !== weight.shape[0])
    throw new ShapeError(`linear: bias of shape ${show(bias.shape)} does not fit ${weight.shape[0]} outputs`, {
      op: 'linear',
      shapes: [bias.shape],
    })
  if (x.layout.rank === 2) return affine.one([bias, x, weight], null)
  const rows = numel(x.shape.slice(0, -1))
  return affine.one([bias, x.reshape([rows, x.shape.at(-1)!]), weight], null).reshape([...x.shape.slice(0, -1), weight.shape[0]!])
}
