/** The views that `numpy()` returns behave as those of the `ndarray` package. */
import fc from 'fast-check'
import ndarray, { type NdArray } from 'ndarray'
import { expect, test } from 'vitest'
import { tensor, zeros } from '../src/index.ts'
import { View } from '../src/ndarray.ts'

type Ours = NdArray<Float64Array>
const facts = (v: NdArray<Float64Array>): unknown => ({
  shape: v.shape,
  stride: v.stride,
  offset: v.offset,
  size: v.size,
  dimension: v.dimension,
  dtype: v.dtype,
})
const data = Float64Array.from({ length: 4000 }, (_, i) => i)

const anyCase = fc.integer({ min: 1, max: 4 }).chain((rank) =>
  fc.record({
    shape: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: rank, maxLength: rank }),
    offset: fc.integer({ min: 0, max: 9 }),
    small: fc.array(fc.nat(), { minLength: rank, maxLength: rank }),
    steps: fc.array(fc.constantFrom(1, 2, 3, -1, -2), { minLength: rank, maxLength: rank }),
    picked: fc.array(fc.boolean(), { minLength: rank, maxLength: rank }),
    dims: fc.shuffledSubarray(
      Array.from({ length: rank }, (_, i) => i),
      { minLength: rank, maxLength: rank },
    ),
  }),
)

test('every operation gives what the package gives', () => {
  fc.assert(
    fc.property(anyCase, ({ shape, offset, small, steps, picked, dims }) => {
      const theirs = ndarray(data, shape, undefined, offset)
      const ours = new View(data, [...theirs.shape], [...theirs.stride], theirs.offset) as Ours
      const at = small.map((n, d) => n % shape[d]!)
      const pick = at.map((i, d) => (picked[d] === true ? i : null))
      const each = (f: (v: Ours) => Ours): void => expect(facts(f(ours))).toEqual(facts(f(theirs)))
      each((v) => v)
      each((v) => v.lo(...at))
      each((v) => v.hi(...at))
      each((v) => v.step(...steps))
      each((v) => v.transpose(...dims))
      each((v) => v.lo(...at.slice(1)))
      if (pick.includes(null)) each((v) => v.pick(...pick))
      expect(ours.index(...at)).toBe(theirs.index(...at))
      expect(ours.step(...steps).get(...at.map(() => 0))).toBe(theirs.step(...steps).get(...at.map(() => 0)))
      if (new Set(theirs.stride).size === shape.length) expect(ours.order).toEqual(theirs.order)
    }),
    { numRuns: 300 },
  )
})

test('elements are read and written; a fully picked view is one number', () => {
  const x = tensor([
    [1, 2, 3],
    [4, 5, 6],
  ])
  const v = x.numpy()
  expect(v.dtype).toBe('float32')
  expect(v.get(1, 2)).toBe(6)
  v.set(1, 2, 60)
  expect(x.tolist()).toEqual([
    [1, 2, 3],
    [4, 5, 60],
  ])
  expect(v.pick(1, 0).get()).toBe(4)
  expect(v.T.shape).toEqual([3, 2])
  expect(v.T.get(2, 1)).toBe(60)
  v.pick(0, 0).set(-1)
  expect(x.get(0, 0).item()).toBe(-1)
})

test.each([
  ['float32', 'float32'],
  ['float64', 'float64'],
  ['int32', 'int32'],
  ['uint8', 'uint8'],
] as const)('a %s tensor is an ndarray of the same dtype', (dtype, expected) => {
  const v = zeros([2], { dtype }).numpy()
  expect(v.dtype).toBe(expected)
  expect(v.dtype).toBe(ndarray(v.data).dtype)
})
