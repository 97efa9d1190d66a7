/** Walks over traced rules: which inputs and scalars they read, and the same rule over renumbered inputs. */
import { input, Scalar } from '../backend/scalar.ts'

export function collectInputs(e: Scalar, into: Set<number>, seen: Set<Scalar> = new Set()): void {
  if (seen.has(e)) return
  seen.add(e)
  if (e.op === 'input') into.add(e.value)
  for (const a of e.args) collectInputs(a, into, seen)
}

export function renumber(e: Scalar, place: ReadonlyMap<number, number>, done: Map<Scalar, Scalar>): Scalar {
  const hit = done.get(e)
  if (hit !== undefined) return hit
  const made =
    e.op === 'input'
      ? input(place.get(e.value) ?? 0)
      : e.args.length === 0
        ? e
        : Scalar.make(
            e.op,
            e.args.map((a) => renumber(a, place, done)),
            e.value,
          )
  done.set(e, made)
  return made
}

/** One more than the highest scalar an expression reads, at most `limit`. */
export function countScalars(e: Scalar, limit: number): number {
  let n = 0
  const seen = new Set<Scalar>()
  const visit = (x: Scalar): void => {
    if (seen.has(x)) return
    seen.add(x)
    if (x.op === 'scalar') n = Math.max(n, x.value + 1)
    x.args.forEach(visit)
  }
  visit(e)
  return Math.min(n, limit)
}
