/** Random fills of the WASM backend give the generator's own numbers, bit for bit, and leave it in the same state. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { DrawKind } from '../../src/backend/backend.ts'
import { type DType, Generator, setBackend, tensor, zeros } from '../../src/index.ts'
import { draw } from '../../src/ops/drawing.ts'

beforeAll(() => setBackend('wasm'))
afterAll(() => setBackend('wasm'))

const SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 511, 512, 513, 1023, 1024, 1025, 5003]
const ARRAYS = { float32: Float32Array, float64: Float64Array, int32: Int32Array, uint8: Uint8Array, bool: Uint8Array }

const cases: [DrawKind, DType, number, number][] = [
  ['uniform', 'float32', 0, 1],
  ['uniform', 'float32', -3, 1000.1],
  ['uniform', 'float32', 1, 1 + 2 ** -23],
  ['uniform', 'float64', 0, 1],
  ['uniform', 'float64', -0.1, 7],
  ['uniform', 'float64', 1, 1 + 2 ** -52],
  ['normal', 'float32', 0, 1],
  ['normal', 'float32', 5, 0.3],
  ['normal', 'float32', 1, 0],
  ['normal', 'float64', 0, 1],
  ['normal', 'float64', -2, 11],
  ...(['float32', 'float64', 'int32', 'uint8', 'bool'] as const).map((dtype): [DrawKind, DType, number, number] => [
    'bernoulli',
    dtype,
    0.3,
    1,
  ]),
  ['bernoulli', 'float32', 0.6, 1 / 0.6],
  ['bernoulli', 'float32', 0, 1],
  ['bernoulli', 'float64', 1, 1],
]

test.each(cases)('%s in %s, %d, %d', (kind, dtype, a, b) => {
  // The last: block numbers that need more than 32 bits, and carry within four blocks.
  for (const block of [0, 2 ** 32 - 2, 2 ** 32 - 130]) {
    for (const n of SIZES) {
      const plain = new Generator(n * 1e12 + 5)
      const ours = new Generator(n * 1e12 + 5)
      for (const g of [plain, ours]) g.setState({ ...g.getState(), block })
      const expected = new ARRAYS[dtype](n)
      plain[kind](expected as Float32Array, a, b)
      // An offset that is not aligned to a vector; the neighbours stay.
      const t = zeros([n + 5], { dtype })
      draw(kind, t.narrow(0, 3, n), ours, a, b)
      const got = t.toTypedArray()
      expect(Buffer.compare(Buffer.from(got.slice(3, n + 3).buffer), Buffer.from(expected.buffer)), `${n} from block ${block}`).toBe(0)
      expect([...got.slice(0, 3), ...got.slice(n + 3)].map(Number)).toEqual([0, 0, 0, 0, 0])
      expect(ours.getState()).toEqual(plain.getState())
    }
  }
})

test('bad parameters draw nothing', () => {
  const g = new Generator(3)
  const x = tensor([1, 2, 3])
  expect(() => draw('uniform', x, g, 2, 1)).toThrow(/expects to return a \[from, to\) range/)
  expect(() => draw('normal', x, g, 0, -1)).toThrow(/expects std >= 0/)
  expect(() => draw('bernoulli', x, g, 2, 1)).toThrow(/expects p to be in \[0, 1\]/)
  expect([x.tolist(), g.getState().block]).toEqual([[1, 2, 3], 0])
})
