/** The affine map of rows: x·Wᵀ + bias. */
import { DTypeError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { expandable, numel } from '../shape.ts'
import { expectTensor } from '../tensor.ts'
import { type Affine, affine, rowsTimes } from './product.ts'

const ROWS: Affine = { beta: 1, alpha: 1, tb: true }

/**
 * x·Wᵀ + bias: x of shape [..., in], weight [out, in] (or [in], then without the last dim), bias [out].
 * Errors: ShapeError when the sizes don't fit, DTypeError when the dtypes differ.
 * @example
 * linear(tensor([[1, 2]]), tensor([[3, 4]]), tensor([5])).tolist() // [[16]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.linear.html
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor | null): Tensor {
  expectTensor('linear', x, 'the input')
  expectTensor('linear', weight, 'the weight')
  const rank = x.layout.rank
  const features = weight.layout.rank
  const k = rank === 0 ? -1 : x.shape[rank - 1]!
  if (features < 1 || features > 2 || k !== weight.shape[features - 1]) {
    const rows = rank === 0 ? '' : `${numel(x.shape.slice(0, -1))}x${k}`
    throw new ShapeError(
      `mat1 and mat2 shapes cannot be multiplied (${rows} and ${[...weight.shape].reverse().join('x')}): linear needs the input's last dim to be the weight's, got ${show(x.shape)} and weight ${show(weight.shape)}`,
      { op: 'linear', shapes: [x.shape, weight.shape] },
    )
  }
  if (bias) expectTensor('linear', bias, 'the bias')
  if (x.dt !== weight.dt || (bias && bias.dt !== x.dt)) {
    throw new DTypeError(
      `mat1 and mat2 must have the same dtype: linear got an input of ${x.dtype}, a weight of ${weight.dtype}${bias ? ` and a bias of ${bias.dtype}` : ''}`,
      { op: 'linear', dtypes: [x.dtype, weight.dtype, ...(bias ? [bias.dtype] : [])] },
    )
  }
  if (features === 1) return bias ? x.matmul(weight).add(bias) : x.matmul(weight)
  if (!bias) return rowsTimes(x, weight, true)
  const out = weight.shape[0]!
  if (bias.layout.rank > 1 || !expandable(bias.shape, [out]))
    throw new ShapeError(`linear: bias of shape ${show(bias.shape)} does not fit the ${out} outputs of the weight ${show(weight.shape)}`, {
      op: 'linear',
      shapes: [bias.shape, weight.shape],
    })
  if (rank === 2) return affine.one([bias, x, weight], ROWS)
  const lead = x.shape.slice(0, -1)
  return affine.one([bias, x.reshape([numel(lead), k]), weight], ROWS).reshape([...lead, out])
}
