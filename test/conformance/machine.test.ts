/** Every operation on the other backend, and that nothing it allocated stays alive. */
import { beforeAll, describe, expect, test } from 'vitest'
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
    backend: {
      applies: () => true,
      broken: (s) => {
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
    },
  })
})

/** How often each call runs. */
const RUNS = 3

describe('storages', () => {
  const c = collector()
  const made = new Map<string, WeakRef<Storage>[]>()
  /** All operations before the first sweep, which looks through everything that lives, however little one call has made. */
  beforeAll(() => {
    const original = { alloc: c.alloc, block: c.block }
    let noted: WeakRef<Storage>[] = []
    const noting =
      (make: (bytes: number) => Storage) =>
      (bytes: number): Storage => {
        const storage = make.call(c, bytes)
        noted.push(new WeakRef(storage))
        return storage
      }
    c.alloc = noting(original.alloc)
    c.block = noting(original.block)
    for (const [op, calls] of samples) {
      made.set(op, (noted = []))
      for (let i = 0; i < RUNS; i++) calls.forEach(attempt)
    }
    Object.assign(c, original)
    // A collection that had begun before spares what was allocated meanwhile.
    for (let i = 0; i < 3; i++) c.sweep()
  })

  test.each([...samples.keys()])('of %s are all free afterwards', (op) => {
    const storages = made.get(op)!
    expect(storages.length).toBeGreaterThan(0)
    // What a call keeps, every run keeps.
    expect(storages.filter((r) => r.deref() !== undefined).length).toBeLessThan(RUNS)
  })
})

function attempt(s: Sample): void {
  try {
    everything(s)
  } catch {
    // What a refused call made must go too.
  }
}
