/** Function transforms and their nestings. */
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'

const { func } = torch
const t64 = (v: torch.Nested): torch.Tensor => torch.tensor(v, { dtype: 'float64' })
const close = (a: torch.Tensor, b: torch.Nested): void => {
  const x = a.toTypedArray()
  const y = t64(b).toTypedArray()
  expect(a.shape).toEqual(t64(b).shape)
  x.forEach((v, i) => expect(v).toBeCloseTo(y[i]!, 10))
}

describe('grad', () => {
  test('of a function, with its value, for several arguments and for trees', () => {
    close(func.grad((x: torch.Tensor) => x.pow(3).sum())(t64([1, 2])), [3, 12])
    const [g, v] = func.gradAndValue((x: torch.Tensor) => x.pow(3).sum())(t64([1, 2]))
    close(g, [3, 12])
    close(v, 9)
    const [ga, gb] = func.grad((a: torch.Tensor, b: torch.Tensor) => a.mul(b).sum(), [0, 1])(t64([1, 2]), t64([3, 4])) as torch.Tensor[]
    close(ga!, [3, 4])
    close(gb!, [1, 2])
    const tree = func.grad((p: { w: torch.Tensor; b: torch.Tensor[] }) => p.w.mul(p.b[0]!).sum())({ w: t64([1, 2]), b: [t64([5, 6])] })
    close(tree.w, [5, 6])
    close(tree.b[0]!, [1, 2])
  })

  test('results are plain tensors; unrelated inputs give zeros', () => {
    const g = func.grad((x: torch.Tensor) => x.mul(x).sum())(t64([1, 2]))
    expect(g.requiresGrad).toBe(false)
    expect(g.wrap).toBeNull()
    close(func.grad((_x: torch.Tensor) => t64(3))(t64([1, 2])), [0, 0])
    expect(() => func.grad((x: torch.Tensor) => x)(t64([1, 2]))).toThrow(/scalar tensor/)
  })

  test('grad∘grad, three deep', () => {
    const f = (x: torch.Tensor): torch.Tensor => x.sin()
    const d1 = func.grad(f)
    const d2 = func.grad(d1)
    const d3 = func.grad(d2)
    close(d1(t64(0.7)), Math.cos(0.7))
    close(d2(t64(0.7)), -Math.sin(0.7))
    close(d3(t64(0.7)), -Math.cos(0.7))
  })

  test('inner levels treat captured outer values as constants, outer levels see through', () => {
    // d/dx [ x · d/dy (x·y²)|y=3 ] = d/dx 6x² = 12x
    const f = (x: torch.Tensor): torch.Tensor => x.mul(func.grad((y: torch.Tensor) => x.mul(y).mul(y))(t64(3)))
    close(func.grad(f)(t64(2)), 24)
  })

  test('connects to the plain tape outside', () => {
    const w = torch.tensor([2, 3], { dtype: 'float64', requiresGrad: true })
    func
      .grad((x: torch.Tensor) => x.mul(w).mul(x).sum())(t64([1, 4]))
      .sum()
      .backward()
    close(w.grad!, [2, 8])
  })

  test('noGrad inside masks, outside does not', () => {
    close(func.grad((x: torch.Tensor) => x.mul(torch.noGrad(() => x.mul(x))).sum())(t64([2])), [4])
    close(
      torch.noGrad(() => func.grad((x: torch.Tensor) => x.mul(x).sum())(t64([2]))),
      [4],
    )
  })
})

describe('vjp and jvp', () => {
  test('vjp gives a reusable function', () => {
    const [y, pull] = func.vjp((x: torch.Tensor) => x.mul(x), t64([1, 2, 3]))
    close(y, [1, 4, 9])
    close(pull(t64([1, 0, 0]))[0] as torch.Tensor, [2, 0, 0])
    close(pull(t64([1, 1, 1]))[0] as torch.Tensor, [2, 4, 6])
  })

  test('jvp of elementwise, linear, reductions and products', () => {
    const f = (x: torch.Tensor): torch.Tensor => x.tanh().matmul(x.t()).mul(x.sum()).exp()
    const x = t64([
      [0.1, 0.2],
      [0.3, -0.4],
    ])
    const v = t64([
      [1, 2],
      [-1, 0.5],
    ])
    const [, dy] = func.jvp(f, [x], [v])
    const eps = 1e-6
    const numeric = f(x.add(v.mul(eps)))
      .sub(f(x.sub(v.mul(eps))))
      .div(2 * eps)
    dy.sub(numeric)
      .abs()
      .toTypedArray()
      .forEach((d) => expect(d).toBeLessThan(1e-7))
  })

  test('jvp∘grad and grad∘jvp give Hessian products', () => {
    const f = (x: torch.Tensor): torch.Tensor => x.pow(3).sum()
    close(func.jvp(func.grad(f), [t64([1, 2])], [t64([1, 10])])[1], [6, 120])
    close(func.grad((x: torch.Tensor) => func.jvp(f, [x], [t64([1, 1])])[1])(t64([1, 2])), [6, 12])
    close(func.jvp((x: torch.Tensor) => func.jvp((y: torch.Tensor) => y.pow(4), [x], [t64(1)])[1], [t64(2)], [t64(1)])[1], 48)
  })
})

describe('vmap', () => {
  test('per-example functions, in and out dims, unbatched arguments', () => {
    const a = t64([
      [1, 2],
      [3, 4],
      [5, 6],
    ])
    const b = t64([10, 20])
    close(func.vmap((x: torch.Tensor, y: torch.Tensor) => x.mul(y).sum(), [0, null])(a, b), [50, 110, 170])
    close(func.vmap((x: torch.Tensor) => x.mul(2), 1, 1)(a), [
      [2, 4],
      [6, 8],
      [10, 12],
    ])
    close(
      func
        .vmap((x: torch.Tensor) => x.add(b.unsqueeze(0)))(a)
        .sum([1]),
      [
        [11 + 0, 22],
        [13, 24],
        [15, 26],
      ],
    )
  })

  test('equals a loop for views, reductions and products', () => {
    const x = t64([
      [
        [1, 2],
        [3, 4],
      ],
      [
        [5, 6],
        [7, 8],
      ],
      [
        [-1, 0],
        [2, 1],
      ],
    ])
    const fs: ((m: torch.Tensor) => torch.Tensor)[] = [
      (m) => m.t(),
      (m) => m.sum(0),
      (m) => m.sum(),
      (m) => m.reshape([4]),
      (m) => m.select(1, 0),
      (m) => m.matmul(m),
      (m) => m.unsqueeze(1),
      (m) => m.diagonal(),
      (m) => m.narrow(0, 1, 1).expand([3, 2]),
      (m) => m.slice(1, 0, 2, 2),
      (m) => m.clone().contiguous().to('float32'),
      (m) => m.flatten(),
      (m) => m.permute([1, 0]).squeeze(),
      (m) => m.matmul(t64([1, 2])),
      (m) => t64([1, 2]).matmul(m),
      (m) => m.select(0, 0).matmul(m.select(0, 1)),
      (m) => m.sumToSize([1, 2]),
      (m) => m.unfold(0, 1, 1),
    ]
    for (const f of fs) {
      const all = func.vmap(f)(x)
      for (let i = 0; i < 3; i++) expect(all.select(0, i).tolist()).toEqual(f(x.select(0, i)).tolist())
    }
  })

  test('grad∘vmap and vmap∘grad', () => {
    const x = t64([
      [1, 2],
      [3, 4],
    ])
    close(func.vmap(func.grad((v: torch.Tensor) => v.pow(3).sum()))(x), [
      [3, 12],
      [27, 48],
    ])
    close(
      func.grad((m: torch.Tensor) =>
        func
          .vmap((v: torch.Tensor) => v.mul(v).sum())(m)
          .sum(),
      )(x),
      [
        [2, 4],
        [6, 8],
      ],
    )
    const w = t64([
      [0.5, -1],
      [2, 0.3],
    ])
    const per = func.vmap(
      func.grad((p: torch.Tensor, v: torch.Tensor) => p.matmul(v).tanh().sum()),
      [null, 0],
    )(w, x)
    for (let i = 0; i < 2; i++) {
      const p = w.clone().requiresGrad_()
      p.matmul(x.select(0, i)).tanh().sum().backward()
      per
        .select(0, i)
        .sub(p.grad!)
        .abs()
        .toTypedArray()
        .forEach((d) => expect(d).toBeLessThan(1e-14))
    }
  })

  test('refuses values of single examples and leaks', () => {
    expect(() => func.vmap((x: torch.Tensor) => t64(x.item()))(t64([1, 2]))).toThrow(/inside vmap/)
    let leaked: torch.Tensor | undefined
    func.grad((x: torch.Tensor) => {
      leaked = x
      return x.sum()
    })(t64([1]))
    expect(() => leaked!.add(1)).toThrow(/finished grad/)
    expect(() => func.vmap((x: torch.Tensor) => x, 0)(t64(1))).toThrow(/dim 0 of argument 0/)
  })
})

describe('Jacobians and Hessians', () => {
  test('forward equals reverse; the Hessian is right', () => {
    const f = (x: torch.Tensor): torch.Tensor =>
      x
        .mul(x)
        .matmul(
          t64([
            [1, 2],
            [3, 4],
            [5, 6],
          ]),
        )
        .sin()
    const x = t64([0.1, 0.2, 0.3])
    const fwd = func.jacfwd(f)(x)
    const rev = func.jacrev(f)(x)
    expect(fwd.shape).toEqual([2, 3])
    fwd
      .sub(rev)
      .abs()
      .toTypedArray()
      .forEach((d) => expect(d).toBeLessThan(1e-14))
    close(
      func.hessian((v: torch.Tensor) =>
        v
          .pow(3)
          .sum()
          .add(v.select(0, 0).mul(v.select(0, 1))),
      )(t64([1, 2])),
      [
        [6, 1],
        [1, 12],
      ],
    )
  })
})

describe('options', () => {
  type T = torch.Tensor
  const x = t64([1, 2, 3])

  test('what comes beside the value', () => {
    const f = (v: T): [T, { square: T; text: string }] => [v.pow(3).sum(), { square: v.mul(v), text: 'kept' }]
    const [g, beside] = func.grad(f, 0, { hasAux: true })(x)
    close(g, [3, 12, 27])
    close(beside.square, [1, 4, 9])
    expect([beside.text, beside.square.wrap]).toEqual(['kept', null])
    const [g2, [value, again]] = func.gradAndValue(f, 0, { hasAux: true })(x)
    close(g2, [3, 12, 27])
    close(value, 36)
    close(again.square, [1, 4, 9])
    const [y, dy, third] = func.jvp(f, [x], [t64([1, 0, 0])], { hasAux: true })
    close(y, 36)
    close(dy, 3)
    close(third.square, [1, 4, 9])
    const square = (v: T): [T, T] => [v.mul(v), v.sum()]
    for (const jacobian of [func.jacrev, func.jacfwd] as (typeof func.jacrev)[]) {
      const [j, sum] = jacobian(square, 0, { hasAux: true })(x)
      close(j, [
        [2, 0, 0],
        [0, 4, 0],
        [0, 0, 6],
      ])
      close(sum.add(0), 6)
    }
    expect(() => func.grad((v: T) => v.sum() as unknown as [T, T], 0, { hasAux: true })(x)).toThrow(/should be a pair/)
    expect(() => func.grad((v: T) => v.sum(), 0, { hasAuxx: true } as never)(x)).toThrow(/hasAuxx/)
  })

  test('linearize', () => {
    const [y, push] = func.linearize((a: T, b: T) => a.mul(b), x, t64([4, 5, 6]))
    close(y, [4, 10, 18])
    close(push(t64([1, 0, 0]), t64([0, 0, 1])), [4, 0, 3])
  })

  test('Jacobians of several arguments, of trees, by chunks', () => {
    const f = (a: T, b: { w: T }): { p: T; q: T[] } => ({ p: a.mul(b.w), q: [b.w.sum()] })
    const args = [x, { w: t64([4, 5, 6]) }] as const
    for (const jacobian of [func.jacrev, func.jacfwd] as (typeof func.jacrev)[]) {
      const made = jacobian(f, [0, 1])(args[0], args[1]) as { p: [T, { w: T }]; q: [[T, { w: T }]] }
      close(made.p[0], torch.diag(args[1].w).tolist() as number[][])
      close(made.p[1].w, torch.diag(x).tolist() as number[][])
      close(made.q[0][0], [0, 0, 0])
      close(made.q[0][1].w, [1, 1, 1])
    }
    const g = (v: T): T => v.pow(2)
    close(func.jacrev(g, 0, { chunkSize: 2 })(x), func.jacrev(g)(x).tolist() as number[][])
    const blocks = func.hessian((a: T, b: T) => a.mul(b).pow(2).sum(), [0, 1])(t64([1, 2]), t64([3, 4]))
    close(blocks[0]![0]!, [
      [18, 0],
      [0, 32],
    ])
    close(blocks[0]![1]!, [
      [12, 0],
      [0, 32],
    ])
    close(blocks[1]![1]!, [
      [2, 0],
      [0, 8],
    ])
    expect(() => func.jacrev(f, 5)(args[0], args[1])).toThrow(/argnums=5, but only 2/)
  })
})

describe('vmap options', () => {
  type T = torch.Tensor
  const rows = t64([
    [1, 2],
    [3, 4],
    [5, 6],
  ])

  test('dims for parts of an argument; options by name; chunks', () => {
    const f = (p: { w: T; rest: T[] }, v: T): T => p.w.mul(v).sum().add(p.rest[0]!)
    const p = { w: rows, rest: [t64(10)] }
    const inDims = [{ w: 0, rest: [null] }, 0] as const
    close(func.vmap(f, inDims)(p, rows), [15, 35, 71])
    for (const chunkSize of [1, 2, 3, 7]) close(func.vmap(f, { inDims, chunkSize })(p, rows), [15, 35, 71])
    const turned = func.vmap((v: T) => ({ double: v.mul(2), n: 3 }), { outDims: 1, chunkSize: 2 })(rows)
    close(turned.double, [
      [2, 6, 10],
      [4, 8, 12],
    ])
    expect(turned.n).toBe(3)
    expect(() => func.vmap(f, [{ w: 0 }, 0] as never)(p, rows)).toThrow(/not compatible with the structure/)
    expect(() => func.vmap(f, [0, 0, 0])(p, rows)).toThrow(/3 entries for 2 arguments/)
    expect(() => func.vmap(f, [0])(p, rows)).toThrow(/1 entries for 2 arguments/)
    expect(() => func.vmap((v: T) => v, { inDim: 0 } as never)(rows)).toThrow(/inDim/)
    expect(() => func.vmap((v: T) => v, { chunkSize: 0 })(rows)).toThrow(/greater than 0/)
    expect(() => func.vmap((v: T) => v, { randomness: 'any' as never })(rows)).toThrow(/Only allowed values for randomness/)
    expect(() => func.vmap((v: T) => v, [2])(rows)).toThrow(/dim 2 of argument 0/)
  })

  const draws: [string, (v: T) => T][] = [
    ['randn', () => torch.randn(4)],
    ['rand', () => torch.rand([4])],
    ['randint', () => torch.randint(1000000, [4])],
    ['randperm', () => torch.randperm(40)],
    ['randnLike', (v) => torch.randnLike(v)],
    ['dropout', (v) => torch.nn.functional.dropout(v.expand([64]), { p: 0.5 })],
    ['bernoulli of what is not batched', () => torch.bernoulli(torch.full([64], 0.5))],
    ['bernoulli of what is', (v) => torch.bernoulli(v.mul(0).add(0.5).expand([64]))],
    ['multinomial', () => torch.multinomial(torch.ones(1000), 20)],
    ['gumbelSoftmax', (v) => torch.nn.functional.gumbelSoftmax(v.expand([8]))],
  ]
  test.each(draws)('%s is refused, drawn once, or drawn for each', (name, draw) => {
    torch.manualSeed(3)
    const same = torch.ones(5, 1)
    expect(() => func.vmap(draw)(same)).toThrow(/randomness error mode.*'same' or 'different'/)
    const each = func.vmap(draw, { randomness: 'different' })(same)
    const first = each.select(0, 0)
    expect(each.shape[0]).toBe(5)
    expect([1, 2, 3, 4].some((i) => !torch.equal(each.select(0, i), first))).toBe(true)
    if (name === 'bernoulli of what is') {
      expect(() => func.vmap(draw, { randomness: 'same' })(same)).toThrow(/randomness 'same'/)
      return
    }
    const once = func.vmap(draw, { randomness: 'same' })(same)
    for (let i = 1; i < 5; i++) expect(torch.equal(once.select(0, i), once.select(0, 0))).toBe(true)
  })

  test('draws inside two batches: different in the inner one, the same in the outer', () => {
    const inner = (v: T): T => func.vmap((w: T) => w.mul(0).add(torch.randn([])), { randomness: 'different' })(v)
    const made = func.vmap(inner, { randomness: 'same' })(torch.ones(2, 3))
    expect(torch.equal(made.select(0, 0), made.select(0, 1))).toBe(true)
    expect(made.select(0, 0).std().item()).toBeGreaterThan(0)
    const both = func.vmap(inner, { randomness: 'different' })(torch.ones(2, 3))
    expect(torch.equal(both.select(0, 0), both.select(0, 1))).toBe(false)
    expect(() => func.vmap(inner)(torch.ones(2, 3))).toThrow(/error mode/)
  })

  test('writing the same numbers into what is not batched is refused as different ones', () => {
    const t = torch.zeros(3)
    expect(() => func.vmap((v: T) => v.add(t.normal_()), { randomness: 'different' })(torch.ones(2, 3))).toThrow(/inplace randomness/)
    expect(t.tolist()).toEqual([0, 0, 0])
  })
})

describe('modules', () => {
  type T = torch.Tensor
  const { nn } = torch

  test('a module with other tensors, which it forgets afterwards', () => {
    const model = new nn.Sequential(new nn.Linear(2, 3), new nn.Tanh(), new nn.Linear(3, 1))
    const before = [...model.namedParameters()]
    const zeros = Object.fromEntries(before.map(([name, p]) => [name, torch.zerosLike(p)]))
    const x = torch.ones(4, 2)
    expect(func.functionalCall(model, zeros, x).tolist()).toEqual([[0], [0], [0], [0]])
    expect(func.functionalCall(model, { '2.bias': torch.tensor([5]) }, [x]).tolist()).toEqual(
      model.forward(x).sub(before[3]![1]).add(5).tolist(),
    )
    expect([...model.namedParameters()].every(([, p], i) => p === before[i]![1])).toBe(true)
    expect(() => func.functionalCall(model, { '0.wight': x }, x)).toThrow(/Unexpected key\(s\): 0\.wight.*0\.weight/)
    expect(() => func.functionalCall(model, { '2.bias': x }, x)).toThrow(/2\.bias has shape \[1\] in the module, got \[4, 2\]/)
    expect(() => func.functionalCall(model, { '2.bias': torch.ones(1) }, x, { strict: true })).toThrow(/Missing key\(s\): 0\.weight/)
    expect(() => func.functionalCall(model, zeros, torch.ones(4, 5))).toThrow(torch.ShapeError)
    expect([...model.namedParameters()].every(([, p], i) => p === before[i]![1])).toBe(true)
  })

  test('gradients per example, and of tied weights', () => {
    const model = new nn.Linear(3, 1)
    const params = Object.fromEntries(model.namedParameters())
    const loss = (p: torch.func.NamedTensors, x: T): T => func.functionalCall(model, p, x).pow(2).sum()
    const x = torch.randn(5, 3)
    const per = func.vmap(func.grad(loss), { inDims: [null, 0] })(params, x)
    for (let i = 0; i < 5; i++) {
      model.zeroGrad()
      model.forward(x.select(0, i)).pow(2).sum().backward()
      expect(torch.allclose(per['weight']!.select(0, i), model.weight.grad!, { atol: 1e-6 })).toBe(true)
    }
    class Tied extends nn.Module {
      readonly a = new nn.Linear(2, 2, { bias: false })
      readonly b = new nn.Linear(2, 2, { bias: false })
      constructor() {
        super()
        ;(this.b as { weight: T }).weight = this.a.weight
      }
      forward(v: T): T {
        return this.b.forward(this.a.forward(v))
      }
    }
    const eye = { 'a.weight': torch.eye(2).mul(3) }
    expect(func.functionalCall(new Tied(), eye, torch.ones(2)).tolist()).toEqual([9, 9])
    const model2 = new Tied()
    const untied = func.functionalCall(model2, eye, torch.ones(2), { tieWeights: false })
    expect(torch.allclose(untied, model2.b.forward(torch.full([2], 3)))).toBe(true)
  })

  test('an ensemble', () => {
    const models = [1, 2, 3].map(() => new nn.Sequential(new nn.Linear(2, 4), new nn.BatchNorm1d(4)).eval())
    const [params, buffers] = func.stackModuleState(models)
    expect([params['0.weight']!.shape, params['0.weight']!.requiresGrad, params['0.weight']!.isLeaf]).toEqual([[3, 4, 2], true, true])
    const x = torch.randn(5, 2)
    const run = (p: torch.func.NamedTensors, b: torch.func.NamedTensors, v: T): T => func.functionalCall(models[0]!, [p, b], v)
    const y = func.vmap(run, { inDims: [0, 0, null] })(params, buffers, x)
    models.forEach((m, i) => expect(torch.allclose(y.select(0, i), m.forward(x), { atol: 1e-6 })).toBe(true))
    expect(() => func.stackModuleState([])).toThrow(/at least one model/)
    expect(() => func.stackModuleState([models[0]!, new nn.Linear(1, 1)])).toThrow(/same class/)
  })
})
