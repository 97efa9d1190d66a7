/** How far the float64 functions are from values computed with 60 digits, and their values where nothing is to be rounded. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { erf } from '../../src/backend/erf.ts'
import { input, Program } from '../../src/backend/scalar.ts'
import { compileFlat } from '../../src/backend/wasm/elementwise.ts'
import { wasmFeatures } from '../../src/backend/wasm/features.ts'
import { linearMemory } from '../../src/memory/linear.ts'

const memory = linearMemory()
memory.grow(1 << 20)
const FROM = 1 << 17
const TO = 1 << 18
const modes = wasmFeatures().relaxed ? [false, true] : [false]

/** x, the float64 nearest to f(x), and how many ulp f(x) is above it; written by double.py. */
type Row = [number, number | 'Infinity', number]
/** x, b, the float64 nearest to xᵇ, and how many ulp xᵇ is above it. */
type PowerRow = [number, number, number, number]
const recorded = JSON.parse(readFileSync(new URL('double.json', import.meta.url), 'utf8')) as Record<keyof typeof FUNCTIONS, Row[]> & {
  pow: PowerRow[]
}

/** The function in float64, and the largest error allowed in ulp. */
const FUNCTIONS = {
  exp: [Math.exp, 1],
  exp2: [(x) => 2 ** x, 1],
  expm1: [Math.expm1, 1.5],
  log: [Math.log, 1],
  log1p: [Math.log1p, 1],
  sin: [Math.sin, 1],
  cos: [Math.cos, 1],
  tanh: [Math.tanh, 1.5],
  erf: [erf, 1.25],
  sigmoid: [(x) => 1 / (1 + Math.exp(-x)), 2],
  log2: [Math.log2, 1],
  log10: [Math.log10, 1],
} satisfies Record<string, [(x: number) => number, number]>

function values(name: keyof typeof FUNCTIONS, xs: readonly number[], relaxed: boolean): number[] {
  memory.f64.set(xs, FROM / 8)
  compileFlat(memory, new Program([input(0)[name]()], ['float64'], ['float64'], 0, 'float64'), 0, { relaxed })(xs.length, TO, FROM)
  return [...memory.f64.subarray(TO / 8, TO / 8 + xs.length)]
}

/** aᵇ for pairs, computed in float64, or in float32. */
function powers(pairs: readonly (readonly [number, number])[], relaxed: boolean, dtype: 'float32' | 'float64' = 'float64'): number[] {
  const [view, bytes] = dtype === 'float64' ? ([memory.f64, 8] as const) : ([memory.f32, 4] as const)
  pairs.forEach(([a, b], i) => {
    view[FROM / bytes + i] = a
    view[FROM / bytes + pairs.length + i] = b
  })
  const program = new Program([input(0).pow(input(1))], [dtype], [dtype, dtype], 0, dtype)
  compileFlat(memory, program, 0, { relaxed })(pairs.length, TO, FROM, FROM + pairs.length * bytes)
  return [...view.subarray(TO / bytes, TO / bytes + pairs.length)]
}
/** IEEE 754's powers, which Math.pow departs from. */
const power = (a: number, b: number): number => (a === 1 || (Math.abs(a) === 1 && Math.abs(b) === Infinity) ? 1 : a ** b)
const SPECIAL = [0, -0, 1, -1, 2, -2, 0.5, 3, -3.5, Infinity, -Infinity, NaN, 1e308, -1e308, 5e-324, 2 ** 53, 2 ** 60, 2 ** 61, -(2 ** 70)]

const ulp = (y: number): number => 2 ** (Math.max(-1022, Math.floor(Math.log2(Math.abs(y)))) - 52)

for (const relaxed of modes) {
  describe(relaxed ? 'relaxed' : 'strict', () => {
    for (const [name, [f, bound]] of Object.entries(FUNCTIONS)) {
      test(`${name} is within ${bound} ulp`, () => {
        const rows = recorded[name as keyof typeof FUNCTIONS]
        expect(rows.length).toBeGreaterThan(120)
        const got = values(
          name as keyof typeof FUNCTIONS,
          rows.map(([x]) => x),
          relaxed,
        )
        rows.forEach(([x, y, off], i) => {
          if (y === 'Infinity' || y === 0) expect(got[i], `${name}(${x})`).toBe(Number(y))
          else expect(Math.abs((got[i]! - y) / ulp(y) - off), `${name}(${x})`).toBeLessThanOrEqual(bound)
        })
      })
      test(`${name} of zeros, infinities and NaN`, () => {
        const xs = [0, -0, Infinity, -Infinity, NaN, 5e-324, -5e-324]
        expect(values(name as keyof typeof FUNCTIONS, xs, relaxed)).toEqual(xs.map(f))
      })
    }

    test('pow is within 2 ulp', () => {
      const rows = recorded.pow
      expect(rows.length).toBeGreaterThan(300)
      const got = powers(
        rows.map(([a, b]) => [a, b]),
        relaxed,
      )
      rows.forEach(([a, b, y, off], i) => {
        if (y === 0) expect(Math.abs(got[i]!), `${a} to ${b}`).toBe(0)
        else expect(Math.abs((got[i]! - y) / ulp(y) - off), `${a} to ${b}`).toBeLessThanOrEqual(2)
      })
    })
    test('pow of special values, and of whole numbers whose powers are exact', () => {
      const pairs = SPECIAL.flatMap((a) => SPECIAL.map((b) => [a, b] as const))
      // Those that are rounded need only be near; others must be the same.
      const same = (got: number, wanted: number): number => (Math.abs(got - wanted) <= 2 * ulp(wanted) ? wanted : got)
      expect(powers(pairs, relaxed).map((y, i) => same(y, power(...pairs[i]!)))).toEqual(pairs.map(([a, b]) => power(a, b)))
      const whole = [2, 3, -5, 7, 10, 12, -1].flatMap((a) => Array.from({ length: 60 }, (_, b) => [a, b] as const))
      const exact = whole.filter(([a, b]) => Math.abs(a ** b) < 2 ** 53)
      expect(powers(exact, relaxed)).toEqual(exact.map(([a, b]) => Number(BigInt(a) ** BigInt(b))))
      // Three elements: a partial vector, whose halves are float64.
      for (const some of [exact.slice(0, 3), exact.slice(20, 41)])
        expect(powers(some, relaxed, 'float32')).toEqual(some.map(([a, b]) => Math.fround(a ** b)))
      const single = SPECIAL.flatMap((a) => SPECIAL.map((b) => [Math.fround(a), Math.fround(b)] as const))
      expect(powers(single, relaxed, 'float32')).toEqual(single.map(([a, b]) => Math.fround(power(a, b))))
    })

    test('what is bounded stays within its bounds', () => {
      const xs = Array.from({ length: 8000 }, (_, i) => (i - 4000) / 200)
      for (const name of ['tanh', 'erf', 'sigmoid', 'sin', 'cos'] as const) {
        expect(Math.max(...values(name, xs, relaxed).map(Math.abs)), name).toBeLessThanOrEqual(1)
      }
    })
  })
}
