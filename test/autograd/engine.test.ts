/** The engine's rules: order, accumulation, undefined gradients, freeing, depth, several roots. */
import { describe, expect, test } from 'vitest'
import * as autograd from '../../src/autograd/index.ts'
import * as torch from '../../src/index.ts'
import { memoryStats } from '../../src/memory/scope.ts'

const leaf = (v: torch.Nested, dtype: torch.DType = 'float64'): torch.Tensor => torch.tensor(v, { dtype, requiresGrad: true })

describe('backward', () => {
  test('accumulates, and a cleared gradient starts again', () => {
    const x = leaf(3)
    x.mul(x).backward()
    x.mul(x).backward()
    expect(x.grad!.item()).toBe(12)
    x.grad = null
    expect(x.grad).toBeNull()
    x.mul(2).backward()
    expect(x.grad!.item()).toBe(2)
  })

  test('the identity of .grad is kept by accumulation', () => {
    const x = leaf([1, 2])
    x.sum().backward()
    const g = x.grad
    x.sum().backward()
    expect(x.grad).toBe(g)
    expect(g!.tolist()).toEqual([2, 2])
  })

  test('a gradient that was seen is never overwritten by a later pass', () => {
    const x = leaf([1, 2])
    x.sum().backward()
    const seen = x.grad!
    x.grad = null
    x.mul(5).sum().backward()
    expect(seen.tolist()).toEqual([1, 1])
    expect(x.grad!.tolist()).toEqual([5, 5])
  })

  test('one gradient handed to two edges is not mixed up', () => {
    const x = leaf([1, 2])
    const y = leaf([3, 4])
    x.add(y).sum().backward()
    x.grad!.mul_(10)
    expect(y.grad!.tolist()).toEqual([1, 1])
  })

  test('x + x, x · x and diamonds', () => {
    const x = leaf([1, 2, 3])
    const h = x.mul(x)
    h.add(h).add(x).sum().backward()
    expect(x.grad!.tolist()).toEqual([5, 9, 13])
  })

  test('a second pass through a freed node names it; retainGraph allows it', () => {
    const x = leaf(2)
    const y = x.mul(x)
    y.backward({ retainGraph: true })
    y.backward()
    expect(x.grad!.item()).toBe(8)
    expect(() => y.backward()).toThrow(/Trying to backward through the graph a second time.*MulBackward0/s)
  })

  test('nodes that save nothing can be walked twice', () => {
    const x = leaf(2)
    const y = x.add(1)
    y.backward()
    y.backward()
    expect(x.grad!.item()).toBe(2)
  })

  test('roots: several, the same twice, and one that is an ancestor of another', () => {
    const x = leaf(3)
    const a = x.mul(x)
    const b = a.mul(2)
    autograd.backward([a, b, a])
    expect(x.grad!.item()).toBe(24)
  })

  test('inputs restricts, non-leaf inputs accumulate too', () => {
    const x = leaf(3)
    const y = leaf(4)
    const h = x.mul(y)
    h.mul(h).backward({ inputs: [x, h] })
    expect(x.grad!.item()).toBe(96)
    expect(y.grad).toBeNull()
    expect(h.grad!.item()).toBe(24)
    expect(() => h.mul(2).backward({ inputs: [] })).toThrow(/cannot be empty/)
  })

  test('errors name what is wrong', () => {
    expect(() => torch.tensor(1).backward()).toThrow(/element 0 of tensors does not require grad and does not have a grad_fn/)
    expect(() => leaf([1, 2]).mul(2).backward()).toThrow(/grad can be implicitly created only for scalar outputs/)
    expect(() =>
      leaf([1, 2])
        .mul(2)
        .backward(torch.tensor([1, 2, 3], { dtype: 'float64' })),
    ).toThrow(/Mismatch in shape: grad_output\[0\]/)
  })

  test('hooks run newest node first, a leaf right after its node', () => {
    const order: string[] = []
    const note = (name: string) => () => void order.push(name)
    const a = leaf(1)
    const b = leaf(2)
    const s = a.sin()
    const c = b.cos()
    const out = s.mul(c)
    for (const [t, name] of [
      [a, 'a'],
      [b, 'b'],
      [s, 's'],
      [c, 'c'],
      [out, 'out'],
    ] as const)
      t.registerHook(note(name))
    out.backward()
    expect(order).toEqual(['out', 'c', 'b', 's', 'a'])
  })

  test('hooks replace gradients, and can be removed', () => {
    const x = leaf(3)
    const h = x.mul(2)
    const handle = h.registerHook((g) => g.mul(10))
    h.backward({ retainGraph: true })
    expect(x.grad!.item()).toBe(20)
    handle.remove()
    handle.remove()
    x.grad = null
    h.backward()
    expect(x.grad!.item()).toBe(2)
    expect(() => {
      const y = x.mul(2)
      y.registerHook(() => torch.ones([2], { dtype: 'float64' }))
      y.backward()
    }).toThrow(/has changed the size of value/)
  })

  test('a gradient kept by a hook stays what it was', () => {
    const x = leaf([1, 2, 3])
    let kept: torch.Tensor | undefined
    const h = x.mul(2)
    h.registerHook((g) => {
      kept = g
    })
    h.mul(h).sum().backward()
    const before = kept!.tolist()
    for (let i = 0; i < 50; i++) x.mul(i).mul(x).sum().backward()
    expect(kept!.tolist()).toEqual(before)
  })

  test('a pass inside a hook meets nodes of the outer pass', () => {
    const x = leaf(3)
    const h = x.mul(x)
    const y = h.mul(h)
    const found: number[] = []
    let once = true
    h.registerHook(() => {
      if (!once) return
      once = false
      found.push(autograd.grad(y, x, { retainGraph: true })[0]!.item())
    })
    expect(autograd.grad(y, x, { retainGraph: true })[0]!.item()).toBe(108)
    expect(found).toEqual([108])
  })

  test('retainGrad and post-accumulate hooks', () => {
    const x = leaf(3)
    const seen: number[] = []
    x.registerPostAccumulateGradHook((t) => void seen.push(t.grad!.item()))
    const h = x.mul(x)
    h.retainGrad()
    h.mul(2).backward()
    expect(h.grad!.item()).toBe(2)
    expect(seen).toEqual([12])
    expect(() => h.registerPostAccumulateGradHook(() => {})).toThrow(/non-leaf/)
  })

  test('a chain of 1,000,000 operations', { timeout: 60_000 }, () => {
    const x = leaf(1, 'float32')
    let h = x
    for (let i = 0; i < 1_000_000; i++) h = h.add(1e-6)
    h.backward()
    expect(x.grad!.item()).toBe(1)
  })

  test('engine-owned gradients come back to the heap', () => {
    const x = leaf(Array.from({ length: 5000 }, (_, i) => i / 5000))
    const step = (): void => {
      x.tanh().mul(x).exp().sum().backward()
    }
    step()
    const before = memoryStats()
    step()
    const after = memoryStats()
    expect(after.recycled - before.recycled).toBeGreaterThan(3)
  })
})

describe('grad', () => {
  test('gradients of every order', () => {
    const x = leaf(2)
    let y = x.pow(5)
    for (const expected of [80, 160, 240, 240, 120]) {
      ;[y] = autograd.grad(y, x, { createGraph: true }) as [torch.Tensor]
      expect(y.item()).toBeCloseTo(expected, 9)
    }
    expect(x.grad).toBeNull()
  })

  test('unused inputs: named, allowed, or materialised', () => {
    const x = leaf(1)
    const z = leaf([[1, 2]])
    const y = x.mul(2)
    expect(() => autograd.grad(y, [x, z])).toThrow(/appears to not have been used in the graph.*input 1 \(shape \[1, 2\], a leaf\)/s)
    expect(autograd.grad(y, [x, z], { allowUnused: true, retainGraph: true })[1]).toBeNull()
    expect(autograd.grad(y, [x, z], { materializeGrads: true })[1]!.tolist()).toEqual([[0, 0]])
    expect(() => autograd.grad(y, [], {})).toThrow(/non-empty inputs/)
  })

  test('non-leaf inputs, and the same input twice', () => {
    const x = leaf(3)
    const h = x.mul(x)
    const got = autograd.grad(h.mul(h), [h, x, h])
    expect(got.map((g) => g.item())).toEqual([18, 108, 18])
  })

  test('batched gradients equal one pass per row', () => {
    const x = leaf([1, 2, 3])
    const y = x.mul(x).sin()
    const rows = torch.tensor(
      [
        [1, 0, 0],
        [0, 1, 0],
        [1, 1, 1],
      ],
      { dtype: 'float64' },
    )
    const [all] = autograd.grad(y, x, { gradOutputs: rows, isGradsBatched: true, retainGraph: true }) as [torch.Tensor]
    for (let i = 0; i < 3; i++) {
      const [one] = autograd.grad(y, x, { gradOutputs: rows.select(0, i), retainGraph: true }) as [torch.Tensor]
      expect(all.select(0, i).tolist()).toEqual(one.tolist())
    }
    expect(all.requiresGrad).toBe(false)
  })
})
