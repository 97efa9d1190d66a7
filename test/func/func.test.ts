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
