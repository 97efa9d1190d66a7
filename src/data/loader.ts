/** Batches of a dataset, in order or shuffled. */
import { tensor } from '../creation.ts'
import { ArgumentError, IndexError, within } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkOptions, describe, expectIterable } from '../options.ts'
import { Generator, generatorOf } from '../random.ts'
import { type Collated, defaultCollate } from './collate.ts'
import { type Dataset, TensorDataset } from './dataset.ts'

/** Options of `DataLoader`. */
export interface DataLoaderOptions<T, B> {
  /** Examples per batch. Default 1. */
  readonly batchSize?: number
  /** A fresh order every time it is iterated. */
  readonly shuffle?: boolean
  /** Seed of the orders: the same seed gives the same orders everywhere. Default: the generator that `manualSeed` seeds. */
  readonly seed?: number
  /** Source of the orders, instead of a seed. */
  readonly generator?: Generator
  /** Numbers of the examples in the order they are taken, instead of `shuffle`. */
  readonly sampler?: Iterable<number>
  /** Leave out a last batch that isn't full. */
  readonly dropLast?: boolean
  /** Makes a batch of examples. Default: `defaultCollate`. */
  readonly collate?: (examples: T[]) => B
}

/** What holds examples: by number, or one after the other. */
export type Source<T> = Dataset<T> | Iterable<T>

/**
 * Iterates over batches, synchronously: `for (const [x, y] of loader)`. Every iteration with `shuffle` takes a fresh order.
 * A dataset that is only iterable (an array too) is taken in its own order; it can't be shuffled unless it is an array.
 * Errors: ArgumentError for options that are impossible or exclude each other.
 * @example
 * const dataset = new data.TensorDataset(zeros([5, 2]), arange(5))
 * const loader = new data.DataLoader(dataset, { batchSize: 2 })
 * const sizes: number[] = []
 * for (const [images] of loader) sizes.push(images.size(0))
 * sizes // [2, 2, 1]
 * @see https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.DataLoader
 */
export class DataLoader<T, B = Collated<T>> implements Iterable<B> {
  readonly dataset: Source<T>
  readonly batchSize: number
  private readonly shuffle: boolean
  private readonly dropLast: boolean
  private readonly generator: Generator
  private readonly sampler: Iterable<number> | undefined
  private readonly collate: ((examples: T[]) => B) | undefined

  constructor(dataset: Source<T>, options: DataLoaderOptions<T, B> = {}) {
    checkOptions('DataLoader', options, {
      batchSize: 'number',
      shuffle: 'boolean',
      seed: 'number',
      generator: 'any',
      sampler: 'any',
      dropLast: 'boolean',
      collate: 'function',
    })
    const { batchSize = 1, shuffle = false, dropLast = false, seed, generator, sampler, collate } = options
    if (!Number.isInteger(batchSize) || batchSize < 1)
      throw new ArgumentError(`batch_size should be a positive integer value, but got batch_size=${batchSize} (DataLoader)`)
    if (sampler !== undefined && shuffle) throw new ArgumentError('sampler option is mutually exclusive with shuffle (DataLoader)')
    if (sampler !== undefined) expectIterable('DataLoader', sampler, 'numbers as sampler')
    if (seed !== undefined && generator !== undefined) throw new ArgumentError('DataLoader: give a seed or a generator, not both')
    if (byNumber(dataset) === null) {
      if (typeof (dataset as Iterable<T> | null)?.[Symbol.iterator] !== 'function')
        throw new ArgumentError('DataLoader: expected a dataset with `length` and `get(index)`, or an iterable of examples')
      if (shuffle || sampler !== undefined)
        throw new ArgumentError(
          `DataLoader with IterableDataset: expected unspecified ${shuffle ? 'shuffle' : 'sampler'} option: its examples have no numbers`,
        )
    }
    this.dataset = dataset
    this.batchSize = batchSize
    this.shuffle = shuffle
    this.dropLast = dropLast
    this.generator = seed === undefined ? generatorOf('DataLoader', generator) : within('DataLoader', () => new Generator(seed))
    this.sampler = sampler
    this.collate = collate
  }

  /** How many batches. Errors: ArgumentError for a dataset or a sampler whose length isn't known before it is iterated. */
  get length(): number {
    const source = byNumber(this.dataset)
    const n = this.sampler === undefined ? source?.length : (this.sampler as { length?: number }).length
    if (n === undefined) throw new ArgumentError('DataLoader: the length of this source is not known before it is iterated')
    return this.dropLast ? Math.floor(n / this.batchSize) : Math.ceil(n / this.batchSize)
  }

  *[Symbol.iterator](): IterableIterator<B> {
    const source = byNumber(this.dataset)
    if (source === null) {
      yield* this.inTurn(this.dataset as Iterable<T>)
      return
    }
    const { batchSize, dropLast } = this
    const order =
      this.sampler === undefined ? (this.shuffle ? this.generator.permutation(source.length) : null) : sampled(this.sampler, source)
    const n = order?.length ?? source.length
    for (let start = 0; start < n; start += batchSize) {
      const size = Math.min(batchSize, n - start)
      if (dropLast && size < batchSize) return
      yield this.batch(source, order, start, size)
    }
  }

  private batch(source: Dataset<T>, order: Int32Array | null, start: number, size: number): B {
    if (this.collate === undefined && source instanceof TensorDataset) {
      // Whole batches of rows at once. Copies: a batch may be changed in place without changing the dataset.
      const index = order === null ? null : tensor(order.subarray(start, start + size))
      const tensors: readonly Tensor[] = source.tensors
      return tensors.map((t) => (index === null ? t.narrow(0, start, size).clone() : t.indexSelect(0, index))) as B
    }
    const examples = Array.from({ length: size }, (_, i) => source.get(order === null ? start + i : order[start + i]!))
    return this.assemble(examples)
  }

  private *inTurn(examples: Iterable<T>): IterableIterator<B> {
    let batch: T[] = []
    for (const example of examples) {
      batch.push(example)
      if (batch.length < this.batchSize) continue
      yield this.assemble(batch)
      batch = []
    }
    if (batch.length > 0 && !this.dropLast) yield this.assemble(batch)
  }

  private assemble(examples: T[]): B {
    return this.collate === undefined ? (defaultCollate(examples) as B) : this.collate(examples)
  }
}

/** The numbers of a sampler, all of them examples. */
function sampled(sampler: Iterable<number>, { length }: { readonly length: number }): Int32Array {
  return Int32Array.from(sampler, (i) => {
    if (Number.isInteger(i) && i >= 0 && i < length) return i
    throw new IndexError(`DataLoader: the sampler gave ${describe(i)}, expected whole numbers from 0 to ${length - 1}`)
  })
}

/** The source as examples by number, or null if it has none. */
function byNumber<T>(source: Source<T>): Dataset<T> | null {
  if (Array.isArray(source)) return { length: source.length, get: (i) => source[i] as T }
  const dataset = source as Partial<Dataset<T>> | null
  return typeof dataset?.get === 'function' && typeof dataset.length === 'number' ? (source as Dataset<T>) : null
}
