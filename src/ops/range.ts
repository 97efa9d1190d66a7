/** Slices as values, for `get` and `set`. */

/** A slice: `{ start: 1, end: 5, step: 2 }` is Python's `1:5:2`; what is missing or null means "as far as it goes". */
export interface Range {
  readonly start?: number | null
  readonly end?: number | null
  readonly step?: number | null
}

/**
 * A slice for `get` and `set`: `range(1, 5, 2)` is Python's `1:5:2`, `range()` is `:`, `range(null, 3)` is `:3`.
 * @example
 * tensor([0, 1, 2, 3]).get(range(1, 3)).tolist() // [1, 2]
 */
export function range(start: number | null = null, end: number | null = null, step: number | null = null): Range {
  return { start, end, step }
}
