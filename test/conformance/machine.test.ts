/** Every operation on the other backend, and that nothing it allocated stays alive. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'
import { collector } from '../../src/memory/collector.ts'
import type { Storage } from '../../src/memory/storage.ts'
import { check } from './check.ts'
import { difference, everything } from './laws.ts'
import { type Sample, samples, type Tensor } from './samples.ts'

describe('backends', () => {
  const reference = new Map<Sample, Tensor[] | unknown>()
  beforeAll(() => {
    const before = torch.setBackend('reference')
    for (const s of [...samples.values()].flat()) {
      try {
        reference.set(s, everything(s))
      } catch (e) {
        reference.set(s, e)
      }
    }
    torch.setBackend(before as torch.BackendName)
  })
  check({
    backend: (s) => {
      const expected = reference.get(s)
      if (!Array.isArray(expected)) return `the reference backend throws ${String(expected)}`
      const got = everything(s)
      if (got.length !== expected.length) return `${got.length} results instead of ${expected.length}`
      for (const [i, t] of got.entries()) {
        const bad = difference(`result ${i}`, t, expected[i] as Tensor, t.dtype === 'float32' ? 1e-6 : 1e-13)
        if (bad !== null) return bad
      }
      return null
    },
  })
})

describe('storages', () => {
  const c = collector()
  const made: WeakRef<Storage>[] = []
  const original = { alloc: c.alloc, block: c.block, owned: c.owned }
  const noted =
    (make: (bytes: number) => Storage) =>
    (bytes: number): Storage => {
      const storage = make.call(c, bytes)
      made.push(new WeakRef(storage))
      return storage
    }
  beforeAll(() => {
    c.sweep()
    c.alloc = noted(original.alloc)
    c.block = noted(original.block)
    c.owned = noted(original.owned)
  })
  afterAll(() => {
    Object.assign(c, original)
  })

  test.each([...samples.keys()])('of %s are all free afterwards', (op) => {
    made.length = 0
    const run = (): void => {
      for (const s of samples.get(op)!) everything(s)
    }
    run()
    expect(made.length).toBeGreaterThan(0)
    c.sweep()
    expect(made.filter((r) => r.deref() !== undefined).length).toBe(0)
  })
})
