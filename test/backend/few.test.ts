/** Up to 8 elements are filled and copied by a loop, more by kernels: the same results, and nothing beside them touched. */
import { expect, test } from 'vitest'
import { arange, type DType, full, zeros } from '../../src/index.ts'

const types: DType[] = ['float64', 'float32', 'int32', 'uint8', 'bool']
const counts = [0, 1, 2, 7, 8, 9, 10]

test.each(types)('%s: fill_ and copy_ into the middle', (dtype) => {
  const value = dtype === 'bool' ? true : dtype.startsWith('float') ? -0.1 : 200
  const kept = dtype === 'float32' ? Math.fround(-0.1) : value
  const nothing = dtype === 'bool' ? false : 0
  for (const n of counts) {
    const expected = [nothing, nothing, nothing, ...Array.from({ length: n }, () => kept), nothing, nothing]
    const filled = zeros([n + 5], { dtype })
    filled.narrow(0, 3, n).fill_(value)
    expect(filled.tolist()).toEqual(expected)
    const source = arange(n + 1).to(dtype)
    const copied = zeros([n + 5], { dtype })
    copied.narrow(0, 3, n).copy_(source.narrow(0, 1, n))
    expect(copied.tolist()).toEqual([nothing, nothing, nothing, ...(source.tolist() as unknown[]).slice(1), nothing, nothing])
  }
})

test('special values', () => {
  for (const dtype of ['float32', 'float64'] as const) {
    for (const n of [1, 12]) {
      for (const v of [-0, Infinity, -Infinity, NaN, 1e300, 5e-324]) {
        const rounded = dtype === 'float32' ? Math.fround(v) : v
        expect(full([n], v, { dtype }).clone().tolist()).toEqual(new Array(n).fill(rounded))
      }
    }
  }
})
