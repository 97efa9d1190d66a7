/** How far the float32 polynomials are from the correctly rounded result, over the whole domain; float64 against known values. */

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { erf, erfc } from '../../src/backend/erf.ts'
import { input, Program } from '../../src/backend/scalar.ts'
import { compileFlat } from '../../src/backend/wasm/elementwise.ts'
import { wasmFeatures } from '../../src/backend/wasm/features.ts'
import { linearMemory } from '../../src/memory/linear.ts'

const memory = linearMemory()
memory.grow(8 << 20)
const FROM = 1 << 17
const TO = 1 << 21
const modes = wasmFeatures().relaxed ? [false, true] : [false]

const sigmoid = (x: number): number => (x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x)))

/** Reference (in float64), largest error allowed in ulp, and where samples are dense. */
const FUNCTIONS = {
  exp: [Math.exp, 1.25, -110, 95],
  exp2: [(x) => 2 ** x, 1.5, -155, 130],
  expm1: [Math.expm1, 2, -20, 90],
  log: [Math.log, 1, 0, 4],
  log2: [Math.log2, 1.6, 0, 4],
  log10: [Math.log10, 2, 0, 4],
  log1p: [Math.log1p, 1, -1, 3],
  sin: [Math.sin, 1.75, -1e3, 1e3],
  cos: [Math.cos, 1.75, -1e3, 1e3],
  tanh: [Math.tanh, 2.5, -10, 10],
  sigmoid: [sigmoid, 2.5, -110, 20],
  erf: [erf, 2.5, -4.5, 4.5],
  tan: [Math.tan, 0.501, -10, 10],
  asin: [Math.asin, 0.501, -1, 1],
  acos: [Math.acos, 0.501, -1, 1],
  atan: [Math.atan, 0.501, -10, 10],
  sinh: [Math.sinh, 0.501, -90, 90],
  cosh: [Math.cosh, 0.501, -90, 90],
  asinh: [Math.asinh, 0.501, -10, 10],
  acosh: [Math.acosh, 0.501, 1, 10],
  atanh: [Math.atanh, 0.501, -1, 1],
} satisfies Record<string, [(x: number) => number, number, number, number]>

const SPECIAL = [
  0,
  -0,
  1,
  -1,
  Infinity,
  -Infinity,
  NaN,
  2 ** -149,
  -(2 ** -149),
  2 ** -126,
  -(2 ** -126),
  1e-40,
  -1e-40,
  3.4028234e38,
  -3.4028234e38,
  88.72283,
  88.72284,
  89,
  -87.33654,
  -87.33655,
  -103.97207,
  -103.97208,
  -104,
  128,
  127.99999,
  -149,
  -150,
  9,
  9.02,
  3.92,
  4,
  2 ** 20,
  2 ** 20 + 1,
  1e30,
]

/** The distance of `got` from the real number `exact`, in units of the last place of a float32 of that size. */
function ulps(got: number, exact: number): number {
  const rounded = Math.fround(exact)
  if (Object.is(got, rounded)) return 0
  if (Number.isNaN(rounded) || Number.isNaN(got)) return Infinity
  const finite = (x: number): number => (Math.abs(x) === Infinity ? Math.sign(x) * 2 ** 128 : x)
  const exponent = rounded === 0 ? -126 : Math.max(-126, Math.min(127, Math.floor(Math.log2(Math.abs(rounded)))))
  return Math.abs(finite(got) - (Math.abs(exact) >= 2 ** 128 ? finite(rounded) : exact)) / 2 ** (exponent - 23)
}

/** Random float32 bit patterns of every exponent and sign, a dense range, and the special points. */
function fill(low: number, high: number): number {
  let state = 12345
  const next = (): number => (state = (Math.imul(state, 1664525) + 1013904223) | 0)
  let n = 0
  for (let head = 0; head < 512; head++) for (let k = 0; k < 160; k++) memory.i32[FROM / 4 + n++] = (head << 23) | (next() >>> 9)
  for (let k = 0; k < 80000; k++) memory.f32[FROM / 4 + n++] = low + ((high - low) * (next() >>> 8)) / 2 ** 24
  memory.f32.set(SPECIAL, FROM / 4 + n)
  return n + SPECIAL.length
}

for (const relaxed of modes) {
  describe(`float32${relaxed ? ', relaxed' : ''}`, () => {
    for (const [name, [reference, bound, low, high]] of Object.entries(FUNCTIONS)) {
      test(`${name} is within ${bound} ulp`, () => {
        const n = fill(low, high)
        compileFlat(memory, new Program([input(0)[name as 'exp']()], ['float32'], ['float32'], 0, 'float32'), 0, { relaxed })(n, TO, FROM)
        let worst = 0
        let at = 0
        for (let i = 0; i < n; i++) {
          const x = memory.f32[FROM / 4 + i]!
          const exact = reference(x)
          const error = ulps(memory.f32[TO / 4 + i]!, exact)
          if (error > worst) {
            worst = error
            at = i
          }
          // Signs of zeros, and nothing on the wrong side of an asymptote.
          if (x === 0 && exact === 0) expect(Object.is(memory.f32[TO / 4 + i], x)).toBe(true)
        }
        expect(worst, `at ${memory.f32[FROM / 4 + at]}: ${memory.f32[TO / 4 + at]}`).toBeLessThanOrEqual(bound)
      })
    }

    test('bounded functions stay within their bounds', () => {
      for (const [name, bound] of [
        ['tanh', 1],
        ['erf', 1],
        ['sigmoid', 1],
        ['sin', 1],
        ['cos', 1],
      ] as const) {
        const n = fill(-20, 20)
        compileFlat(memory, new Program([input(0)[name]()], ['float32'], ['float32'], 0, 'float32'), 0, { relaxed })(n, TO, FROM)
        let largest = 0
        for (let i = 0; i < n; i++) if (Math.abs(memory.f32[TO / 4 + i]!) > largest) largest = Math.abs(memory.f32[TO / 4 + i]!)
        expect(largest, name).toBeLessThanOrEqual(bound)
      }
    })
  })
}

/** Correctly rounded values, computed with 40 digits. */
const SIGMOID: [number, number][] = [
  [-745, 5e-324],
  [-710.5, 2.71500483752131e-309],
  [-40.25, 3.3086216207858244e-18],
  [-20, 2.0611536181902037e-9],
  [-5.5, 0.004070137715896128],
  [-1.25, 0.22270013882530884],
  [-0.7, 0.3318122278318339],
  [-0.1, 0.47502081252106],
  [-1e-9, 0.49999999975],
  [0, 0.5],
  [1e-9, 0.50000000025],
  [0.3, 0.574442516811659],
  [0.9, 0.710949502625004],
  [2.5, 0.9241418199787564],
  [17, 0.9999999586006245],
  [36.5, 0.9999999999999999],
  [40, 1.0],
]
const ERF: [number, number][] = [
  [1e-300, 1.1283791670955126e-300],
  [1e-5, 1.1283791670579e-5],
  [0.3, 0.3286267594591274],
  [0.7, 0.6778011938374184],
  [1.1, 0.8802050695740817],
  [2.2, 0.9981371537020182],
  [3.3, 0.9999969422902035],
  [5.5, 0.9999999999999927],
  [5.9, 0.9999999999999999],
  [7, 1.0],
]

describe('float64', () => {
  const run = (name: 'sigmoid' | 'erf', table: readonly [number, number][], bound: number): void => {
    table.forEach(([x], i) => (memory.f64[FROM / 8 + i] = x))
    compileFlat(memory, new Program([input(0)[name]()], ['float64'], ['float64'], 0, 'float64'), 0, { relaxed: false })(
      table.length,
      TO,
      FROM,
    )
    table.forEach(([x, y], i) => {
      const unit = 2 ** (Math.max(-1022, Math.floor(Math.log2(y))) - 52)
      expect(Math.abs(memory.f64[TO / 8 + i]! - y) / unit, `${name}(${x})`).toBeLessThanOrEqual(bound)
    })
  }
  test('sigmoid is within 2 ulp on both sides', () => run('sigmoid', SIGMOID, 2))
  test('erf is within 1 ulp', () => run('erf', ERF, 1))
  test('erf is within 1 ulp, erfc within 2, of values computed with 60 digits', () => {
    const rows = JSON.parse(readFileSync(new URL('erf.json', import.meta.url), 'utf8')) as [number, number, number][]
    const error = (got: number, exact: number): number =>
      Math.abs(got - exact) / 2 ** (Math.max(-1022, Math.floor(Math.log2(Math.abs(exact) || 5e-324))) - 52)
    expect(rows.length).toBeGreaterThan(1000)
    for (const [x, y, complement] of rows) {
      expect(error(erf(x), y), `erf(${x})`).toBeLessThanOrEqual(1)
      expect(error(erfc(x), complement), `erfc(${x})`).toBeLessThanOrEqual(2)
    }
    expect([NaN, -0, Infinity, -Infinity].map(erf)).toEqual([NaN, -0, 1, -1])
    expect([NaN, -0, Infinity, -Infinity].map(erfc)).toEqual([NaN, 1, 0, 2])
  })
  test('powers of one and infinite powers are IEEE 754’s, not JavaScript’s', () => {
    memory.f64.set([1, NaN, -1, Infinity, 1, -Infinity, NaN, 0, -8, 1 / 3], FROM / 8)
    memory.f64.set([NaN, 1, Infinity, -Infinity, Infinity, 2, 0, 0, 3, 2], FROM / 8 + 10)
    const pow = new Program([input(0).pow(input(1))], ['float64'], ['float64', 'float64'], 0, 'float64')
    compileFlat(memory, pow, 0, { relaxed: false })(10, TO, FROM, FROM + 80)
    expect([...memory.f64.subarray(TO / 8, TO / 8 + 9)]).toEqual([1, NaN, 1, 0, 1, Infinity, 1, 1, -512])
  })
})
