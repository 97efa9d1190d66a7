/** Grad modes in the seed's three forms, and what happens to one that crosses an await. */
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'

const { enableGrad, inferenceMode, isGradEnabled, noGrad, setGradEnabled } = torch
const leaf = (): torch.Tensor => torch.tensor(10, { requiresGrad: true, dtype: 'float64' })

describe('the three forms', () => {
  test('a block', () => {
    const y = noGrad(() => leaf().pow(2).add(20))
    expect([y.requiresGrad, y.gradFn, y.isLeaf, y.item()]).toEqual([false, null, true, 120])
    expect(isGradEnabled()).toBe(true)
    expect(() =>
      noGrad(() => {
        throw new RangeError('mine')
      }),
    ).toThrow(RangeError)
    expect(isGradEnabled()).toBe(true)
    noGrad(() => enableGrad(() => expect(leaf().mul(2).requiresGrad).toBe(true)))
  })

  test('a wrapped function, and a method decorator', () => {
    const f = noGrad.wrap((x: torch.Tensor) => x.pow(2).add(20))
    expect(f(leaf()).requiresGrad).toBe(false)
    class Model {
      scale = 2
      predict(x: torch.Tensor): torch.Tensor {
        return x.mul(this.scale)
      }
    }
    // What a standard method decorator does.
    Model.prototype.predict = noGrad.wrap(Model.prototype.predict, { kind: 'method', name: 'predict' } as ClassMethodDecoratorContext)
    const y = new Model().predict(leaf())
    expect([y.requiresGrad, y.item()]).toEqual([false, 20])
  })

  test('a switch that acts at once and restores', () => {
    const guard = setGradEnabled(false)
    expect(leaf().pow(2).add(20).requiresGrad).toBe(false)
    guard.restore()
    expect(leaf().pow(2).requiresGrad).toBe(true)
  })

  test('enter() covers the rest of a block', () => {
    const guard = noGrad.enter()
    expect(leaf().mul(2).requiresGrad).toBe(false)
    guard[Symbol.dispose]()
    guard[Symbol.dispose]()
    expect(isGradEnabled()).toBe(true)
  })
})

describe('modes and time', () => {
  test('async functions are refused, the mode is restored', async () => {
    expect(() => noGrad(async () => 1)).toThrow(/can't cross an await/)
    expect(isGradEnabled()).toBe(true)
    await Promise.resolve()
  })

  test('an enter() left open across an await is closed, and the next op throws', async () => {
    noGrad.enter()
    await Promise.resolve()
    expect(isGradEnabled()).toBe(true)
    expect(() => leaf().mul(2)).toThrow(/still open when the current job ended/)
    expect(leaf().mul(2).requiresGrad).toBe(true)
  })

  test('generators: the mode holds while they run, not between', () => {
    const seen: boolean[] = []
    const g = noGrad(function* (): Generator<number, string, number> {
      seen.push(isGradEnabled())
      const got = yield 1
      seen.push(isGradEnabled())
      return `got ${got}`
    })
    expect(g.next().value).toBe(1)
    expect(isGradEnabled()).toBe(true)
    expect(g.next(5)).toEqual({ done: true, value: 'got 5' })
    expect(seen).toEqual([false, false])
  })
})

test('requiresGrad is kept by in-place changes under noGrad, and factories still make leaves', () => {
  const x = leaf()
  noGrad(() => x.add_(1))
  expect([x.requiresGrad, x.isLeaf, x._version]).toEqual([true, true, 1])
  expect(noGrad(() => leaf()).requiresGrad).toBe(true)
  expect(inferenceMode(() => leaf().mul(2)).requiresGrad).toBe(false)
})

describe('requiresGrad', () => {
  test('only floats; non-leaves cannot be switched off', () => {
    expect(() => torch.tensor([1], { dtype: 'int32', requiresGrad: true })).toThrow(/Only Tensors of floating point/)
    expect(() => torch.tensor([1], { dtype: 'int32' }).requiresGrad_()).toThrow(
      /only Tensors of floating point dtype can require gradients/,
    )
    const h = leaf().mul(2)
    expect(() => {
      h.requiresGrad = false
    }).toThrow(/you can only change requires_grad flags of leaf variables/)
    h.requiresGrad = true
    expect(h.isLeaf).toBe(false)
    expect(() => {
      ;(leaf() as { requiresGrad: unknown }).requiresGrad = 1
    }).toThrow(/must be a bool/)
  })
})

describe('fuse', () => {
  test('one node, right values and derivatives of two orders', () => {
    const f = torch.fuse((x, y) => x.mul(y).tanh().where(x.gt(0), x.exp()))
    const plain = (x: torch.Tensor, y: torch.Tensor): torch.Tensor => x.mul(y).tanh().where(x.gt(0), x.exp())
    const x = torch.tensor([0.5, -1, 2], { dtype: 'float64', requiresGrad: true })
    const y = torch.tensor([1.5, 0.3, -0.7], { dtype: 'float64', requiresGrad: true })
    const z = f(x, y)
    expect(z.gradFn!.nextFunctions.length).toBe(2)
    const check = (a: torch.Tensor, b: torch.Tensor): void =>
      a
        .sub(b)
        .abs()
        .toTypedArray()
        .forEach((d) => expect(d).toBeLessThan(1e-14))
    check(z, plain(x, y))
    const one = torch.autograd.grad(z.sum(), [x, y], { createGraph: true })
    const two = torch.autograd.grad(plain(x, y).sum(), [x, y], { createGraph: true })
    one.forEach((g, i) => check(g, two[i]!))
    const fused = torch.autograd.grad(f(x, y).sum(), [x, y])
    fused.forEach((g, i) => check(g, two[i]!))
    check(torch.autograd.grad(one[0]!.sum(), x)[0]!, torch.autograd.grad(two[0]!.sum(), x)[0]!)
    check(torch.func.jvp((a: torch.Tensor) => f(a, y), [x.detach()], [y.detach()])[1].detach(), two[0]!.mul(y).detach())
  })
})
