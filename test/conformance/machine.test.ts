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
    torch.setBackend(before)
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

/** How often each call runs. */
const RUNS = 3

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
      for (const s of samples.get(op)!) {
        try {
          everything(s)
        } catch {
          // What a refused call made must go too.
        }
      }
    }
    for (let i = 0; i < RUNS; i++) run()
    expect(made.length).toBeGreaterThan(0)
    // What a call keeps, every run keeps. A collection that had begun before spares what was allocated meanwhile.
    const alive = (): number => made.filter((r) => r.deref() !== undefined).length
    for (let i = 0; i < 3 && (i === 0 || alive() > 0); i++) c.sweep()
    expect(alive()).toBeLessThan(RUNS)
  })
})
