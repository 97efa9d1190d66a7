/** Deprecated names and operations without derivatives do what PyTorch was seen to do (recorded by record_rest.py). */
import { expect, test } from 'vitest'
import type { FunctionCtx } from '../../src/autograd/index.ts'
import * as torch from '../../src/index.ts'
import { compare, error, leaf, nums, plain } from './harness.ts'

const { autograd } = torch
type T = torch.Tensor

compare('Functions and derivatives', './rest.json', {
  saved_variables_deprecated() {
    class Add extends autograd.Function {
      static forward(ctx: FunctionCtx, a: T, b: T): T {
        ctx.saveForBackward(a, b)
        return a.add(b)
      }
      static backward(ctx: FunctionCtx<object, [T, T]>, g: T): [T, T] {
        const [a, b] = ctx.savedVariables
        return [g.mul(b), g.mul(a)]
      }
    }
    const [a, b] = [leaf(1, 2), leaf(3, 4)]
    const kinds: string[] = []
    torch.setWarningHandler((text, category) => {
      if (text.includes('is deprecated; use')) kinds.push(category)
    })
    Add.apply(a, b).sum().backward()
    return [kinds, nums(a.grad), nums(b.grad)]
  },

  not_implemented_grad() {
    const seen = (fn: (x: T) => T | T[]): unknown => {
      const x = leaf(1, 2, 2)
      const y = fn(x) as T
      const text = error(() => y.sum().mul(0).add(x.sum()).backward())
      return [y.requiresGrad, y.gradFn!.name(), text.includes('derivative for') && text.includes('is not implemented'), nums(x.grad)]
    }
    const before = (): unknown => {
      const y = leaf(1, 2).mul(2)
      const z = torch.heaviside(y, y)
      return nums(autograd.grad(z.add(y).sum(), z)[0])
    }
    const all = torch.unique(leaf(1, 2, 2), { returnInverse: true, returnCounts: true }) as T[]
    return [
      seen((x) => torch.heaviside(x, x)),
      seen((x) => torch.heaviside(plain(0, 0, 0), x)),
      seen((x) => torch.unique(x)),
      seen((x) => torch.unique(x, { dim: 0 })),
      seen((x) => torch.uniqueConsecutive(x)),
      seen((x) => torch.bincount(torch.tensor([0, 1, 1], { dtype: 'int32' }), { weights: x })),
      all.map((t) => t.requiresGrad),
      before(),
    ]
  },
})

test('what has no derivative refuses in every kind of differentiation, and names itself', () => {
  const x = leaf(1, 2)
  const heaviside = (t: T): T => torch.heaviside(t, t)
  const refusal = /^the derivative for 'heaviside' is not implemented/
  expect(() => autograd.grad(heaviside(x).sum(), x, { createGraph: true })).toThrow(refusal)
  expect(() => torch.func.grad((t: T) => heaviside(t).sum())(x.detach())).toThrow(refusal)
  expect(() => torch.func.jvp(heaviside, [x.detach()], [plain(1, 1)])).toThrow(refusal)
  expect(() => torch.func.jvp((t: T) => torch.unique(t) as T, [x.detach()], [plain(1, 1)])).toThrow(/^the derivative for 'unique'/)
  expect(() => heaviside(x).sum().backward()).toThrow(torch.UnsupportedError)
  // Its values are there all the same, and what doesn't pass through it is differentiated.
  expect(nums(torch.func.vmap(heaviside)(plain(-1, 3)))).toEqual([0, 1])
  expect(nums(autograd.grad(heaviside(x.detach()).mul(x).sum(), x)[0])).toEqual([1, 1])
})
