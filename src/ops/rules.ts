/** Pieces that derivative rules of several families share. */
import type { Arith } from '../backend/scalar.ts'

/** Zero of g's kind: where a slope is 0, an infinite or NaN gradient gives nothing either. */
export function zero<V extends Arith<V>>(g: V): V {
  const product = g.mul(0)
  return product.where(product.eq(product), 0)
}

/** An operand that may be a JS number, as a value of `like`'s kind. */
export function lift<V extends Arith<V>>(value: V | number, like: V): V {
  return typeof value === 'number' ? like.where(like.ne(like).logicalAnd(like.eq(like)), value) : value
}

/** a/b where either may have been given as a number. */
export function quotient<V extends Arith<V>>(a: V | number, b: V): V {
  return typeof a === 'number' ? b.reciprocal().mul(a) : a.div(b)
}

/** b − a where b may have been given as a number. */
export function difference<V extends Arith<V>>(a: V, b: V | number): V {
  return typeof b === 'number' ? a.sub(b).neg() : b.sub(a)
}

/**
 * ⌊a/b⌋ as Python has it: from the exact remainder, since a/b may round up to the next integer. Integers take the same way
 * (the fractions vanish).
 */
export function floorQuotient<V extends Arith<V>>(a: V, b: V): V {
  const rest = a.fmod(b)
  const exact = a.sub(rest).div(b)
  const below = rest.ne(0).logicalAnd(b.lt(0).logicalXor(rest.lt(0)))
  const q = exact.sub(1).where(below, exact)
  const floor = q.floor()
  const whole = floor.add(1).where(q.sub(floor).gt(0.5), floor)
  // A quotient of 0 has the sign of a/b; division by 0 is IEEE's.
  const ratio = a.div(b)
  return ratio.where(b.eq(0), ratio.mul(0).where(q.eq(0), whole))
}
