/** Windows over images: options with their checks, how many windows fit, and which elements they hold. */
import { ArgumentError, show } from '../errors.ts'
import type { Layout } from '../layout.ts'

export type Pair = readonly [number, number]

/** One number for both spatial dims, or one for each. */
export type PairOption = number | readonly number[]

/** An option of a 2-d (`dims` 2) or 1-d (`dims` 1) window, as (vertical, horizontal); `still` is the vertical one in 1-d. */
export function pair(value: PairOption, dims: number, least: number, still: number, what: string, op: string): Pair {
  const list = typeof value === 'number' ? [value] : value
  const whole = Array.isArray(list) && list.every((v) => Number.isInteger(v))
  if (!whole || (list.length !== 1 && list.length !== dims)) {
    throw new ArgumentError(
      `${op}: expected ${what} to be a whole number or a list of ${dims}, got ${Array.isArray(list) ? show(list) : String(value)}`,
      { op },
    )
  }
  if (list.some((v) => v < least)) {
    throw new ArgumentError(
      `${least === 0 ? 'negative' : 'non-positive'} ${what} is not supported: ${op} got ${show(list)}, which must be at least ${least}`,
      { op },
    )
  }
  const last = list[list.length - 1]!
  return dims === 1 ? [still, last] : [list[0]!, last]
}

/** How many windows fit along one dim; with `ceil` also one that starts inside and ends outside. */
export function windowCount(size: number, kernel: number, stride: number, padding: number, dilation: number, ceil: boolean): number {
  const room = size + 2 * padding - dilation * (kernel - 1) - 1
  if (!ceil) return Math.floor(room / stride) + 1
  const count = Math.ceil(room / stride) + 1
  // The last window has to start inside the image or its left padding.
  return (count - 1) * stride >= size + padding ? count - 1 : count
}

/** Windows over the last two dims: `map` windows of size `kernel` over images of size `image`. */
export interface Windows {
  readonly kernel: Pair
  readonly stride: Pair
  readonly padding: Pair
  readonly dilation: Pair
  readonly image: Pair
  readonly map: Pair
}

/** The windows first … first + count along a dim, and the elements start, start + step, … that they hold at one place. */
interface Span {
  readonly first: number
  readonly count: number
  readonly start: number
  readonly step: number
}

/** Which windows have an element of the image at place k of dim d. */
function span(p: Windows, d: 0 | 1, k: number): Span {
  const shift = k * p.dilation[d] - p.padding[d]
  const step = p.stride[d]
  const first = Math.max(0, Math.ceil(-shift / step))
  const end = Math.min(p.map[d], Math.floor((p.image[d] - 1 - shift) / step) + 1)
  return { first, count: end - first, start: first * step + shift, step }
}

/**
 * For each place (ky, kx) of the window: the windows of a map that have an element there, and those elements of the image,
 * as functions that cut the last two dims of a map and of an image.
 */
export function eachPlace(
  p: Windows,
  visit: (ky: number, kx: number, windows: (map: Layout) => Layout, elements: (image: Layout) => Layout) => void,
): void {
  for (let ky = 0; ky < p.kernel[0]; ky++) {
    const y = span(p, 0, ky)
    if (y.count <= 0) continue
    for (let kx = 0; kx < p.kernel[1]; kx++) {
      const x = span(p, 1, kx)
      if (x.count <= 0) continue
      visit(
        ky,
        kx,
        (map) => map.slice(map.rank - 2, y.first, y.count).slice(map.rank - 1, x.first, x.count),
        (image) => image.slice(image.rank - 2, y.start, y.count, y.step).slice(image.rank - 1, x.start, x.count, x.step),
      )
    }
  }
}
