/** Refusals of in-place operations whose operands share memory in ways that have no meaning. */
import { ArgumentError } from '../errors.ts'
import type { Layout } from '../layout.ts'
import { sameShape } from '../shape.ts'
import type { TensorCore } from '../tensor.ts'

/** Refuses destinations whose elements share places, and operands that overlap the destination without being it. */
export function refuseOverlap(op: string, a: TensorCore, others: readonly TensorCore[]): void {
  if (a.layout.overlapping) {
    throw new ArgumentError(
      `unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please clone() the tensor before performing the operation. (${op})`,
      { op },
    )
  }
  for (const b of others) {
    if (b.storage !== a.storage || b.layout === a.layout) continue
    if (b.layout.offset === a.layout.offset && sameShape(b.layout.shape, a.layout.shape) && sameShape(b.layout.strides, a.layout.strides))
      continue
    if (meet(a.layout, b.layout)) {
      throw new ArgumentError(
        `unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. Please clone() the tensor before performing the operation. (${op})`,
        { op },
      )
    }
  }
}

/**
 * Have two layouts of one storage an element in common? Are there, that is, indices within their shapes for which
 * Σ iₖ·strideₖ of one and of the other differ by the distance of their offsets: looked for from the greatest stride on, where
 * what the smaller ones can add leaves few indices to try.
 */
function meet(a: Layout, b: Layout): boolean {
  if (a.numel === 0 || b.numel === 0 || a.offset >= b.end || b.offset >= a.end) return false
  const ranges = new Map<number, { low: number; high: number }>()
  const add = ({ shape, strides }: Layout, sign: 1 | -1): void => {
    strides.forEach((s, d) => {
      if (s === 0 || shape[d] === 1) return
      const range = ranges.get(s) ?? { low: 0, high: 0 }
      range[sign === 1 ? 'high' : 'low'] += sign * (shape[d]! - 1)
      ranges.set(s, range)
    })
  }
  add(a, 1)
  add(b, -1)
  const steps = [...ranges].sort(([s], [t]) => t - s)
  const [least, most] = [[0], [0]]
  for (const [s, { low, high }] of steps.toReversed()) {
    least.unshift(least[0]! + low * s)
    most.unshift(most[0]! + high * s)
  }
  const reaches = (n: number, distance: number): boolean => {
    if (n === steps.length) return distance === 0
    const [s, { low, high }] = steps[n]!
    const last = Math.min(high, Math.floor((distance - least[n + 1]!) / s))
    for (let k = Math.max(low, Math.ceil((distance - most[n + 1]!) / s)); k <= last; k++) {
      if (reaches(n + 1, distance - k * s)) return true
    }
    return false
  }
  return reaches(0, b.offset - a.offset)
}
