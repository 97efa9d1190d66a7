/** What normalizations refuse: options, parameters and shapes that don't fit their input. */
import { DTypeError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkOptions, type Known } from '../options.ts'
import { checkShape, type Shape, sameShape } from '../shape.ts'
import { expectTensor, expectTensorOrNone } from '../tensor.ts'

interface Affine {
  readonly weight?: Tensor | null
  readonly bias?: Tensor | null
}

/** A float input, the options that there are, and affine parameters of its dtype and of `shape`. */
export function checkNorm<O extends Affine>(
  op: string,
  torch: string,
  x: Tensor,
  shape: Shape,
  options: O,
  known: Known<NoInfer<O>>,
): void {
  checkOptions(op, options, known)
  if (!x.dt.floating) {
    throw new DTypeError(`"${torch}" not implemented for '${x.dtype}': ${op} takes floats; convert first, e.g. x.to('float32')`, {
      op,
      dtypes: [x.dtype],
    })
  }
  for (const name of ['weight', 'bias'] as const) {
    const t = options[name]
    expectTensorOrNone(op, t, `the ${name}`)
    if (!t) continue
    if (!sameShape(t.shape, shape)) {
      throw new ShapeError(
        `Expected ${name} to be of shape ${show(shape)} for ${op} of an input ${show(x.shape)}, but got ${name} of shape ${show(t.shape)}`,
        {
          op,
          shapes: [x.shape, t.shape],
        },
      )
    }
    if (t.dt !== x.dt) {
      throw new DTypeError(`expected scalar type ${x.dtype} but found ${t.dtype} for the ${name} of ${op}`, {
        op,
        dtypes: [x.dtype, t.dtype],
      })
    }
  }
}

/** The last dims of x, which must be of this shape. */
export function lastDims(op: string, x: Tensor, shape: Shape): number[] {
  expectTensor(op, x, 'the input')
  checkShape(shape, op)
  const k = shape.length
  if (k === 0)
    throw new ShapeError(
      `Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got normalizedShape=[] for ${op}`,
      { op },
    )
  if (!sameShape(x.shape.slice(-k), shape)) {
    throw new ShapeError(
      `Given normalized_shape=${show(shape)}, expected input with shape [*, ${shape.join(', ')}], but got input of size ${show(x.shape)} for ${op}`,
      { op, shapes: [x.shape, shape] },
    )
  }
  return Array.from({ length: k }, (_, i) => x.layout.rank - k + i)
}

/** Running statistics: floats per channel, as far as they are there. */
export function checkRunning(
  op: string,
  x: Tensor,
  { runningMean, runningVar }: { readonly runningMean?: Tensor | null; readonly runningVar?: Tensor | null },
): void {
  const channels = x.shape[1]!
  for (const [name, t] of Object.entries({ running_mean: runningMean, running_var: runningVar })) {
    expectTensorOrNone(op, t, name)
    if (!t) continue
    if (!sameShape(t.shape, [channels])) {
      throw new ShapeError(`${name} should contain ${channels} elements not ${t.numel()}: ${op} of an input ${show(x.shape)}`, {
        op,
        shapes: [x.shape, t.shape],
      })
    }
    if (!t.dt.floating) throw new DTypeError(`${op}: ${name} must be of a float dtype, got ${t.dtype}`, { op, dtypes: [x.dtype, t.dtype] })
  }
}
