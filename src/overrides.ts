/** Methods whose type depends on their arguments: they take precedence over the types derived from the functions. */
import type { Tensor } from './fluent.ts'
import type { ValuesAndIndices } from './ops/chosen.ts'
import type { DimOptions } from './ops/dims.ts'
import type { NonzeroOptions } from './ops/selection.ts'
import type { Shape } from './shape.ts'

/** Full reduction; values and positions along a dim; or the elementwise extremum with another tensor. */
interface Extremum {
  (): Tensor
  (dim: number | (DimOptions & { dim: number }), options?: DimOptions): ValuesAndIndices
  (other: Tensor): Tensor
}

/** A matrix of positions, or one vector for each dim. */
interface Nonzero {
  (options: { readonly asTuple: true }): Tensor[]
  (options?: NonzeroOptions): Tensor
}

/** All sizes, or that of one dim. */
interface Size {
  (): Shape
  (dim: number): number
}

export interface FluentOverrides {
  readonly size: Size
  readonly nonzero: Nonzero
  readonly max: Extremum
  readonly min: Extremum
}
