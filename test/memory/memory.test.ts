/** Memory: regions, sweeps, scopes, external storages, and that no sequence of public calls reads released memory. */

import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import * as torch from '../../src/index.ts'
import { Collector, collector } from '../../src/memory/collector.ts'
import { heap } from '../../src/memory/heap.ts'
import { nodeLister } from '../../src/memory/nursery.ts'

const { memoryStats, configureMemory, scope, keep } = torch

describe('collection', () => {
  test('a synchronous loop is swept', () => {
    const before = memoryStats()
    configureMemory({ budget: 4 * 1048576 })
    let y = torch.ones([4096])
    for (let i = 0; i < 4000; i++) y = y.mul(1.0001)
    for (let i = 0; i < 300_000; i++) torch.ones([4]).add(1)
    const after = memoryStats()
    configureMemory({ budget: 256 * 1048576 })
    expect(after.youngSweeps).toBeGreaterThan(before.youngSweeps)
    expect(after.swept - before.swept).toBeGreaterThan(20e6)
    expect(y.select(0, 0).item()).toBeCloseTo(1.0001 ** 4000, 3)
  })

  test('a way to collect is looked for when a look is due; where there is none, what lives already weighs on the heap too', () => {
    const { getBuiltinModule } = process
    const asked: string[] = []
    const made = vi.spyOn(globalThis, 'ArrayBuffer')
    process.getBuiltinModule = ((name: string) => void asked.push(name)) as typeof getBuiltinModule
    try {
      const c = new Collector(heap())
      const kept = Array.from({ length: 8 }, () => c.adopt(c.block(100_000)))
      expect([asked, made.mock.calls]).toEqual([[], []])
      while (kept.length < 30) kept.push(c.adopt(c.block(100_000)))
      expect(asked).toContain('node:vm')
      expect(made.mock.calls).toEqual(kept.map(() => [100_000]))
      for (const storage of kept) c.free(storage, storage.ptr)
    } finally {
      process.getBuiltinModule = getBuiltinModule
      made.mockRestore()
    }
  })

  test('what dies young is found without a full collection, and its blocks are used again soon', () => {
    const a = torch.ones([1 << 18])
    const kept: torch.Tensor[] = []
    collector().sweep()
    const before = memoryStats()
    for (let i = 0; i < 2000; i++) {
      const y = a.mul(i)
      if (i % 100 === 0) kept.push(y)
    }
    const after = memoryStats()
    expect(after.youngSweeps).toBeGreaterThan(before.youngSweeps + 20)
    expect(after.sweeps).toBe(before.sweeps)
    expect(after.peak - before.used).toBeLessThan(80 * 1048576)
    expect(kept.map((y) => y.max().item())).toEqual(kept.map((_, i) => 100 * i))
  })

  test('what lives through young sweeps, and is then dropped, is found by a full one', () => {
    const c = collector()
    c.sweep()
    const { used } = memoryStats()
    let kept: torch.Tensor[] | null = Array.from({ length: 50 }, () => torch.ones([1 << 16]))
    for (let i = 0; i < 4; i++) c.sweepYoung()
    expect(memoryStats().used - used).toBeGreaterThanOrEqual(50 * 4 * 65536)
    expect(kept.every((t) => t.sum().item() === 65536)).toBe(true)
    kept = null
    c.sweepYoung()
    expect(memoryStats().used - used).toBeGreaterThanOrEqual(50 * 4 * 65536)
    const left = Math.min(
      ...[1, 2, 3].map(() => {
        c.sweep()
        return memoryStats().used - used
      }),
    )
    expect(left).toBeLessThan(4 * 65536)
  })

  test('gradients that users look at put off no full sweep', () => {
    configureMemory({ budget: 4 * 1048576 })
    collector().sweep()
    const { sweeps } = memoryStats()
    const x = torch.ones([20_000], { requiresGrad: true })
    const ring: torch.Tensor[] = []
    for (let i = 0; i < 2000; i++) {
      // Lives long enough to count as old, then dies.
      ring[i % 60] = torch.full([4000], i)
      x.mul(2).sum().backward()
      expect(x.grad).not.toBeNull()
      x.grad = null
    }
    const after = memoryStats()
    configureMemory({ budget: 256 * 1048576 })
    expect(after.sweeps).toBeGreaterThan(sweeps)
  })

  test('where a set is not listed whole, nothing counts as young', () => {
    expect(nodeLister((value) => inspect(value, { showHidden: true, maxArrayLength: 100 }))).toBeNull()
    expect(nodeLister(() => '')).toBeNull()
    expect(nodeLister(inspect)).not.toBeNull()
  })

  test('a sweep with hardly any stack left gives nothing back that lives', () => {
    const c = collector()
    c.sweepYoung()
    const kept = Array.from({ length: 300 }, (_, i) => torch.full([2000], i))
    let begun = 0
    let ended = 0
    /** Returns how many calls it is from where the stack ends; sweeps at each of the last ones. */
    const deep = (): number => {
      let rest = 0
      try {
        rest = deep() + 1
        if (rest < 150) {
          begun++
          c.sweepYoung()
          ended++
        }
      } catch (e) {
        if (!(e instanceof RangeError)) throw e
      }
      return rest
    }
    deep()
    const others = Array.from({ length: 300 }, () => torch.full([2000], -1))
    expect(ended).toBeGreaterThan(0)
    expect(begun).toBeGreaterThan(ended)
    expect(kept.map((t) => t.sum().item())).toEqual(kept.map((_, i) => 2000 * i))
    expect(others.every((t) => t.sum().item() === -2000)).toBe(true)
  })

  test('few survivors of many regions pin little', () => {
    collector().sweep()
    configureMemory({ budget: 8 * 1048576 })
    const start = memoryStats().used
    const kept: torch.Tensor[] = []
    for (let step = 0; step < 8000; step++) {
      for (let i = 0; i < 64; i++) {
        const t = torch.full([64], step)
        if (i === 0) kept.push(t)
      }
      // When the budget has them depends on the time they take.
      if (step % 500 === 499) collector().sweep()
    }
    const pinned = memoryStats().used - start
    const { budget } = memoryStats()
    configureMemory({ budget: 256 * 1048576 })
    expect(kept.every((t, i) => t.toTypedArray().every((v) => v === i))).toBe(true)
    // 8,000 × 256 bytes are alive of the 64 times that were made.
    expect(pinned).toBeLessThan(4 * 8000 * 256 + budget)
  })
})

describe('gradients', () => {
  const N = 100_000

  /** Two leaves whose gradient is one and the same, and one with a gradient of its own. */
  function leaves(): torch.Tensor[] {
    return [1, 2, 3].map((v) => torch.full([N], v, { requiresGrad: true }))
  }
  function pass([a, b, c]: torch.Tensor[], factor: number): void {
    a!.add(b!).add(c!.mul(c!)).sum().mul(factor).backward()
  }

  test('a gradient nobody has seen gives its block back when it is cleared, and is right again later', () => {
    const params = leaves()
    const optimizer = new torch.optim.SGD(params, { lr: 0 })
    pass(params, 1)
    optimizer.zeroGrad()
    const cleared = memoryStats().used
    pass(params, 2)
    const full = memoryStats().used
    expect(full - cleared).toBeGreaterThanOrEqual(3 * 4 * N)
    for (let i = 0; i < 5; i++) {
      optimizer.zeroGrad()
      collector().sweep()
      expect(memoryStats().used).toBeLessThanOrEqual(cleared)
      pass(params, 3)
    }
    pass(params, 4)
    expect(params.map((p) => p.grad!.select(0, N - 1).item())).toEqual([7, 7, 42])
  })

  test('and so does one that has just been made', () => {
    const params = leaves()
    const optimizer = new torch.optim.SGD(params, { lr: 1 })
    collector().sweepYoung()
    const { used } = memoryStats()
    const expected = [1, 2, 3]
    for (let i = 1; i <= 4; i++) {
      pass(params, i)
      optimizer.step()
      optimizer.zeroGrad()
      // The passes' results stay until the next sweep; gradients don't add to them.
      expect(memoryStats().used - used).toBeLessThan(i * 4 * 4.5 * N)
      for (const [k, v] of [i, i, 2 * i * expected[2]!].entries()) expected[k]! -= v
    }
    expect(
      params.map((p) =>
        p
          .detach()
          .select(0, N - 1)
          .item(),
      ),
    ).toEqual(expected)
  })

  test('a posthook of the leaf may keep what arrived', () => {
    const x = torch.full([N], 1, { requiresGrad: true })
    const optimizer = new torch.optim.SGD([x], { lr: 0 })
    const kept: torch.Tensor[] = []
    torch.autograd.graph.getGradientEdge(x).node.registerHook((_made, [g]) => void kept.push(g!))
    for (const factor of [2, 3, 4]) {
      optimizer.zeroGrad()
      x.mul(factor).sum().backward()
    }
    optimizer.zeroGrad()
    for (let i = 0; i < 5; i++) torch.full([N], 9)
    expect(kept.map((g) => g.sum().item())).toEqual([2 * N, 3 * N, 4 * N])
  })

  test('one that was seen stays what it was', () => {
    const params = leaves()
    const optimizer = new torch.optim.SGD(params, { lr: 0 })
    pass(params, 1)
    const seen = params.map((p) => p.grad!)
    optimizer.zeroGrad()
    pass(params, 2)
    collector().sweep()
    expect(seen.map((g) => g.sum().item())).toEqual([N, N, 6 * N])
    expect(params.map((p) => p.grad!.sum().item())).toEqual([2 * N, 2 * N, 12 * N])
  })
})

describe('blocks', () => {
  test('take at most a quarter more than asked for, when small; a sixteenth, when large', () => {
    const { heap } = collector()
    for (let bytes = 300; bytes < 2 ** 26; bytes = Math.floor(bytes * 1.07) + 1) {
      const before = heap.used
      const ptr = heap.alloc(bytes)
      const taken = heap.used - before
      heap.release(ptr, bytes)
      expect(taken).toBeGreaterThanOrEqual(bytes)
      expect(taken / bytes).toBeLessThanOrEqual(bytes > 4096 ? 17 / 16 : 1.25)
      expect(heap.used).toBe(before)
    }
  })
})

describe('scope', () => {
  test('releases what was made inside, keeps what is returned or kept', () => {
    let lost: torch.Tensor | undefined
    let saved: torch.Tensor | undefined
    const [a, b] = scope(() => {
      lost = torch.ones([3])
      saved = keep(torch.full([2], 7))
      const big = torch.full([5000], 2)
      return [torch.full([2], 3), big] as const
    })
    for (let i = 0; i < 50; i++) scope(() => void torch.full([3], i))
    expect(a.tolist()).toEqual([3, 3])
    expect(b.select(0, 4999).item()).toBe(2)
    expect(saved!.tolist()).toEqual([7, 7])
    expect(() => lost!.add(1)).toThrow(torch.ReleasedTensorError)
    expect(() => lost!.tolist()).toThrow(/made inside a scope\(\) that has ended/)
  })

  test('a returned graph keeps what it needs', () => {
    const x = torch.tensor([1, 2], { requiresGrad: true })
    const loss = scope(() => x.mul(x).exp().sum())
    for (let i = 0; i < 50; i++) scope(() => void torch.full([64], i))
    loss.backward()
    expect(x.grad!.select(0, 0).item()).toBeCloseTo(2 * Math.E, 4)
  })

  test('gradients made inside live on', () => {
    const x = torch.tensor([1, 2], { requiresGrad: true })
    scope(() => void x.mul(x).sum().backward())
    for (let i = 0; i < 50; i++) scope(() => void torch.full([64], i))
    expect(x.grad!.tolist()).toEqual([2, 4])
  })

  test('nests, ends on errors, works with a guard, refuses async functions and wrong order', async () => {
    const outer = scope(() => {
      const inner = scope(() => torch.full([2], 5))
      for (let i = 0; i < 20; i++) scope(() => void torch.full([2], i))
      return inner
    })
    expect(outer.tolist()).toEqual([5, 5])
    expect(() =>
      scope(() => {
        throw new RangeError('mine')
      }),
    ).toThrow(RangeError)
    const guard = scope()
    const t = torch.ones([2])
    guard.end()
    expect(() => t.sum()).toThrow(torch.ReleasedTensorError)
    const first = scope()
    const second = scope()
    expect(() => first.end()).toThrow(torch.ModeError)
    second.end()
    first.end()
    expect(() => scope(async () => 1)).toThrow(/can't cross an await/)
  })
})

describe('external storages', () => {
  test('numpy() shares memory with the tensor and its views, both ways', () => {
    const x = torch.tensor(
      [
        [1, 2],
        [3, 4],
      ],
      { dtype: 'float64' },
    )
    const v = x.select(0, 1)
    const n = x.numpy()
    n.set(1, 0, 30)
    expect(v.tolist()).toEqual([30, 4])
    v.mul_(2)
    expect(n.get(1, 0)).toBe(60)
    expect(x.matmul(x).tolist()).toEqual([
      [1 + 120, 2 + 16],
      [60 + 480, 120 + 64],
    ])
    expect(x.t().contiguous().sum(0).tolist()).toEqual([3, 68])
  })

  test("numpy() refuses a tensor that requires grad, with torch's text", () => {
    const x = torch.tensor([10, 20], { requiresGrad: true, dtype: 'float64' })
    expect(() => x.numpy()).toThrow("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
    const n = x.detach().numpy()
    n.set(0, 11)
    expect(x.tolist()).toEqual([11, 20])
  })

  test('what was moved out stays out, whatever happens to the block it had', () => {
    const c = collector()
    c.heap.poison = true
    c.sweep()
    const x = torch.full([3], 1).add(1)
    const n = x.numpy()
    const other = x.mul(0.5)
    c.sweep()
    c.heap.poison = false
    n.set(0, 5)
    expect(x.add(0).tolist()).toEqual([5, 2, 2])
    expect(torch.cat([x, other]).tolist()).toEqual([5, 2, 2, 1, 1, 1])
  })

  test('an array outlives its tensor', () => {
    const n = torch.full([1000], 4).numpy()
    for (let i = 0; i < 200; i++) torch.full([1000], i)
    collector().sweep()
    expect(n.get(999)).toBe(4)
  })
})

describe('with a sweep at every allocation and poisoned free blocks', () => {
  beforeAll(() => configureMemory({ stress: true }))
  afterAll(() => configureMemory({ stress: false }))

  test('training, views, in-place changes, second order and scopes read no released memory', { timeout: 60_000 }, () => {
    const w = torch.tensor(
      [
        [0.1, 0.2, 0.3],
        [0.4, 0.5, 0.6],
      ],
      { dtype: 'float64' },
    )
    const run = (): number[] => {
      const p = w.clone().requiresGrad_()
      const x = torch.tensor(
        [
          [1, 2],
          [3, 4],
        ],
        { dtype: 'float64' },
      )
      for (let i = 0; i < 2; i++) {
        const h = x.matmul(p).tanh()
        const part = h.mul(1)
        part.select(0, 0).mul_(2)
        const loss = part.add(h).exp().sum()
        const [g] = torch.autograd.grad(loss, p, { createGraph: true }) as [torch.Tensor]
        g.mul(g).sum().backward()
        torch.noGrad(() => p.sub_(p.grad!.mul(1e-5)))
        p.grad = null
        scope(() => void x.matmul(p.detach()).sum().item())
      }
      return [...p.toTypedArray()]
    }
    const stressed = run()
    configureMemory({ stress: false })
    const plain = run()
    configureMemory({ stress: true })
    expect(stressed).toEqual(plain)
  })
})
