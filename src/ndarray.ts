/**
 * What `numpy()` returns: a view of a typed array with the interface of the `ndarray` package, whose functions take it. That
 * package makes its classes by evaluating text, which pages with a content security policy forbid.
 */
import type { NdArray } from 'ndarray'
import type { TypedArray } from './dtype.ts'

type Position = number | null | undefined

/** Does this argument of `pick`, `lo`, `hi` name a position? */
const given = (i: Position): i is number => typeof i === 'number' && i >= 0

export class View implements NdArray<TypedArray> {
  readonly data: TypedArray
  readonly shape: number[]
  readonly stride: number[]
  readonly offset: number
  readonly dtype: NdArray<TypedArray>['dtype']
  readonly dimension: number

  constructor(data: TypedArray, shape: number[], stride: number[], offset: number) {
    this.data = data
    this.shape = shape
    this.stride = stride
    this.offset = offset
    this.dtype = data.constructor.name.replace('Array', '').toLowerCase() as NdArray<TypedArray>['dtype']
    this.dimension = shape.length
  }
  get size(): number {
    return this.shape.reduce((n, d) => n * d, 1)
  }
  /** The dims from the smallest stride to the largest. */
  get order(): number[] {
    return this.shape.map((_, d) => d).sort((a, b) => Math.abs(this.stride[a]!) - Math.abs(this.stride[b]!))
  }
  get T(): View {
    return this.transpose(...this.shape.map((_, d) => this.dimension - 1 - d))
  }
  /** Where the element at these positions is in `data`. */
  index(...at: number[]): number {
    let p = this.offset
    for (let d = 0; d < this.dimension; d++) p += this.stride[d]! * at[d]!
    return p
  }
  get(...at: number[]): number {
    return this.data[this.index(...at)]!
  }
  /** The positions, then the value. */
  set(...at: number[]): number {
    return (this.data[this.index(...at)] = at[this.dimension]!)
  }
  /** The rest from these positions on. */
  lo(...from: Position[]): View {
    const start = this.shape.map((_, d) => (given(from[d]) ? from[d] : 0))
    return new View(
      this.data,
      this.shape.map((n, d) => n - start[d]!),
      [...this.stride],
      this.index(...start),
    )
  }
  /** The first so many of each dim. */
  hi(...sizes: Position[]): View {
    return new View(
      this.data,
      this.shape.map((n, d) => (given(sizes[d]) ? sizes[d] : n)),
      [...this.stride],
      this.offset,
    )
  }
  /** Every so manieth element of each dim; from the end for negative steps. */
  step(...steps: Position[]): View {
    const by = this.shape.map((_, d) => steps[d] ?? 1)
    return new View(
      this.data,
      this.shape.map((n, d) => Math.ceil(n / Math.abs(by[d]!))),
      this.stride.map((s, d) => s * by[d]!),
      this.index(...this.shape.map((n, d) => (by[d]! < 0 ? n - 1 : 0))),
    )
  }
  transpose(...dims: (number | undefined)[]): View {
    const from = this.shape.map((_, d) => dims[d] ?? d)
    return new View(
      this.data,
      from.map((d) => this.shape[d]!),
      from.map((d) => this.stride[d]!),
      this.offset,
    )
  }
  /** The part at these positions; dims with null or a negative number stay. */
  pick(...at: Position[]): View {
    const stays = (_: unknown, d: number): boolean => !given(at[d])
    return new View(
      this.data,
      this.shape.filter(stays),
      this.stride.filter(stays),
      this.index(...this.shape.map((_, d) => (given(at[d]) ? at[d] : 0))),
    )
  }
}
