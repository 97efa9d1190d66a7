/** Short forms of operations on tensors: conversions by name, and transposes as properties. */
import { ShapeError } from './errors.ts'
import type { Tensor } from './fluent.ts'

/** Methods. */
export const conversions: {
  /** In float32. @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.float.html */
  readonly float: (x: Tensor) => Tensor
  /** In float64. @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.double.html */
  readonly double: (x: Tensor) => Tensor
  /** In int32. @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.int.html */
  readonly int: (x: Tensor) => Tensor
  /** True where not 0. @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.bool.html */
  readonly bool: (x: Tensor) => Tensor
} = {
  float: (x) => x.to('float32'),
  double: (x) => x.to('float64'),
  int: (x) => x.to('int32'),
  bool: (x) => x.to('bool'),
}

/** Properties. */
export const transposes: {
  /** The dims in reverse order: a matrix transposed. @see https://docs.pytorch.org/docs/stable/tensors.html#torch.Tensor.T */
  readonly T: (x: Tensor) => Tensor
  /** Matrices transposed: the last two dims exchanged. @see https://docs.pytorch.org/docs/stable/tensors.html#torch.Tensor.mT */
  readonly mT: (x: Tensor) => Tensor
} = {
  T: (x) => x.permute(x.shape.map((_, d) => x.ndim - 1 - d)),
  mT: (x) => {
    if (x.ndim < 2)
      throw new ShapeError(`tensor.mT is only supported on matrices or batches of matrices. Got ${x.ndim}-D tensor.`, {
        op: 'mT',
        shapes: [x.shape],
      })
    return x.transpose(-2, -1)
  },
}
