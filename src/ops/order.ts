/** Numbers in order, with their positions: a stable merge sort. NaN counts as larger than every number. */

/** Runs of this length are sorted by insertion first. */
const RUN = 16

/** Merges the sorted halves [from, middle) and [middle, to) of the source into the target. */
function merge(
  keys: Float64Array,
  at: Int32Array,
  from: number,
  middle: number,
  to: number,
  outKeys: Float64Array,
  outAt: Int32Array,
): void {
  let i = from
  let j = middle
  for (let k = from; k < to; k++) {
    // Of equals, the one that came first stays first.
    const source = j >= to || (i < middle && keys[i]! <= keys[j]!) ? i++ : j++
    outKeys[k] = keys[source]!
    outAt[k] = at[source]!
  }
}

function insertion(keys: Float64Array, at: Int32Array, from: number, to: number): void {
  for (let i = from + 1; i < to; i++) {
    const key = keys[i]!
    const place = at[i]!
    let j = i - 1
    for (; j >= from && keys[j]! > key; j--) {
      keys[j + 1] = keys[j]!
      at[j + 1] = at[j]!
    }
    keys[j + 1] = key
    at[j + 1] = place
  }
}

/** The positions of the numbers in ascending (or descending) order; equal ones in the order they have. */
export function order(line: Float64Array, descending: boolean): Int32Array {
  const n = line.length
  let keys = new Float64Array(n)
  let at = new Int32Array(n)
  const nans: number[] = []
  let count = 0
  for (let i = 0; i < n; i++) {
    const v = line[i]!
    if (Number.isNaN(v)) nans.push(i)
    else {
      keys[count] = descending ? -v : v
      at[count++] = i
    }
  }
  for (let from = 0; from < count; from += RUN) insertion(keys, at, from, Math.min(count, from + RUN))
  let otherKeys = new Float64Array(count > RUN ? n : 0)
  let otherAt = new Int32Array(count > RUN ? n : 0)
  for (let width = RUN; width < count; width *= 2) {
    for (let from = 0; from < count; from += 2 * width) {
      merge(keys, at, from, Math.min(count, from + width), Math.min(count, from + 2 * width), otherKeys, otherAt)
    }
    ;[keys, otherKeys] = [otherKeys, keys]
    ;[at, otherAt] = [otherAt, at]
  }
  if (nans.length === 0) return at
  const all = new Int32Array(n)
  all.set(descending ? nans : at.subarray(0, count), 0)
  all.set(descending ? at.subarray(0, count) : nans, n - (descending ? count : nans.length))
  return all
}
