/** In-place operations, views and version counters. */
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'
import { gradcheck, gradgradcheck } from '../../src/testing/index.ts'

const leaf = (v: torch.Nested): torch.Tensor => torch.tensor(v, { dtype: 'float64', requiresGrad: true })

describe('version counters', () => {
  test('are shared by base, views and detach(), fresh for data', () => {
    const x = torch.tensor([1, 2, 3])
    const v = x.narrow(0, 0, 2)
    const d = x.detach()
    expect(x._version).toBe(0)
    v.add_(1)
    expect([x._version, v._version, d._version]).toEqual([1, 1, 1])
    d.mul_(2)
    expect([x._version, x.data._version]).toEqual([2, 0])
    x.data.mul_(2)
    expect(x._version).toBe(2)
    torch.noGrad(() => x.zero_())
    expect(x._version).toBe(3)
  })

  test('a saved input changed in place is refused by name, whoever changed it', () => {
    for (const change of [
      (h: torch.Tensor) => h.add_(1),
      (h: torch.Tensor) => h.detach().add_(1),
      (h: torch.Tensor) => h.narrow(0, 0, 1).add_(1),
      (h: torch.Tensor) => torch.noGrad(() => h.add_(1)),
    ]) {
      const x = leaf([1, 2])
      const h = x.mul(2)
      const y = h.mul(h)
      change(h)
      expect(() => y.sum().backward()).toThrow(
        /modified by an inplace operation: \[torch.DoubleTensor \[2\]\].*is at version 1; expected version 0 instead.*MulBackward0 of mul saved it; add_ changed it/s,
      )
    }
  })

  test('a saved output changed in place is refused; what is not needed is not', () => {
    const x = leaf([1, 2])
    const y = x.exp()
    y.add_(1)
    expect(() => y.sum().backward()).toThrow(/output 0 of Exp,/)
    const z = x.add(1)
    z.mul_(3)
    z.sum().backward()
    expect(x.grad!.tolist()).toEqual([3, 3])
    const c = torch.tensor([5, 6], { dtype: 'float64' })
    const h = leaf([1, 2]).mul(1)
    const w = h.mul(c)
    h.add_(1)
    w.sum().backward()
  })
})

describe('leaves', () => {
  test('are protected before anything is changed', () => {
    const x = leaf([1, 2])
    expect(() => x.add_(1)).toThrow(/a leaf Variable that requires grad is being used in an in-place operation/)
    expect(() => x.narrow(0, 0, 1).zero_()).toThrow(/a view of a leaf Variable that requires grad/)
    expect(x.tolist()).toEqual([1, 2])
    torch.noGrad(() => x.add_(1))
    expect(x.tolist()).toEqual([2, 3])
    expect(x.requiresGrad).toBe(true)
  })

  test('a plain tensor that receives a graph stops being a leaf', () => {
    const a = torch.zeros([2], { dtype: 'float64' })
    const x = leaf([3, 4])
    a.add_(x)
    expect(a.isLeaf).toBe(false)
    a.mul(a).sum().backward()
    expect(x.grad!.tolist()).toEqual([6, 8])
  })
})

describe('gradients through in-place operations', () => {
  test('a rule that reads the overwritten operand gets the old one', () => {
    const x = leaf([0.5, 1])
    const h = x.mul(1)
    h.sin_()
    h.mul_(h)
    h.sum().backward()
    expect(x.grad!.tolist()).toEqual([0.5, 1].map((v) => 2 * Math.sin(v) * Math.cos(v)))
  })

  test('a change through a view reaches base and other views', () => {
    const x = leaf([1, 2, 3, 4])
    const b = x.mul(1)
    const other = b.reshape([2, 2])
    b.narrow(0, 1, 2).mul_(10)
    expect(b.gradFn!.name()).toBe('torch::autograd::CopySlices')
    expect(other.gradFn!.name()).toBe('AsStridedBackward0')
    other.mul(other).sum().backward()
    expect(x.grad!.tolist()).toEqual([2, 400, 600, 8])
  })

  test('a change of the base reaches its views', () => {
    const x = leaf([1, 2, 3])
    const b = x.mul(1)
    const v = b.narrow(0, 0, 2)
    b.mul_(b.detach().clone())
    v.sum().backward()
    expect(x.grad!.tolist()).toEqual([1, 2, 0])
  })

  test('writing a graph into a slice of a plain tensor', () => {
    const base = torch.zeros([3, 2], { dtype: 'float64' })
    const x = leaf([5, 6])
    const early = base.select(0, 1)
    base.select(0, 1).copy_(x)
    expect(base.requiresGrad).toBe(true)
    expect(early.requiresGrad).toBe(true)
    base.mul(2).sum().backward()
    expect(x.grad!.tolist()).toEqual([2, 2])
    x.grad = null
    early.mul(3).sum().backward()
    expect(x.grad!.tolist()).toEqual([3, 3])
  })

  test('broadcasting into a slice sums the gradient', () => {
    const base = torch.zeros([3, 2], { dtype: 'float64' })
    const x = leaf(7)
    base.narrow(0, 0, 2).copy_(x)
    base.sum().backward()
    expect(x.grad!.item()).toBe(4)
  })

  test('second order through a view change', () => {
    const x = leaf([1, 2, 3])
    const b = x.mul(x)
    b.narrow(0, 0, 2).mul_(x.narrow(0, 1, 2))
    const [g] = torch.autograd.grad(b.sum(), x, { createGraph: true })
    expect(g!.tolist()).toEqual([4, 13, 10])
    const [h] = torch.autograd.grad(g!.sum(), x)
    expect(h!.tolist()).toEqual([2 * 2 + 2, 2 + 2 * 3 + 4, 2 + 4])
  })

  test('a permuted base, also when the pass is recorded', () => {
    for (const createGraph of [false, true]) {
      const x = leaf([
        [1, 2, 3],
        [4, 5, 6],
      ])
      const b = x.t().mul(1).t().clone().t()
      b.select(0, 1).mul_(10)
      const w = torch.tensor(
        [
          [1, 2],
          [3, 4],
          [5, 6],
        ],
        { dtype: 'float64' },
      )
      const [g] = torch.autograd.grad(b.mul(w).sum(), x, { createGraph })
      expect(g!.tolist()).toEqual([
        [1, 30, 5],
        [2, 40, 6],
      ])
    }
  })

  test('an operation that saves its output, in place on a view, twice differentiated', () => {
    const x = leaf([0.3, 0.5, 0.7])
    const b = x.mul(1)
    b.narrow(0, 1, 2).exp_()
    const [g] = torch.autograd.grad(b.sum(), x, { createGraph: true })
    expect(g!.tolist()).toEqual([1, Math.exp(0.5), Math.exp(0.7)])
    const [h] = torch.autograd.grad(g!.sum(), x)
    expect(h!.tolist()).toEqual([0, Math.exp(0.5), Math.exp(0.7)])
  })

  test('views made under noGrad refuse tracked changes', () => {
    const x = leaf([1, 2])
    const b = x.mul(1)
    const v = torch.noGrad(() => b.narrow(0, 0, 1))
    expect(() => v.mul_(2)).toThrow(/A view was created in no_grad mode and is being modified inplace with grad mode enabled/)
  })

  test('views whose elements share places follow their base: gradients of shared places add up', () => {
    for (const [view, w] of [
      [(b: torch.Tensor) => b.expand([3, 2, 2]), torch.arange(1, 13, { dtype: 'float64' }).reshape([3, 2, 2])],
      [
        (b: torch.Tensor) => b.t().unfold(0, 1, 1).unfold(1, 1, 1).expand([2, 2, 1, 2]),
        torch.arange(1, 9, { dtype: 'float64' }).reshape([2, 2, 1, 2]),
      ],
      [(b: torch.Tensor) => b.view([4]).unfold(0, 3, 1), torch.arange(1, 7, { dtype: 'float64' }).reshape([2, 3])],
    ] as const) {
      const f = (x: torch.Tensor): torch.Tensor => {
        const b = x.mul(x)
        const v = view(b)
        b.mul_(x)
        return v.pow(2).mul(w)
      }
      const x = leaf([
        [0.5, 1.5],
        [-1, 2],
      ])
      expect(gradcheck(f, x)).toBe(true)
      expect(gradgradcheck(f, x)).toBe(true)
    }
  })

  test('destinations that overlap are refused before anything is changed', () => {
    const x = torch.tensor([1, 2, 3])
    expect(() => x.narrow(0, 0, 2).copy_(x.narrow(0, 1, 2))).toThrow(/refer to a single memory location/)
    expect(() =>
      torch
        .tensor([[1]])
        .expand([2, 2])
        .add_(1),
    ).toThrow(/more than one element/)
    expect(() => x.add_(torch.ones([2, 3]))).toThrow(/doesn't match the broadcast shape/)
    expect(() => torch.tensor([1, 2], { dtype: 'int32' }).add_(0.5)).toThrow(/can't be cast/)
    expect(x.tolist()).toEqual([1, 2, 3])
  })

  test('windows of one storage that have no element in common may be changed by each other', () => {
    const x = torch.arange(9).reshape([3, 3])
    x.select(1, 0).mul_(x.select(1, 1))
    expect(x.select(1, 0).tolist()).toEqual([0, 12, 42])
    // Every pair of small windows, against the elements one by one: refused exactly when some element is in both.
    const windows: [number, number, number, number, number][] = []
    for (const strides of [
      [3, 1],
      [1, 3],
      [4, 2],
      [2, 1],
      [5, 3],
    ] as const)
      for (const m of [1, 2, 3]) for (const offset of [0, 1, 5]) windows.push([m, 2, strides[0], strides[1], offset])
    const places = ([m, n, s, t, o]: (typeof windows)[number]): number[] =>
      Array.from({ length: m * n }, (_, k) => o + Math.floor(k / n) * s + (k % n) * t)
    let [refused, taken] = [0, 0]
    for (const a of windows) {
      const mine = places(a)
      if (new Set(mine).size < mine.length) continue
      for (const b of windows) {
        if (a[0] !== b[0] || (a[2] === b[2] && a[3] === b[3] && a[4] === b[4])) continue
        const y = torch.zeros([24])
        const view = ([m, n, s, t, o]: typeof a): torch.Tensor => y.asStrided([m, n], [s, t], o)
        const change = (): unknown => view(a).copy_(view(b))
        if (places(b).some((k) => mine.includes(k))) {
          expect(change, `${a} by ${b}`).toThrow(/refer to a single memory location/)
          refused++
        } else {
          change()
          taken++
        }
      }
    }
    expect(Math.min(refused, taken)).toBeGreaterThan(100)
  })

  test('detach_ takes a tensor out of the graph, not a view', () => {
    const x = leaf([1, 2])
    const h = x.mul(2)
    h.detach_()
    expect(h.requiresGrad).toBe(false)
    expect(() => x.mul(1).narrow(0, 0, 1).detach_()).toThrow(/Can't detach views in-place/)
  })
})
