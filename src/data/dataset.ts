/** Datasets: examples by number, tensors cut into examples, parts of other datasets. */
import { ArgumentError, IndexError, show } from '../errors.ts'
import { Tensor } from '../fluent.ts'
import { checkOptions, describe, expectIterable } from '../options.ts'
import { type Generator, generatorOf } from '../random.ts'

/**
 * Examples by number, 0 … length − 1.
 * @see https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.Dataset
 */
export interface Dataset<T> {
  readonly length: number
  get(index: number): T
}

function checkDataset(op: string, dataset: Partial<Dataset<unknown>> | null): void {
  if (typeof dataset?.get === 'function' && typeof dataset.length === 'number') return
  throw new ArgumentError(`${op}: expected a dataset with \`length\` and \`get(index)\`, got ${describe(dataset)}`, { op })
}

/**
 * Tensors that agree in their first dim: example i is the i-th row of each.
 * Errors: ArgumentError for tensors without dims or of different length.
 * @example
 * const dataset = new data.TensorDataset(tensor([[1, 2], [3, 4]]), tensor([0, 1]))
 * dataset.length // 2
 * dataset.get(1).map((t) => t.tolist()) // [[3, 4], 1]
 * @see https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.TensorDataset
 */
export class TensorDataset<T extends readonly Tensor[] = Tensor[]> implements Dataset<T> {
  readonly tensors: T

  constructor(...tensors: T) {
    for (const t of tensors) if (!isTensor(t)) throw new ArgumentError(`TensorDataset: expected tensors, got ${describe(t)}`)
    const n = tensors[0]?.shape[0]
    if (n === undefined || tensors.some((t) => t.shape[0] !== n))
      throw new ArgumentError(
        `TensorDataset: Size mismatch between tensors: ${tensors.map((t) => show(t.shape)).join(', ') || 'there are none'}`,
      )
    this.tensors = tensors
  }

  /** How many examples. */
  get length(): number {
    return this.tensors[0]!.shape[0]!
  }

  get(index: number): T {
    return this.tensors.map((t) => t.select(0, index)) as unknown as T
  }
}

/**
 * The examples of another dataset with these numbers.
 * @see https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.Subset
 */
export class Subset<T> implements Dataset<T> {
  readonly dataset: Dataset<T>
  readonly indices: Int32Array

  constructor(dataset: Dataset<T>, indices: ArrayLike<number>) {
    checkDataset('Subset', dataset)
    if (typeof indices !== 'object' || typeof indices?.length !== 'number')
      throw new ArgumentError(`Subset: expected a list of numbers, got ${describe(indices)}`)
    this.dataset = dataset
    const wrong = Array.from(indices).find((i) => !(Number.isInteger(i) && i >= 0 && i < dataset.length))
    this.indices = Int32Array.from(indices)
    if (wrong !== undefined)
      throw new IndexError(`Subset: index ${describe(wrong)} is out of range for a dataset of ${dataset.length} examples`)
  }

  /** How many examples. */
  get length(): number {
    return this.indices.length
  }

  get(index: number): T {
    const i = this.indices[index]
    if (i === undefined) throw new IndexError(`Subset: index ${index} is out of range for ${this.length} examples`)
    return this.dataset.get(i)
  }
}

/**
 * A dataset cut at random into parts of these lengths; lengths may be shares that add up to 1.
 * Errors: ArgumentError when lengths don't add up.
 * @example
 * const dataset = new data.TensorDataset(zeros([10, 2]))
 * const [train, test] = data.randomSplit(dataset, [0.8, 0.2])
 * train!.length // 8
 * test!.length // 2
 * @see https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.random_split
 */
export function randomSplit<T>(
  dataset: Dataset<T>,
  lengths: readonly number[],
  options: { readonly generator?: Generator } = {},
): Subset<T>[] {
  const op = 'randomSplit'
  checkDataset(op, dataset)
  checkOptions(op, options, { generator: 'any' })
  const generator = generatorOf(op, options.generator)
  const given = [...expectIterable(op, lengths, 'lengths')]
  for (const share of given) {
    if (!(typeof share === 'number' && share >= 0))
      throw new ArgumentError(`${op}: lengths must be numbers ≥ 0, got ${describe(lengths)}`, { op })
  }
  const n = dataset.length
  const total = given.reduce((a, b) => a + b, 0)
  let sizes = given
  if (Math.abs(total - 1) < 1e-9) {
    sizes = given.map((share) => Math.floor(share * n))
    // What rounding left over goes to the parts in turn.
    for (let i = 0, rest = n - sizes.reduce((a, b) => a + b, 0); i < rest; i++) sizes[i % sizes.length]!++
  }
  if (sizes.reduce((a, b) => a + b, 0) !== n || !sizes.every(Number.isInteger))
    throw new ArgumentError(
      `Sum of input lengths does not equal the length of the input dataset: ${sizes.join(' + ')} is not ${n} (${op})`,
      { op },
    )
  const order = generator.permutation(n)
  let at = 0
  return sizes.map((size) => new Subset(dataset, order.subarray(at, (at += size))))
}

/** Is this a tensor? (Tensors are iterable and have a `get` of their own.) */
export function isTensor(x: unknown): x is Tensor {
  return x instanceof Tensor
}
