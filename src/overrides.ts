/** Methods whose type depends on their arguments: they take precedence over the types derived from the functions. */
import type { Tensor } from './fluent.ts'

export interface FluentOverrides {
  /** This tensor where `condition` holds, `other` elsewhere. */
  where(condition: Tensor, other: Tensor | number): Tensor
}
