/** Parameters and buffers: tensors that modules own, in memory that no scope releases. */
import { ArgumentError, DTypeError } from '../errors.ts'
import { copyInto } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { emptyPersistent, expectTensor, type TensorCore } from '../tensor.ts'

const parameters = new WeakSet<TensorCore>()
const buffers = new WeakSet<TensorCore>()

function persistent(data: Tensor): Tensor {
  const t = emptyPersistent(Layout.of(data.shape), data.dt)
  copyInto(t, data)
  return t as Tensor
}

/**
 * A copy of `data` as a leaf that requires gradients and that modules list among their parameters.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Parameter.html
 */
export function parameter(data: Tensor, requiresGrad = true): Tensor {
  expectTensor('Parameter', data, 'argument 0')
  if (requiresGrad && !data.dt.floating)
    throw new DTypeError(`Parameter: Only Tensors of floating point and complex dtype can require gradients, got ${data.dtype}`, {
      dtypes: [data.dtype],
    })
  const t = persistent(data)
  if (requiresGrad) t.requiresGrad_()
  parameters.add(t)
  return t
}

/** `new Parameter(tensor)`: the same as `parameter(tensor)`. */
export const Parameter: new (data: Tensor, requiresGrad?: boolean) => Tensor = /* @__PURE__ */ function Parameter(
  data: Tensor,
  requiresGrad = true,
): Tensor {
  return parameter(data, requiresGrad)
} as unknown as new (
  data: Tensor,
  requiresGrad?: boolean,
) => Tensor

/** A copy of `data` that modules save in their state but don't train. */
export function buffer(data: Tensor): Tensor {
  expectTensor('buffer', data, 'argument 0')
  if (data.requiresGrad) throw new ArgumentError('buffer: detach() the tensor first; buffers are not trained')
  const t = persistent(data)
  buffers.add(t)
  return t
}

/** Was this tensor made by `parameter`? */
export const isParameter = (x: unknown): x is Tensor => typeof x === 'object' && x !== null && parameters.has(x as TensorCore)
/** Was this tensor made by `buffer`? */
export const isBuffer = (x: unknown): x is Tensor => typeof x === 'object' && x !== null && buffers.has(x as TensorCore)
