/** The random generator: known answers, frozen first numbers, distributions, state. */

import { describe, expect, test } from 'vitest'
import { erf } from '../src/backend/erf.ts'
import { ArgumentError } from '../src/errors.ts'
import { cosEighth, defaultGenerator, Generator, logFraction, manualSeed, philox, sinEighth } from '../src/random.ts'

const fill = <T>(out: T, f: (out: T) => void): T => {
  f(out)
  return out
}
const hex = (words: Int32Array): string[] => Array.from(words, (w) => (w >>> 0).toString(16).padStart(8, '0'))

/** The largest distance between the sample's distribution function and `cdf`, times √n: above 2 once in 1,500 runs. */
function kolmogorov(sample: ArrayLike<number>, cdf: (x: number) => number): number {
  const sorted = Float64Array.from(sample).sort()
  const n = sorted.length
  let most = 0
  for (let i = 0; i < n; i++) {
    const p = cdf(sorted[i]!)
    most = Math.max(most, p - i / n, (i + 1) / n - p)
  }
  return most * Math.sqrt(n)
}

/** Pearson's statistic against equal expectations, as a distance in standard deviations. */
function chiSquare(counts: readonly number[], expected: number): number {
  const freedom = counts.length - 1
  const sum = counts.reduce((a, c) => a + (c - expected) ** 2 / expected, 0)
  return (sum - freedom) / Math.sqrt(2 * freedom)
}

const mean = (a: ArrayLike<number>): number => Array.from(a).reduce((s, x) => s + x, 0) / a.length
const moment = (a: ArrayLike<number>, k: number): number => mean(Array.from(a, (x) => x ** k))
const normalCdf = (x: number): number => 0.5 * (1 + erf(x / Math.SQRT2))

describe('philox4x32-10', () => {
  // Known answers published with Random123.
  test.each([
    ['zeros', [0, 0, 0, 0, 0, 0], ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']],
    ['ones', [-1, -1, -1, -1, -1, -1], ['408f276d', '41c83b0e', 'a20bc7c6', '6d5451fd']],
    ['pi', [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0], ['d16cfe09', '94fdcceb', '5001e420', '24126ea1']],
  ])('known answer: %s', (_, input, answer) => {
    const out = new Int32Array(5)
    const [c0, c1, c2, c3, k0, k1] = input as [number, number, number, number, number, number]
    philox(c0, c1, c2, c3, k0, k1, out, 1)
    expect(hex(out.subarray(1))).toEqual(answer)
  })

  test('agrees with the definition over BigInt', () => {
    const reference = (counter: number[], key: number[]): number[] => {
      let [a, b, c, d] = counter.map(BigInt) as [bigint, bigint, bigint, bigint]
      let [k0, k1] = key.map(BigInt) as [bigint, bigint]
      const mask = 0xffffffffn
      for (let round = 0; round < 10; round++) {
        const p = 0xd2511f53n * a
        const q = 0xcd9e8d57n * c
        ;[a, b, c, d] = [(q >> 32n) ^ b ^ k0, q & mask, (p >> 32n) ^ d ^ k1, p & mask]
        k0 = (k0 + 0x9e3779b9n) & mask
        k1 = (k1 + 0xbb67ae85n) & mask
      }
      return [a, b, c, d].map(Number)
    }
    const inputs = fill(new Int32Array(600), (o) => new Generator(3).integers(o, -2147483648, 2147483648))
    const out = new Int32Array(4)
    for (let i = 0; i < inputs.length; i += 6) {
      const [c0, c1, c2, c3, k0, k1] = Array.from(inputs.subarray(i, i + 6), (w) => w >>> 0) as [
        number,
        number,
        number,
        number,
        number,
        number,
      ]
      philox(c0, c1, c2, c3, k0, k1, out, 0)
      expect(Array.from(out, (w) => w >>> 0)).toEqual(reference([c0, c1, c2, c3], [k0, k1]))
    }
  })
})

describe('own arithmetic', () => {
  const ulps = (got: number, want: number): number => Math.abs(got - want) / (2 ** -52 * 2 ** Math.floor(Math.log2(Math.abs(want))))

  test('logarithm', () => {
    let worst = 0
    for (const v of fill(new Float64Array(20_000), (o) => new Generator(1).uniform(o))) {
      const k = Math.floor(2 ** (v * 53))
      worst = Math.max(worst, ulps(logFraction(k, 53), Math.log(k * 2 ** -53)))
      const near = 2 ** 53 - 1 - Math.floor(2 ** (v * 50))
      worst = Math.max(worst, ulps(logFraction(near, 53), Math.log(near * 2 ** -53)))
    }
    expect(worst).toBeLessThanOrEqual(3)
    expect(logFraction(2 ** 53, 53)).toBe(0)
    expect(logFraction(2 ** 32, 32)).toBe(0)
    for (const bits of [1, 29, 30, 31, 32, 33, 52, 53]) expect(logFraction(1, bits)).toBe(-bits * Math.LN2)
  })
  test('sine and cosine', () => {
    let worst = 0
    for (let i = -20000; i <= 20000; i++) {
      const x = (i / 20000) * (Math.PI / 4)
      if (i !== 0) worst = Math.max(worst, ulps(sinEighth(x), Math.sin(x)))
      worst = Math.max(worst, ulps(cosEighth(x), Math.cos(x)))
    }
    expect(worst).toBeLessThanOrEqual(2)
  })
})

describe('the same seed gives the same numbers for ever', () => {
  test('frozen first numbers of seed 42', () => {
    const first = <T extends Float32Array | Float64Array | Int32Array | Uint8Array>(out: T, f: (g: Generator, out: T) => void): number[] =>
      Array.from(fill(out, (o) => f(new Generator(42), o)))
    expect({
      uniform32: first(new Float32Array(5), (g, o) => g.uniform(o)),
      uniform64: first(new Float64Array(5), (g, o) => g.uniform(o)),
      normal32: first(new Float32Array(5), (g, o) => g.normal(o)),
      normal64: first(new Float64Array(5), (g, o) => g.normal(o)),
      integers: first(new Int32Array(8), (g, o) => g.integers(o, -100, 100)),
      bytes: first(new Uint8Array(8), (g, o) => g.integers(o, 0, 256)),
      bernoulli: first(new Uint8Array(12), (g, o) => g.bernoulli(o, 0.3)),
      permutation: Array.from(new Generator(42).permutation(10)),
    }).toMatchInlineSnapshot(`
      {
        "bernoulli": [
          0,
          0,
          1,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
        ],
        "bytes": [
          156,
          119,
          18,
          87,
          252,
          83,
          131,
          116,
        ],
        "integers": [
          22,
          -7,
          -86,
          -32,
          97,
          -35,
          2,
          -10,
        ],
        "normal32": [
          -0.9701898097991943,
          0.19401895999908447,
          -1.2356207370758057,
          1.9239267110824585,
          -0.07318150997161865,
        ],
        "normal64": [
          0.886497505901441,
          0.4393560694379266,
          -0.15660962291201724,
          -0.013718678830210423,
          -0.4941005126697461,
        ],
        "permutation": [
          2,
          5,
          1,
          7,
          4,
          3,
          9,
          8,
          6,
          0,
        ],
        "uniform32": [
          0.6129598617553711,
          0.4685865044593811,
          0.07323169708251953,
          0.3408614993095398,
          0.9877186417579651,
        ],
        "uniform64": [
          0.6129598801477738,
          0.07323173687503892,
          0.9877186516453577,
          0.513906146990624,
          0.825866830783453,
        ],
      }
    `)
  })

  test('a hash of 100,000 numbers of each kind', () => {
    const hash = (a: Float32Array | Float64Array | Int32Array): string => {
      let h = 0x811c9dc5
      for (const byte of new Uint8Array(a.buffer, a.byteOffset, a.byteLength)) h = Math.imul(h ^ byte, 0x01000193)
      return (h >>> 0).toString(16)
    }
    const g = new Generator(2026)
    expect([
      hash(fill(new Float32Array(100_000), (o) => g.uniform(o, -1, 1))),
      hash(fill(new Float64Array(100_000), (o) => g.uniform(o, -1, 1))),
      hash(fill(new Float32Array(100_000), (o) => g.normal(o, 1, 2))),
      hash(fill(new Float64Array(100_000), (o) => g.normal(o, 1, 2))),
      hash(fill(new Int32Array(100_000), (o) => g.integers(o, 0, 1_000_003))),
      hash(g.permutation(100_000)),
      g.getState(),
    ]).toMatchInlineSnapshot(`
      [
        "d6361961",
        "976d726d",
        "c64e524d",
        "aaa83d16",
        "5523a51",
        "a196a6ad",
        {
          "algorithm": "philox4x32-10",
          "block": 200006,
          "seed": 2026,
        },
      ]
    `)
  })
})

describe('state', () => {
  test('manualSeed starts again, and returns the generator', () => {
    const g = new Generator(1)
    const a = fill(new Float32Array(10), (o) => g.normal(o))
    expect(g.manualSeed(1)).toBe(g)
    expect(fill(new Float32Array(10), (o) => g.normal(o))).toEqual(a)
    expect(fill(new Float32Array(10), (o) => g.normal(o))).not.toEqual(a)
  })
  test('a state goes through JSON and continues the stream', () => {
    const g = new Generator(2)
    g.uniform(new Float32Array(3))
    g.integers(new Int32Array(5), 0, 3)
    const state = JSON.parse(JSON.stringify(g.getState()))
    const expected = fill(new Float64Array(9), (o) => g.normal(o))
    expect(fill(new Float64Array(9), (o) => new Generator().setState(state).normal(o))).toEqual(expected)
  })
  test('what came before of another kind does not matter, only how much', () => {
    const [a, b] = [new Generator(3), new Generator(3)]
    a.uniform(new Float32Array(2))
    b.bernoulli(new Uint8Array(4), 0.5)
    expect(a.getState()).toEqual(b.getState())
  })
  test('block numbers go on beyond 32 bits', () => {
    const at = (block: number): number[] =>
      Array.from(fill(new Float64Array(6), (o) => new Generator(4).setState({ algorithm: 'philox4x32-10', seed: 4, block }).uniform(o)))
    expect(at(2 ** 32 - 1).slice(2, 4)).toEqual(at(2 ** 32).slice(0, 2))
    expect(at(2 ** 32)).not.toEqual(at(0))
  })
  test('seeds differ in all 53 bits and in sign', () => {
    const seeds = [0, 1, 2 ** 32, 2 ** 52, -1, -(2 ** 32), Number.MAX_SAFE_INTEGER]
    const first = seeds.map((s) => fill(new Float64Array(1), (o) => new Generator(s).uniform(o))[0])
    expect(new Set(first).size).toBe(seeds.length)
    expect(new Generator(7).initialSeed).toBe(7)
    expect(() => new Generator(0.5)).toThrow(ArgumentError)
  })
  test('seed() draws a fresh one', () => {
    const g = new Generator()
    const seed = g.seed()
    expect(Number.isSafeInteger(seed)).toBe(true)
    expect(g.initialSeed).toBe(seed)
    expect(g.seed()).not.toBe(seed)
  })
  test('the default generator starts with the seed torch starts with', () => {
    expect(defaultGenerator.initialSeed).toBe(67280421310721)
    expect(manualSeed(5)).toBe(defaultGenerator)
    expect(defaultGenerator.initialSeed).toBe(5)
  })
  test('a foreign state is refused', () => {
    const g = new Generator()
    expect(() => g.setState({ ...g.getState(), block: -1 })).toThrow(ArgumentError)
    expect(() => g.setState({ algorithm: 'mt19937', seed: 0, block: 0 } as never)).toThrow(ArgumentError)
  })
})

describe.each([
  ['float32', (n: number): Float32Array | Float64Array => new Float32Array(n)],
  ['float64', (n: number): Float32Array | Float64Array => new Float64Array(n)],
])('distributions in %s', (name, make) => {
  const n = 200_000

  test('uniform', () => {
    const u = fill(make(n), (o) => new Generator(11).uniform(o))
    expect(Math.min(...u.subarray(0, 50_000))).toBeGreaterThanOrEqual(0)
    expect(u.every((x) => x < 1)).toBe(true)
    expect(kolmogorov(u, (x) => x)).toBeLessThan(2)
    expect(u.every((x) => Number.isInteger(x * (name === 'float32' ? 2 ** 24 : 2 ** 53)))).toBe(true)
  })
  test('uniform over a range, whose end is never reached', () => {
    const u = fill(make(n), (o) => new Generator(12).uniform(o, -3, 5))
    expect(kolmogorov(u, (x) => (x + 3) / 8)).toBeLessThan(2)
    const step = name === 'float32' ? 2 ** -23 : 2 ** -52
    const tight = fill(make(1000), (o) => new Generator(13).uniform(o, 1, 1 + step))
    expect(tight.every((x) => x === 1)).toBe(true)
    expect(fill(make(3), (o) => new Generator(13).uniform(o, 2, 2))).toEqual(make(3).fill(2))
  })
  test('normal', () => {
    const z = fill(make(n), (o) => new Generator(14).normal(o))
    expect(kolmogorov(z, normalCdf)).toBeLessThan(2)
    expect(Math.abs(mean(z))).toBeLessThan(4 / Math.sqrt(n))
    expect(Math.abs(moment(z, 2) - 1)).toBeLessThan(4 * Math.sqrt(2 / n))
    expect(Math.abs(moment(z, 3))).toBeLessThan(4 * Math.sqrt(15 / n))
    expect(Math.abs(moment(z, 4) - 3)).toBeLessThan(4 * Math.sqrt(96 / n))
  })
  test('the two normals of a point do not know each other, nor do neighbours', () => {
    const z = fill(make(n), (o) => new Generator(15).normal(o))
    for (const lag of [1, 2, 3, 4, 1024]) {
      let [product, squares] = [0, 0]
      for (let i = 0; i + lag < n; i++) {
        product += z[i]! * z[i + lag]!
        squares += (z[i]! ** 2 - 1) * (z[i + lag]! ** 2 - 1)
      }
      expect(Math.abs(product) / Math.sqrt(n)).toBeLessThan(4)
      expect(Math.abs(squares) / Math.sqrt(4 * n)).toBeLessThan(4)
    }
    // Every quadrant as often.
    const quadrants = [0, 0, 0, 0]
    for (let i = 0; i < n; i += 2) quadrants[(z[i]! < 0 ? 1 : 0) + (z[i + 1]! < 0 ? 2 : 0)]!++
    expect(chiSquare(quadrants, n / 8)).toBeLessThan(5)
  })
  test('normal with mean and deviation, odd lengths', () => {
    const z = fill(make(100_001), (o) => new Generator(16).normal(o, 10, 0.5))
    expect(kolmogorov(z, (x) => normalCdf((x - 10) / 0.5))).toBeLessThan(2)
    expect(fill(make(3), (o) => new Generator(16).normal(o, 1, 0))).toEqual(make(3).fill(1))
    expect(fill(make(0), (o) => new Generator(16).normal(o))).toEqual(make(0))
  })
})

describe('integers', () => {
  test.each([2, 3, 10, 255, 1000])('0 … %i − 1 are equally likely', (n) => {
    const draws = fill(new Int32Array(200 * n), (o) => new Generator(n).integers(o, 0, n))
    const counts = new Array<number>(n).fill(0)
    for (const d of draws) counts[d]!++
    expect(Math.abs(chiSquare(counts, 200))).toBeLessThan(4)
  })
  test('without modulo bias where it would be large: a range of 3·2³⁰', () => {
    const third = 2 ** 30
    const draws = fill(new Int32Array(90_000), (o) => new Generator(5).integers(o, -1.5 * third, 1.5 * third))
    const counts = [0, 0, 0]
    for (const d of draws) counts[Math.floor((d + 1.5 * third) / third)]!++
    expect(Math.abs(chiSquare(counts, 30_000))).toBeLessThan(4)
  })
  test('all of int32', () => {
    const draws = fill(new Int32Array(20_000), (o) => new Generator(6).integers(o, -2147483648, 2147483648))
    expect(kolmogorov(draws, (x) => (x + 2147483648) / 4294967296)).toBeLessThan(2)
  })
  test('a range of one, and bounds', () => {
    const g = new Generator(7)
    expect(Array.from(fill(new Int32Array(3), (o) => g.integers(o, 5, 6)))).toEqual([5, 5, 5])
    expect(() => g.integers(new Int32Array(1), 5, 5)).toThrow("random_ expects 'from' to be less than 'to', but got from=5 >= to=5")
    expect(() => g.integers(new Int32Array(1), 0, 2147483649)).toThrow('to - 1 is out of bounds for int32')
    expect(() => g.integers(new Uint8Array(1), -1, 3)).toThrow('from is out of bounds for uint8')
    expect(() => g.integers(new Int32Array(1), 0.5, 3)).toThrow(ArgumentError)
  })
})

describe('permutation', () => {
  test('is one', () => {
    const p = new Generator(8).permutation(5000)
    expect(Array.from(p).sort((a, b) => a - b)).toEqual(Array.from({ length: 5000 }, (_, i) => i))
    expect(new Generator(8).permutation(0)).toEqual(new Int32Array(0))
    expect(() => new Generator(8).permutation(-1)).toThrow(ArgumentError)
  })
  test('every order of four is equally likely', () => {
    const g = new Generator(9)
    const counts = new Map<string, number>()
    for (let i = 0; i < 24_000; i++) {
      const key = g.permutation(4).join('')
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    expect(counts.size).toBe(24)
    expect(Math.abs(chiSquare([...counts.values()], 1000))).toBeLessThan(4)
  })
})

describe('bernoulli', () => {
  test('has its mean', () => {
    for (const p of [0.1, 0.5, 0.9]) {
      const b = fill(new Float32Array(100_000), (o) => new Generator(10).bernoulli(o, p))
      expect(b.every((x) => x === 0 || x === 1)).toBe(true)
      expect(Math.abs(mean(b) - p)).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / b.length))
    }
  })
  test('never and always', () => {
    expect(fill(new Uint8Array(1000), (o) => new Generator(1).bernoulli(o, 0))).toEqual(new Uint8Array(1000))
    expect(fill(new Uint8Array(1000), (o) => new Generator(1).bernoulli(o, 1))).toEqual(new Uint8Array(1000).fill(1))
  })
  test('a probability for each element', () => {
    expect(Array.from(fill(new Int32Array(4), (o) => new Generator(1).bernoulli(o, [0, 1, 1, 0])))).toEqual([0, 1, 1, 0])
    expect(() => new Generator(1).bernoulli(new Int32Array(4), [0, 1])).toThrow(ArgumentError)
    expect(() => new Generator(1).bernoulli(new Int32Array(2), [0, 1.5])).toThrow('bernoulli_ expects p to be in [0, 1], but got p=1.5')
  })
})

test('impossible parameters are refused', () => {
  const g = new Generator()
  expect(() => g.uniform(new Float32Array(1), 2, 1)).toThrow('[from, to) range')
  expect(() => g.uniform(new Float32Array(1), Number.NaN, 1)).toThrow(ArgumentError)
  expect(() => g.normal(new Float32Array(1), 0, -1)).toThrow('normal expects std >= 0.0, but found std -1')
})
