/** Properties of derivatives, held on random programs of operations: linear in what comes in, the same in both directions, symmetric. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'
import { holds } from './model.ts'

type Tensor = torch.Tensor

const { func } = torch

/** Every value of a program is a 3×3 matrix with elements of moderate size. */
const N = 3

/** What can happen to earlier values x and y. Where results would grow they are squashed. */
const operations: Readonly<Record<string, (x: Tensor, y: Tensor) => Tensor>> = {
  add: (x, y) => x.add(y).mul(0.5),
  sub: (x, y) => x.sub(y).mul(0.5),
  mul: (x, y) => x.mul(y),
  div: (x, y) => x.div(y.square().add(1)),
  matmul: (x, y) => x.matmul(y).mul(1 / N),
  sin: (x) => x.sin(),
  tanh: (x) => x.tanh(),
  exp: (x) => x.tanh().exp().mul(0.3),
  log: (x) => x.square().add(1).log(),
  sigmoid: (x) => x.sigmoid(),
  // At an exponent of exactly 0 PyTorch's rule for the base, and so ours, loses its own derivative.
  pow: (x, y) => x.square().add(0.5).pow(y.tanh().add(1.5)),
  atan2: (x, y) => x.atan2(y.square().add(0.5)),
  rows: (x, y) => x.sub(y.mean({ dim: 1, keepdim: true })),
  columns: (x, y) => x.mul(y.sum(0).mul(1 / N)),
  softmax: (x) => x.softmax(1),
  logsumexp: (x) => x.logsumexp({ dim: 0, keepdim: true }).sub(x),
  cumsum: (x) => x.cumsum(0).mul(1 / N),
  prod: (x) => x.add(x.prod({ dim: 1, keepdim: true })).mul(0.5),
  variance: (x) => x.mul(x.var({ dim: 0, keepdim: true })),
  transpose: (x) => x.t().neg(),
  shuffle: (x) => x.get([2, 0, 1]),
  rolled: (x, y) => torch.cat([x.narrow(0, 1, 2), y.narrow(0, 0, 1)]),
  diagonal: (x, y) => x.add(y.diagonal()),
  chosen: (x, y) => torch.where(x.detach().gt(y.detach()), x, y.mul(2)).mul(0.5),
  gathered: (x) =>
    x.gather(
      1,
      torch.tensor(
        [
          [0, 0, 2],
          [1, 0, 2],
          [2, 2, 2],
        ],
        { dtype: 'int32' },
      ),
    ),
  overwritten: (x, y) => {
    const z = x.clone()
    z.select(0, 1).copy_(y.select(1, 2))
    return z.mul_(y)
  },
}
const names = Object.keys(operations)

interface Program {
  readonly steps: readonly { readonly name: string; readonly x: number; readonly y: number }[]
}

/** Steps take any earlier values: two inputs are there from the start. */
const programs: fc.Arbitrary<Program> = fc
  .array(fc.record({ name: fc.constantFrom(...names), x: fc.nat(9), y: fc.nat(9) }), { minLength: 1, maxLength: 8 })
  .map((steps) => ({ steps }))
/** Programs without in-place steps, for what runs under transforms. */
const pure = programs.filter(({ steps }) => steps.every((s) => s.name !== 'overwritten'))

function run({ steps }: Program, a: Tensor, b: Tensor): Tensor {
  const values = [a, b]
  for (const { name, x, y } of steps) values.push(operations[name]!(values.at(-1 - (x % values.length))!, values[y % values.length]!))
  // Each value counts, so that every step has a gradient.
  return values.slice(2).reduce((sum, v) => sum.add(v))
}

const matrix = fc
  .array(fc.integer({ min: -150, max: 150 }), { minLength: N * N, maxLength: N * N })
  .map((list) => list.map((v, i) => v / 100 + i / 1000))
const build = (list: readonly number[]): Tensor => torch.tensor(list, { dtype: 'float64' }).reshape([N, N])

const dot = (a: readonly Tensor[], b: readonly Tensor[]): number => a.reduce((sum, t, i) => sum + t.mul(b[i]!).sum().item(), 0)

function near(a: number, b: number): void {
  expect(Math.abs(a - b)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(a), Math.abs(b)))
}
function nearAll(a: readonly Tensor[], b: readonly Tensor[]): void {
  a.forEach((t, i) => expect(t.sub(b[i]!).abs().max().item()).toBeLessThanOrEqual(1e-9 * Math.max(1, t.abs().max().item())))
}

describe('random programs', () => {
  test('gradients are linear in what comes in', () => {
    holds(
      fc.property(programs, matrix, matrix, matrix, matrix, (program, p, q, u, v) => {
        const [a, b] = [build(p).requiresGrad_(), build(q).requiresGrad_()]
        const y = run(program, a, b)
        const pull = (g: Tensor): Tensor[] => torch.autograd.grad(y, [a, b], { gradOutputs: g, retainGraph: true, materializeGrads: true })
        const both = pull(build(u).mul(2).sub(build(v).mul(3)))
        const [first, second] = [pull(build(u)), pull(build(v))]
        nearAll(
          both,
          first.map((t, i) => t.mul(2).sub(second[i]!.mul(3))),
        )
      }),
      60,
    )
  })

  test('⟨Jᵀg, t⟩ = ⟨g, J·t⟩, and both agree with a difference quotient', () => {
    holds(
      fc.property(pure, matrix, matrix, matrix, matrix, matrix, (program, p, q, g, s, t) => {
        const at: [Tensor, Tensor] = [build(p), build(q)]
        const along = [build(s), build(t)]
        const f = (a: Tensor, b: Tensor): Tensor => run(program, a, b)
        const back = func.vjp(f, ...at)[1](build(g)) as Tensor[]
        const [y, dy] = func.jvp(f, at, along)
        nearAll([y], [f(at[0]!, at[1]!)])
        near(dot(back, along), dot([build(g)], [dy]))
        const h = 1e-6
        const step = (sign: number): Tensor => f(at[0]!.add(along[0]!.mul(sign * h)), at[1]!.add(along[1]!.mul(sign * h)))
        const slope = step(1)
          .sub(step(-1))
          .div(2 * h)
          .sub(dy)
          .abs()
          .max()
          .item()
        // `chosen` jumps where its operands cross: not on the small way of the quotient but for few of all cases.
        if (!program.steps.some((o) => o.name === 'chosen')) expect(slope).toBeLessThan(1e-6 * Math.max(1, dy.abs().max().item()))
      }),
      60,
    )
  })

  test('the Hessian is symmetric: ⟨H·s, t⟩ = ⟨s, H·t⟩', () => {
    holds(
      fc.property(programs, matrix, matrix, matrix, matrix, (program, p, q, s, t) => {
        const [a, b] = [build(p).requiresGrad_(), build(q).requiresGrad_()]
        const first = torch.autograd.grad(run(program, a, b).sum(), [a, b], { createGraph: true, materializeGrads: true })
        const product = (u: Tensor[]): Tensor[] => {
          const live = first.flatMap((x, i) => (x.requiresGrad ? [x.mul(u[i]!).sum()] : []))
          if (live.length === 0) return [a.zerosLike(), b.zerosLike()]
          const sum = live.reduce((x, y) => x.add(y))
          return torch.autograd.grad(sum, [a, b], { retainGraph: true, materializeGrads: true })
        }
        const [us, ut] = [
          [build(s), build(t)],
          [build(t), build(s)],
        ]
        near(dot(product(us), ut), dot(us, product(ut)))
      }),
      40,
    )
  })

  test('a batch is its examples', () => {
    holds(
      fc.property(pure, matrix, matrix, matrix, (program, p, q, r) => {
        const slope = func.grad((a: Tensor, b: Tensor) => run(program, a, b).sum())
        const batch = torch.stack([build(p), build(r)])
        const together = func.vmap(slope, [0, null])(batch, build(q)) as Tensor
        nearAll([together], [torch.stack([slope(build(p), build(q)) as Tensor, slope(build(r), build(q)) as Tensor])])
      }),
      30,
    )
  })
})
