/** Batches of a dataset, in order or shuffled. */
import { tensor } from '../creation.ts'
import { ArgumentError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { Generator } from '../random.ts'

/** Tensors that agree in their first dim: one example per index. @see https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.TensorDataset */
export class TensorDataset {
  readonly tensors: readonly Tensor[]
  constructor(...tensors: Tensor[]) {
    const n = tensors[0]?.shape[0]
    if (n === undefined || tensors.some((t) => t.shape[0] !== n))
      throw new ArgumentError(`TensorDataset: Size mismatch between tensors: ${tensors.map((t) => show(t.shape)).join(', ')}`)
    this.tensors = tensors
  }
  /** How many examples. */
  get length(): number {
    return this.tensors[0]!.shape[0]!
  }
}

/** Options of `DataLoader`. */
export interface DataLoaderOptions {
  /** Default 1. */
  readonly batchSize?: number
  /** A fresh order every time it is iterated. */
  readonly shuffle?: boolean
  /** Seed of the orders: the same seed gives the same orders everywhere. */
  readonly seed?: number
  /** Leave out a last batch that isn't full. */
  readonly dropLast?: boolean
}

/**
 * Iterates over batches, synchronously: `for (const [x, y] of loader)`.
 * @see https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.DataLoader
 */
export class DataLoader implements Iterable<Tensor[]> {
  readonly dataset: TensorDataset
  readonly batchSize: number
  private readonly shuffle: boolean
  private readonly dropLast: boolean
  private readonly generator: Generator

  constructor(dataset: TensorDataset, options: DataLoaderOptions = {}) {
    this.dataset = dataset
    this.batchSize = options.batchSize ?? 1
    if (!Number.isInteger(this.batchSize) || this.batchSize < 1)
      throw new ArgumentError(`DataLoader: batchSize should be a positive integer value, but got batchSize=${this.batchSize}`)
    this.shuffle = options.shuffle ?? false
    this.dropLast = options.dropLast ?? false
    this.generator = new Generator(options.seed ?? 0)
  }

  /** How many batches. */
  get length(): number {
    const n = this.dataset.length / this.batchSize
    return this.dropLast ? Math.floor(n) : Math.ceil(n)
  }

  *[Symbol.iterator](): IterableIterator<Tensor[]> {
    const n = this.dataset.length
    const order = this.shuffle ? this.generator.permutation(n) : null
    for (let b = 0; b < this.length; b++) {
      const start = b * this.batchSize
      const size = Math.min(this.batchSize, n - start)
      const index = order === null ? null : tensor(order.subarray(start, start + size))
      yield this.dataset.tensors.map((t) => (index === null ? t.narrow(0, start, size) : t.indexSelect(0, index)))
    }
  }
}
