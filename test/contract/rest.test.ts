/** Deprecated names, operations without derivatives, views made again, lists and eigenpairs do what PyTorch was seen to do (recorded by record_rest.py). */
import { expect, test } from 'vitest'
import type { FunctionCtx } from '../../src/autograd/index.ts'
import * as torch from '../../src/index.ts'
import { compare, error, leaf, nums, plain } from './harness.ts'

const { autograd } = torch
type T = torch.Tensor

compare('what is left of the suite', './rest.json', {
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

  view_replay_enabled() {
    const x = torch.ones([2, 2], { dtype: 'float64', requiresGrad: true })
    const { forceOriginalViewTracking: track, isViewReplayEnabled: on } = autograd
    const changed = (): unknown => [x.clone().view([-1]).add_(1).gradFn!.name(), on()]
    const inside = (enabled: boolean): unknown => {
      const tracking = track(enabled)
      const seen = changed()
      tracking.restore()
      return seen
    }
    const out = [inside(false), inside(true), changed()]
    const outer = track(false)
    track(true)
    out.push(changed())
    outer.restore()
    out.push(on())
    track(true)
    out.push(changed())
    track(false)
    return [...out, changed()]
  },

  view_replay_of_chains() {
    const chain = (node: torch.autograd.Node | null): string[] =>
      node === null ? [] : [node.name(), ...chain(node.nextFunctions[0]?.[0] ?? null)]
    const x = torch.arange(6, { dtype: 'float64' }).reshape([2, 3]).requiresGrad_()
    const tracking = autograd.forceOriginalViewTracking(true)
    const a = x.clone()
    const b = a.select(0, 1).narrow(0, 1, 2)
    b.mul_(2)
    const c = a.t()
    const d = a.expand([2, 2, 3])
    a.mul_(3)
    const e = a.get(0)
    a.view([-1]).mul_(2)
    const f = torch.noGrad(() => a.view([-1]))
    const g = autograd.viewFunc(f, torch.ones([2, 3], { dtype: 'float64', requiresGrad: true }))
    const out = [a, b, c, d, e, g].map((t) => chain(t.gradFn))
    b.sum().add(c.get(0).sum().mul(2)).add(d.sum().mul(3)).add(e.sum().mul(4)).backward()
    tracking.restore()
    return [...out, nums(x.grad)]
  },

  inplace_on_view_multi_output_unsafe() {
    const seen = (cut: (t: T) => T[]): unknown => {
      const x = torch.arange(1, 10, { dtype: 'float64' }).reshape([3, 3]).requiresGrad_()
      const whole = x.mul(2)
      const parts = cut(whole)
      const [first, second] = parts
      const node = first!.gradFn!.name()
      first!.mul_(second!)
      first!.sum().backward()
      return [node, parts.map((p) => p.shape), parts.map((p) => p._base !== null), whole._version, first!._version, nums(x.grad)]
    }
    return [
      seen((t) => torch.unsafeSplit(t, 1)),
      seen((t) => torch.unsafeSplit(t, [1, 1, 1])),
      seen((t) => torch.unsafeChunk(t, 3)),
      seen((t) => torch.unsafeSplit(t, 1, 1)),
      [torch.unsafeSplit(torch.ones([5]), 2).length, error(() => torch.unsafeSplit(torch.ones([3]), -1)).slice(-40)],
    ]
  },

  inplace_foreach() {
    const { foreach, foreach_ } = torch
    const a = [leaf(1, 2), leaf(3)]
    const b = autograd.graph.allowMutationOnSavedTensors(() => {
      const made = foreach(torch.exp, a)
      foreach_(torch.add, made, 1)
      made[0]!.sum().add(made[1]!.sum()).backward()
      return made
    })
    const [c, d] = [
      [leaf(1, 2), leaf(3)],
      [leaf(2, 3), leaf(4)],
    ]
    const e = foreach(torch.addcmul, c, d, d, { value: 0.5 })
    e[0]!.sum().add(e[1]!.sum()).backward()
    const p = [plain(1, 2), plain(3)]
    foreach_(torch.mul, p, 2)
    foreach_(torch.sub, p, p, { alpha: 0.25 })
    foreach_(torch.minimum, p, [plain(2), plain(1)])
    return [
      a.map((t) => nums(t.grad)),
      b.map(nums),
      d.map((t) => nums(t.grad)),
      p.map(nums),
      p.map((t) => t._version),
      error(() => foreach(torch.add, p, [torch.ones([2])])),
      error(() => foreach(torch.exp, [])),
    ]
  },

  lobpcg() {
    const seen = (k: number, m: number, largest: boolean, batch?: number): unknown => {
      const i = torch.arange(1, m + 1, { dtype: 'float64' })
      const angles = i.unsqueeze(1).mul(i).mul(1.7).cos()
      const whole = angles.add(angles.t()).add(torch.diag(i))
      const scale = torch.linspace(1, 2, batch ?? 1, { dtype: 'float64' }).reshape([-1, 1, 1])
      const a = (batch === undefined ? whole : whole.mul(scale)).detach().requiresGrad_()
      const [e, u] = torch.linalg.lobpcg(a, { k, largest, tol: 1e-14 })
      e.sum()
        .add(u.square().mul(i.unsqueeze(1)).sum())
        .backward()
      return [e.shape, u.shape, nums(e), nums(u.square()), nums(a.grad)]
    }
    const refused = (options: object): string => error(() => torch.linalg.lobpcg(torch.eye(5), options))
    return [
      seen(1, 6, true),
      seen(2, 6, false),
      seen(3, 9, true),
      seen(2, 7, true, 2),
      refused({ k: 2 }),
      refused({ X: torch.rand([5, 2]) }),
    ]
  },

  construct_standard_basis_for() {
    const seen = (...shapes: number[][]): unknown => {
      const tensors = shapes.map((s, i) => torch.ones(s, { dtype: i % 2 ? 'float32' : 'float64' }))
      return autograd.functional.constructStandardBasisFor(tensors).map((t) => [t.shape, t.dtype, nums(t)])
    }
    return [seen([2]), seen([2, 1], [3]), seen([], [2], [1, 1])]
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
