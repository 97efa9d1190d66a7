/** Arrays as everybody understands them: a shape, and for each place in reading order some value. What operations are held against. */
import fc from 'fast-check'

/** Values in reading order. Of views, the values are positions in the elements of the base. */
export interface Model {
  readonly shape: readonly number[]
  readonly at: readonly number[]
}

const count = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)

/** Every place of an array of this shape, in reading order. */
export function places(shape: readonly number[]): number[][] {
  if (shape.length === 0) return [[]]
  return Array.from({ length: shape[0]! }, (_, i) => i).flatMap((i) => places(shape.slice(1)).map((rest) => [i, ...rest]))
}

/** 0, 1, 2, … in this shape. */
export const counting = (shape: readonly number[]): Model => ({ shape, at: Array.from({ length: count(shape) }, (_, i) => i) })

/** The value at a place. */
export function value(m: Model, place: readonly number[]): number {
  return m.at[place.reduce((i, p, d) => i * m.shape[d]! + p, 0)]!
}

/** The array of this shape whose value at each place is found at another place of `m`. */
export function gathered(m: Model, shape: readonly number[], from: (place: readonly number[]) => readonly number[]): Model {
  return { shape, at: places(shape).map((p) => value(m, from(p))) }
}

/** As nested lists, like `tolist()`. */
export function nested<T>(shape: readonly number[], values: readonly T[]): unknown {
  if (shape.length === 0) return values[0]
  const step = count(shape.slice(1))
  return Array.from({ length: shape[0]! }, (_, i) => nested(shape.slice(1), values.slice(i * step, (i + 1) * step)))
}

/** Shapes of up to four dims. */
export const shapes: fc.Arbitrary<number[]> = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 })

/** Holds a property for `numRuns` random cases: the same ones every time, or those of $SEED. A failure prints its seed. */
export function holds<T extends unknown[]>(property: fc.IPropertyWithHooks<T>, numRuns: number): void {
  fc.assert(property, { numRuns, seed: Number(process.env['SEED'] ?? 1) })
}
