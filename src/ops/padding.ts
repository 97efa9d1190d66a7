/** Padding with a tensor's own elements: reflected, repeated at the edge, or around in a circle. */
import { ArgumentError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkAddressable } from '../tensor.ts'
import { mapped, type Taps } from './taps.ts'

/** How the new elements are found. */
export type EdgeMode = 'reflect' | 'replicate' | 'circular'

/** The element that stands at place i of n, where i may lie outside. */
const source: Readonly<Record<EdgeMode, (i: number, n: number) => number>> = {
  reflect: (i, n) => (i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i),
  replicate: (i, n) => Math.max(0, Math.min(n - 1, i)),
  circular: (i, n) => ((i % n) + n) % n,
}

/** x padded: `padding` lists before and after, last dim first, for the last one to three dims. */
export function padEdges(x: Tensor, padding: readonly number[], mode: EdgeMode): Tensor {
  const count = padding.length / 2
  const { rank } = x.layout
  if (!Number.isInteger(count) || count < 1 || count > 3 || (rank !== count + 1 && rank !== count + 2)) {
    throw new ArgumentError(
      `pad: Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now: ${padding.length} numbers for ${show(x.shape)} (the last ${count} of ${count + 1} or ${count + 2} dims are meant)`,
      { op: 'pad' },
    )
  }
  const dims: Taps[] = []
  for (let k = 0; k < count; k++) {
    const dim = rank - 1 - k
    const n = x.shape[dim]!
    const [before, after] = [padding[2 * k]!, padding[2 * k + 1]!]
    if (mode === 'reflect' && (before >= n || after >= n)) {
      throw new ShapeError(
        `pad: Argument #${2 * count + 2}: Padding size should be less than the corresponding input dimension, but got: padding (${before}, ${after}) at dimension ${dim} of input ${show(x.shape)}`,
        { op: 'pad', shapes: [x.shape] },
      )
    }
    if (mode === 'circular' && (before > n || after > n)) {
      throw new ShapeError(
        `pad: Padding value causes wrapping around more than once: (${before}, ${after}) at dimension ${dim} of ${show(x.shape)}`,
        {
          op: 'pad',
          shapes: [x.shape],
        },
      )
    }
    if (n + before + after < 1) {
      throw new ShapeError(`pad: input (size: ${n}) with padding (${before}, ${after}) at dimension ${dim} is too small`, {
        op: 'pad',
        shapes: [x.shape],
      })
    }
    checkAddressable('pad', x.shape.with(dim, n + before + after), x.dt)
    const index = Array.from({ length: n + before + after }, (_, i) => source[mode](i - before, n))
    dims.push({ dim, taps: [{ index, weights: null }] })
  }
  const kind = mode === 'reflect' ? 'Reflection' : 'Replication'
  return mapped.one([x], { node: mode === 'circular' ? 'torch::autograd::CopySlices' : `${kind}Pad${count}DBackward0`, dims })
}
