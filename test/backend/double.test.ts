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
const recorded = JSON.parse(readFileSync(new URL('double.json', import.meta.url), 'utf8')) as Record<string, Row[]>

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
} satisfies Record<string, [(x: number) => number, number]>

function values(name: keyof typeof FUNCTIONS, xs: readonly number[], relaxed: boolean): number[] {
  memory.f64.set(xs, FROM / 8)
  compileFlat(memory, new Program([input(0)[name]()], ['float64'], ['float64'], 0, 'float64'), 0, relaxed)(xs.length, TO, FROM)
  return [...memory.f64.subarray(TO / 8, TO / 8 + xs.length)]
}

const ulp = (y: number): number => 2 ** (Math.max(-1022, Math.floor(Math.log2(Math.abs(y)))) - 52)

for (const relaxed of modes) {
  describe(relaxed ? 'relaxed' : 'strict', () => {
    for (const [name, [f, bound]] of Object.entries(FUNCTIONS)) {
      test(`${name} is within ${bound} ulp`, () => {
        const rows = recorded[name]!
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

    test('what is bounded stays within its bounds', () => {
      const xs = Array.from({ length: 8000 }, (_, i) => (i - 4000) / 200)
      for (const name of ['tanh', 'erf', 'sigmoid', 'sin', 'cos'] as const) {
        expect(Math.max(...values(name, xs, relaxed).map(Math.abs)), name).toBeLessThanOrEqual(1)
      }
    })
  })
}
