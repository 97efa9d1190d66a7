/** Random zeroing. */
import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkOptions } from '../options.ts'
import { type Generator, generatorOf } from '../random.ts'
import { expectTensor } from '../tensor.ts'
import { draw, drawn } from './drawing.ts'

/**
 * Each element zeroed with probability p, the others scaled by 1/(1 − p); x itself when not training.
 * @example
 * nn.functional.dropout(ones([2]), { training: false }).tolist() // [1, 1]
 * nn.functional.dropout(ones([4]), { p: 1 }).tolist() // [0, 0, 0, 0]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.dropout.html
 */
export function dropout(
  x: Tensor,
  options: { readonly p?: number; readonly training?: boolean; readonly generator?: Generator } = {},
): Tensor {
  expectTensor('dropout', x, 'argument 0')
  checkOptions('dropout', options, { p: 'number', training: 'boolean', generator: 'any' })
  const { p = 0.5, training = true } = options
  const generator = generatorOf('dropout', options.generator)
  if (!(p >= 0 && p <= 1)) throw new ArgumentError(`dropout probability has to be between 0 and 1, but got ${p}`, { op: 'dropout' })
  if (!training || p === 0) return x
  const mask = drawn('dropout', x.shape, x.dt, (out) => draw('bernoulli', out, generator, 1 - p, p === 1 ? 0 : 1 / (1 - p)))
  return x.mul(mask as Tensor)
}
