/** Views in place: the tensor itself gets another shape over the same elements. */
import { topLevel } from '../autograd/levels.ts'
import { modes } from '../autograd/modes.ts'
import { attach, bump, changeHistory, checkInPlace, edgeOf, needs } from '../autograd/record.ts'
import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { GeneralNode } from '../op/general.ts'
import type { Shape } from '../shape.ts'
import { expectTensor, TensorCore } from '../tensor.ts'
import { asStrided } from './strided.ts'
import { squeeze, t, transpose, unsqueeze } from './view.ts'

/** Makes x what `view` makes of it. torch numbers the nodes of these after those of the `forms` that give a new tensor. */
function reshapeInPlace(op: string, forms: number, x: Tensor, view: (x: Tensor) => Tensor): Tensor {
  expectTensor(op, x, 'argument 0')
  if (topLevel([x]) !== null)
    throw new ArgumentError(`${op}: in-place operations on tensors inside a transform are not supported; use ${op.slice(0, -1)}`, { op })
  const recording = modes.grad && x.dt.category === 2 && needs(x, null)
  checkInPlace(op, x, recording)
  const before = new TensorCore(x.storage, x.layout, x.dt)
  // What is recorded goes on from the history of x.
  const history = recording ? edgeOf(x, null) : null
  if (history !== null) attach(before, history, x.outputNr)
  const made = view(before as Tensor)
  x.layout = made.layout
  if (x.leaf !== null) x.leaf.node.shape = made.layout.shape
  bump(x, op)
  const { node } = made
  if (node instanceof GeneralNode) {
    node.label = node.name().replace(/\d+$/, (n) => String(Number(n) + forms))
    changeHistory(x, node)
  }
  return x
}

/**
 * In-place form of `t`. Errors: as `t`; InPlaceError for leaves.
 * @example
 * zeros([2, 3]).t_().shape // [3, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.t_.html
 */
export function t_(x: Tensor): Tensor {
  return reshapeInPlace('t_', 1, x, (v) => t(v))
}

/**
 * In-place form of `transpose`. Errors: as `transpose`; InPlaceError for leaves.
 * @example
 * zeros([2, 3, 4]).transpose_(0, 2).shape // [4, 3, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.transpose_.html
 */
export function transpose_(x: Tensor, dim0: number, dim1: number): Tensor {
  return reshapeInPlace('transpose_', 1, x, (v) => transpose(v, dim0, dim1))
}

/**
 * In-place form of `squeeze`. Errors: as `squeeze`; InPlaceError for leaves.
 * @example
 * zeros([1, 2]).squeeze_().shape // [2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.squeeze_.html
 */
export function squeeze_(x: Tensor, dim?: number | readonly number[]): Tensor {
  return reshapeInPlace('squeeze_', 3, x, (v) => squeeze(v, dim))
}

/**
 * In-place form of `unsqueeze`. Errors: as `unsqueeze`; InPlaceError for leaves.
 * @example
 * zeros([2]).unsqueeze_(0).shape // [1, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.unsqueeze_.html
 */
export function unsqueeze_(x: Tensor, dim: number): Tensor {
  return reshapeInPlace('unsqueeze_', 1, x, (v) => unsqueeze(v, dim))
}

/**
 * In-place form of `asStrided`. Errors: as `asStrided`; InPlaceError for leaves.
 * @example
 * tensor([1, 2, 3, 4]).asStrided_([2, 2], [1, 2]).tolist() // [[1, 3], [2, 4]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.as_strided_.html
 */
export function asStrided_(x: Tensor, shape: Shape, strides: readonly number[], offset?: number): Tensor {
  return reshapeInPlace('asStrided_', 1, x, (v) => asStrided(v, shape, strides, offset))
}
