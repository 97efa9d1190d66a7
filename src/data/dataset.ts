/** Datasets: examples by number, tensors cut into examples, parts of other datasets. */
import { ArgumentError, IndexError, show } from '../errors.ts'
import { Tensor } from '../fluent.ts'
import { defaultGenerator, type Generator } from '../random.ts'

/**
 * Examples by number, 0 … length − 1.
 * @see https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.Dataset
 */
export interface Dataset<T> {
  readonly length: number
  get(index: number): T
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
    this.dataset = dataset
    this.indices = Int32Array.from(indices)
    const wrong = this.indices.find((i) => i < 0 || i >= dataset.length)
    if (wrong !== undefined) throw new IndexError(`Subset: index ${wrong} is out of range for a dataset of ${dataset.length} examples`)
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
  const n = dataset.length
  const total = lengths.reduce((a, b) => a + b, 0)
  let sizes = [...lengths]
  if (Math.abs(total - 1) < 1e-9) {
    sizes = lengths.map((share) => Math.floor(share * n))
    // What rounding left over goes to the parts in turn.
    for (let i = 0, rest = n - sizes.reduce((a, b) => a + b, 0); i < rest; i++) sizes[i % sizes.length]!++
  }
  if (sizes.reduce((a, b) => a + b, 0) !== n)
    throw new ArgumentError(`Sum of input lengths does not equal the length of the input dataset: ${sizes.join(' + ')} is not ${n}`)
  const order = (options.generator ?? defaultGenerator).permutation(n)
  let at = 0
  return sizes.map((size) => new Subset(dataset, order.subarray(at, (at += size))))
}

/** Is this a tensor? (Tensors are iterable and have a `get` of their own.) */
export function isTensor(x: unknown): x is Tensor {
  return x instanceof Tensor
}
