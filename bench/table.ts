/** How results are kept and shown: the record of a run, and its rows as text. */
import type { Row } from './rows.ts'

/** One row of a run: seconds per call of every round, by library; for memory, bytes of the largest resident set. */
export interface Result {
  readonly row: string
  readonly kind: string
  readonly unit: Row['unit']
  readonly work: number
  readonly values: Readonly<Record<string, readonly number[]>>
}

/** What is written to bench/results. */
export interface RunRecord {
  readonly machine: string
  readonly date: string
  readonly protocol: string
  readonly versions: Readonly<Record<string, string>>
  /** Limits measured in the same run: multiply-adds in GFLOP/s, copies in GB/s (reads and writes). */
  readonly limits: { readonly float32: number; readonly float64: number; readonly copy: number }
  readonly rows: readonly Result[]
}

export const OURS = 'gradtape'

const least = (v: readonly number[]): number => Math.min(...v)
const median = (v: readonly number[]): number => [...v].sort((a, b) => a - b)[v.length >> 1]!

/** A figure in the row's unit. */
export function figure({ unit, work }: Result, value: number): string {
  switch (unit) {
    case 'GFLOP/s':
      return (work / value / 1e9).toFixed(1)
    case 'µs':
      return (value * 1e6).toFixed(value < 1e-4 ? 1 : 0)
    case 'ms':
      return (value * 1e3).toFixed(0)
    case 'MB':
      return (value / 1e6).toFixed(0)
    default: {
      const ns = (value * 1e9) / work
      return ns.toFixed(ns < 10 ? 2 : 0)
    }
  }
}

/** How many times more a library takes than ours: of the best rounds, and of the medians. */
export function ratio({ values }: Result, name: string): string {
  const [theirs, ours] = [values[name] ?? [], values[OURS] ?? []]
  if (theirs.length === 0 || ours.length === 0) return '–'
  const digits = (x: number): string => (x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2))
  return `${digits(least(theirs) / least(ours))}×; ${digits(median(theirs) / median(ours))}×`
}

/** How near ours comes to the limit that applies, in percent. */
export function nearness({ kind, unit, work, values }: Result, limits: RunRecord['limits']): string {
  const ours = values[OURS] ?? []
  if (ours.length === 0) return ''
  const percent = (x: number): string => `${(100 * x).toFixed(0)} %`
  const rate = work / least(ours) / 1e9
  if (unit === 'GFLOP/s') return percent(rate / (kind.endsWith('64') ? limits.float64 : limits.float32))
  // What doesn't fit the caches is bounded by copying: two arrays read and one written, or one read.
  if (work < 2 ** 22 || (kind !== 'add' && kind !== 'sum')) return ''
  return percent((rate * (kind === 'add' ? 12 : 4)) / limits.copy)
}

/** The cells of a row: ours and the others in its unit, then the ratios, then the distance from the limit. */
export function cells(result: Result, names: readonly string[], limits?: RunRecord['limits']): string[] {
  const shown = names.map((n) => {
    const v = result.values[n] ?? []
    return v.length === 0 ? '–' : figure(result, least(v))
  })
  const ratios = names.slice(1).map((n) => ratio(result, n))
  return [result.row, result.unit, ...shown, ...ratios, ...(limits === undefined ? [] : [nearness(result, limits)])]
}
