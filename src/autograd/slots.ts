/** Trees of arguments and results with numbers in the tensors' places: how gradients are handed out and taken back. */
import { ArgumentError } from '../errors.ts'
import { isTensor, type TensorCore } from '../tensor.ts'
import { flatten, isPlainObject } from '../tree.ts'

/** The number of a tensor, null for what holds no tensors, or the same nesting again. */
export type Slots = number | null | readonly Slots[] | { readonly [key: string]: Slots }

/** Numbers the tensors of a tree, adding them to `tensors`. */
export function slotsOf(tree: unknown, tensors: TensorCore[]): Slots {
  if (isTensor(tree)) return tensors.push(tree) - 1
  const before = tensors.length
  if (Array.isArray(tree)) {
    const parts = tree.map((x) => slotsOf(x, tensors))
    return tensors.length === before ? null : parts
  }
  if (!isPlainObject(tree)) return null
  const parts = Object.entries(tree).map(([k, x]) => [k, slotsOf(x, tensors)] as const)
  return tensors.length === before ? null : Object.fromEntries(parts)
}

/** The slots of several results: one entry per result, also when none of them holds tensors. */
export function slotsOfResult(result: unknown, tensors: TensorCore[]): { readonly list: readonly Slots[]; readonly single: boolean } {
  if (!Array.isArray(result)) return { list: [slotsOf(result, tensors)], single: true }
  return { list: result.map((x) => slotsOf(x, tensors)), single: false }
}

/** The nesting with a value in each tensor's place and null elsewhere. */
export function fill<T>(slots: Slots, value: (slot: number) => T): unknown {
  if (typeof slots === 'number') return value(slots)
  if (slots === null) return null
  if (Array.isArray(slots)) return slots.map((s: Slots) => fill(s, value))
  return Object.fromEntries(Object.entries(slots).map(([k, s]) => [k, fill(s, value)]))
}

/** Does any of the tensors in these slots pass the test? */
export function someSlot(slots: Slots, test: (slot: number) => boolean): boolean {
  if (typeof slots === 'number') return test(slots)
  if (slots === null) return false
  return (Array.isArray(slots) ? slots : Object.values(slots)).some((s: Slots) => someSlot(s, test))
}

/** What to say when values don't match the slots they are for. */
export interface Mismatch {
  /** A value where no tensor was. */
  extra(): Error
  /** The name of the function, for the other refusals. */
  readonly who: string
}

/** Sorts a tree of tensors (null and undefined: none) into `out` by slot. */
export function distribute(slots: Slots, value: unknown, out: (TensorCore | null)[], mismatch: Mismatch): void {
  if (value === null || value === undefined) return
  if (typeof slots === 'number') {
    if (!isTensor(value)) throw new ArgumentError(`expected Variable or None (got ${describe(value)}) from ${mismatch.who}`)
    out[slots] = value
    return
  }
  if (slots === null) {
    if (flatten(value).leaves.some((x) => x !== null && x !== undefined)) throw mismatch.extra()
    return
  }
  if (Array.isArray(slots)) {
    if (!Array.isArray(value) || value.length !== slots.length)
      throw new ArgumentError(`${mismatch.who} returned ${describe(value)} where a list of ${slots.length} is expected`)
    slots.forEach((s: Slots, i) => distribute(s, value[i], out, mismatch))
    return
  }
  if (!isPlainObject(value))
    throw new ArgumentError(`${mismatch.who} returned ${describe(value)} where an object with ${Object.keys(slots).join(', ')} is expected`)
  for (const [key, part] of Object.entries(value)) distribute((slots as Record<string, Slots>)[key] ?? null, part, out, mismatch)
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`
  return isTensor(value) ? 'a tensor' : typeof value
}
