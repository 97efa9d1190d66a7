/** Examples become a batch: tensors are stacked, numbers become tensors, tuples and records are collated part by part. */
import { tensor } from '../creation.ts'
import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { stack } from '../ops/join.ts'
import { isTensor } from './dataset.ts'

/** What a list of examples of type T becomes. */
export type Collated<T> = T extends Tensor | number | boolean
  ? Tensor
  : T extends string
    ? T[]
    : T extends readonly unknown[] | Readonly<Record<string, unknown>>
      ? { -readonly [K in keyof T]: Collated<T[K]> }
      : never

/**
 * A batch of examples: tensors are stacked along a new first dim, numbers and booleans become a tensor (of the
 * dtype `tensor` gives them: class numbers for losses are better given as int32 tensors), strings a list; arrays and records
 * keep their form around collated parts.
 * Errors: ArgumentError for examples of different form or of unknown type.
 * @example
 * const [images, labels] = data.defaultCollate([[tensor([1, 2]), 0], [tensor([3, 4]), 1]] as [Tensor, number][])
 * images.tolist() // [[1, 2], [3, 4]]
 * labels.tolist() // [0, 1]
 * @see https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.default_collate
 */
export function defaultCollate<T>(examples: readonly T[]): Collated<T> {
  return collate(examples) as Collated<T>
}

function collate(examples: readonly unknown[]): unknown {
  const [first] = examples
  if (isTensor(first)) return stack(examples as Tensor[])
  if (typeof first === 'number') return tensor(examples as number[])
  if (typeof first === 'boolean') return tensor(examples as boolean[])
  if (typeof first === 'string') return [...examples]
  if (Array.isArray(first)) {
    if (examples.some((e) => !Array.isArray(e) || e.length !== first.length))
      throw new ArgumentError('each element in list of batch should be of equal size')
    return first.map((_, i) => collate(examples.map((e) => (e as unknown[])[i])))
  }
  if (typeof first === 'object' && first !== null && (first.constructor === Object || Object.getPrototypeOf(first) === null)) {
    return Object.fromEntries(Object.keys(first).map((key) => [key, collate(examples.map((e) => (e as Record<string, unknown>)[key]))]))
  }
  const what = typeof first === 'object' && first !== null ? first.constructor.name : typeof first
  throw new ArgumentError(
    `default_collate: batch must contain tensors, numbers, dicts or lists; found ${what}; pass a \`collate\` function of your own`,
  )
}
