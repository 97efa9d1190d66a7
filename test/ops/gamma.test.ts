/** The gamma function's family and the inverse error function against values computed with 60 digits. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { digamma, erfinv, lgamma, polygamma } from '../../src/ops/gamma.ts'

type Row = readonly [x: number, value: number, ...derivatives: (number | null)[]]
const recorded = JSON.parse(readFileSync(new URL('gamma.json', import.meta.url), 'utf8')) as {
  gamma: Row[]
  erfinv: [number, number][]
}

/** The error over the size, or over 1 near the zeros that the functions have for x < 3. */
function error(ours: number, exact: number, x: number): number {
  if (ours === exact) return 0
  return Math.abs(ours - exact) / (x < 3 && x > -20 ? Math.max(1, Math.abs(exact)) : Math.abs(exact))
}
const worst = (f: (x: number) => number, column: number, rows: readonly Row[]): number =>
  Math.max(...rows.filter((r) => r[column] !== null).map((r) => error(f(r[0]), r[column]!, r[0])))

const positive = recorded.gamma.filter(([x]) => x > 0)
const negative = recorded.gamma.filter(([x]) => x < 0)
const ULP = Number.EPSILON

test('positive numbers', () => {
  expect(worst(lgamma, 1, positive)).toBeLessThan(4 * ULP)
  expect(worst(digamma, 2, positive)).toBeLessThan(8 * ULP)
  for (const n of [1, 2, 3])
    expect(
      worst((x) => polygamma(x, n), 2 + n, positive),
      `derivative ${n}`,
    ).toBeLessThan(8 * ULP)
})

test('negative numbers, where sines of multiples of π come in', () => {
  expect(worst(lgamma, 1, negative)).toBeLessThan(1e-13)
  expect(worst(digamma, 2, negative)).toBeLessThan(1e-13)
  expect(worst((x) => polygamma(x, 1), 3, negative)).toBeLessThan(1e-13)
})

test('the inverse error function', () => {
  for (const [x, y] of recorded.erfinv) {
    expect(Math.abs(erfinv(x) - y) / y, `erfinv(${x})`).toBeLessThanOrEqual(3 * ULP)
    expect(erfinv(-x)).toBe(-erfinv(x))
  }
})
