/** Search along a line for a step that fulfils the strong Wolfe conditions. */
import type { Tensor } from '../fluent.ts'

/** A function looked at in one point of a line. */
export interface Probe {
  /** How far along the line. */
  readonly t: number
  readonly loss: number
  readonly gradient: Tensor
  /** The derivative along the line. */
  readonly slope: number
}

/** Where a search ended, and how often it evaluated the function. */
export interface Found {
  readonly probe: Probe
  readonly evaluations: number
}

/** Share of the decrease promised by the slope that must be reached. */
const DECREASE = 1e-4
/** Share of the slope that may remain. */
const CURVATURE = 0.9

/** Where the cubic through two points with their slopes is least, kept within [left, right]; their middle where there is no minimum. */
function cubicMinimum(p: Probe, q: Probe, left: number, right: number): number {
  const [a, b] = p.t <= q.t ? [p, q] : [q, p]
  const d1 = a.slope + b.slope - (3 * (a.loss - b.loss)) / (a.t - b.t)
  const square = d1 * d1 - a.slope * b.slope
  if (!(square >= 0)) return (left + right) / 2
  const d2 = Math.sqrt(square)
  const t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
  return Math.min(Math.max(t, left), right)
}

/**
 * A step along a line that lowers the loss enough (loss ≤ loss₀ + 10⁻⁴·t·slope₀) and flattens it enough (|slope| ≤ 0.9·|slope₀|):
 * first an interval that contains one is looked for, by growing steps from `first`, then it is narrowed, both by cubic interpolation.
 * Ends at the best point seen after `limit` more evaluations than one, or when the interval times `largest` is below `tolerance`.
 * @see Nocedal & Wright, Numerical Optimization, 2nd edition, algorithms 3.5 and 3.6
 */
export function strongWolfe(
  evaluate: (t: number) => Probe,
  start: Probe,
  first: number,
  options: { readonly limit: number; readonly largest: number; readonly tolerance: number },
): Found {
  const { limit, largest, tolerance } = options
  const tooHigh = (p: Probe): boolean => p.loss > start.loss + DECREASE * p.t * start.slope
  const flat = (p: Probe): boolean => Math.abs(p.slope) <= -CURVATURE * start.slope
  let previous = start
  let here = evaluate(first)
  let more = 0
  let bracket: [Probe, Probe] | null = null
  while (more < limit) {
    if (tooHigh(here) || (more > 1 && here.loss >= previous.loss)) {
      bracket = [previous, here]
      break
    }
    if (flat(here)) return { probe: here, evaluations: more + 1 }
    if (here.slope >= 0) {
      bracket = [previous, here]
      break
    }
    const t = cubicMinimum(previous, here, here.t + 0.01 * (here.t - previous.t), here.t * 10)
    previous = here
    here = evaluate(t)
    more++
  }
  bracket ??= [start, here]

  const lower = ([a, b]: [Probe, Probe]): 0 | 1 => (a.loss <= b.loss ? 0 : 1)
  let low = lower(bracket)
  // Did the last interpolation end near an end of the interval?
  let stalled = false
  while (more < limit) {
    const [left, right] = [Math.min(bracket[0].t, bracket[1].t), Math.max(bracket[0].t, bracket[1].t)]
    if ((right - left) * largest < tolerance) break
    let t = cubicMinimum(bracket[0], bracket[1], left, right)
    const margin = 0.1 * (right - left)
    const near = Math.min(right - t, t - left) < margin
    if (near && (stalled || t >= right || t <= left)) {
      t = Math.abs(t - right) < Math.abs(t - left) ? right - margin : left + margin
      stalled = false
    } else stalled = near
    here = evaluate(t)
    more++
    const high = low === 0 ? 1 : 0
    if (tooHigh(here) || here.loss >= bracket[low].loss) {
      bracket[high] = here
      low = lower(bracket)
    } else {
      if (flat(here)) return { probe: here, evaluations: more + 1 }
      if (here.slope * (bracket[high].t - bracket[low].t) >= 0) bracket[high] = bracket[low]
      bracket[low] = here
    }
  }
  return { probe: bracket[low], evaluations: more + 1 }
}
