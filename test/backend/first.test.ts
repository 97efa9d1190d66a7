/** Backends and threads can be chosen before anything that makes tensors is loaded. */
import { expect, test } from 'vitest'
import { getBackend, setBackend } from '../../src/backend/choose.ts'
import { getNumThreads, setNumThreads } from '../../src/threads/threads.ts'

test('threads first, then the backend, then a tensor', async () => {
  setNumThreads(2)
  expect(getNumThreads()).toBe(2)
  expect(setBackend('wasm-strict')).toBe('wasm')
  expect(getBackend()).toBe('wasm-strict')
  const { ones } = await import('../../src/index.ts')
  expect(
    ones([200, 200])
      .matmul(ones([200, 200]))
      .sum()
      .item(),
  ).toBe(200 ** 3)
  setNumThreads(1)
})
