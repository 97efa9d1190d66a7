/** The default dtype: what integers and booleans become where a result is a float. */
import { afterEach, expect, test } from 'vitest'
import { setDefaultDtype, tensor } from '../src/index.ts'

afterEach(() => {
  setDefaultDtype('float32')
})

test.each([
  ['exp', () => tensor([1, 2], { dtype: 'int32' }).exp()],
  ['div', () => tensor([1, 2], { dtype: 'int32' }).div(tensor([4, 4], { dtype: 'int32' }))],
  ['div by a number', () => tensor([1, 2], { dtype: 'int32' }).div(4)],
  ['mul by a float', () => tensor([true, false]).mul(0.5)],
  ['mean of a list', () => tensor([1.5, 2]).mean()],
])('%s follows the default dtype, also after it ran under another', (_, run) => {
  for (const dtype of ['float32', 'float64', 'float32'] as const) {
    setDefaultDtype(dtype)
    expect(run().dtype).toBe(dtype)
  }
})
