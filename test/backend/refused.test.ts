/** Where WebAssembly may not be compiled, as under a content security policy: the reference backend takes over with one warning. */
import { expect, test, vi } from 'vitest'
import { getBackend, setBackend, tensor } from '../../src/index.ts'

test('one warning, right results, and no choice of wasm', () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
  class Refused {
    constructor() {
      throw new WebAssembly.CompileError('Wasm code generation disallowed by embedder')
    }
  }
  vi.spyOn(WebAssembly, 'Module').mockImplementation(Refused as never)
  const x = tensor([1, 2], { requiresGrad: true })
  x.mul(x).sum().backward()
  expect(x.grad!.tolist()).toEqual([2, 4])
  expect(getBackend()).toBe('reference')
  expect(warn).toHaveBeenCalledTimes(1)
  expect(warn.mock.calls[0]![0]).toContain('WebAssembly')
  expect(() => setBackend('wasm')).toThrow('WebAssembly SIMD is not available here')
})
