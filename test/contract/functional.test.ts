/** autograd.functional does what PyTorch does, case by case, as record_functional.py recorded it. */
import { describe, expect, expectTypeOf, test } from 'vitest'
import * as torch from '../../src/index.ts'
import { type Cases, compare, error, leaf, number, plain } from './harness.ts'

type Tensor = torch.Tensor
const { autograd, noGrad } = torch
const F = autograd.functional

/** The library called as loosely as Python allows. */
type Loose = (f: unknown, inputs: unknown, ...rest: unknown[]) => unknown
const call = F as unknown as Record<'vjp' | 'jvp' | 'vhp' | 'hvp' | 'jacobian' | 'hessian', Loose>
const { vjp, jvp, vhp, hvp, jacobian, hessian } = call

const ramp = (...shape: number[]): Tensor => {
  const n = shape.reduce((a, b) => a * b, 1)
  return plain(...Array.from({ length: n }, (_, i) => (i + 1) / 4)).reshape(shape)
}

/** Values, shapes and whether results are differentiable, in the nesting of the result. */
function facts(x: unknown): unknown {
  if (Array.isArray(x)) return x.map(facts)
  const t = x as Tensor
  return { value: t.detach().tolist(), shape: [...t.shape], requiresGrad: t.requiresGrad, dtype: t.dtype }
}

const rows = (x: Tensor): Tensor => x.exp().sum(1)
const cubes = (x: Tensor): Tensor => x.pow(3).sum()
const both = (x: Tensor, y: Tensor): Tensor => x.mul(2).add(y.pow(2).mul(3))
const pair = (x: Tensor, y: Tensor): Tensor[] => [x.mul(y).sum(), x.pow(2)]
const mixed = (x: Tensor, y: Tensor): Tensor => x.pow(2).mul(y.sin()).sum()
const unused = (x: Tensor, _y: Tensor): Tensor => x.pow(2).sum()
const linear = (x: Tensor): Tensor => x.mul(3).sum()
const constant = (_x: Tensor): Tensor => torch.ones([2], { dtype: 'float64' })
const cube = (x: Tensor): Tensor => x.pow(3)
const twice = (x: Tensor): Tensor[] => [x.sum(), x.sum()]
const [X, Y] = [ramp(2, 2), plain(0.5, -1)]
const make = { createGraph: true }
const strict = { strict: true }
const both_ = { strict: true, createGraph: true }

/** Results, and the gradients of the last of them. */
function differentiated(results: unknown, inputs: Tensor[]): unknown {
  const last = (results as Tensor[]).at(-1)!
  return [facts(results), facts(autograd.grad(last.sum(), inputs))]
}

function hessianProducts(name: 'vhp' | 'hvp'): string[] {
  const f = call[name]
  return [
    error(() => f(cubes, 3, X)),
    error(() => f(() => 3, X, X)),
    error(() => f(cubes, X)),
    error(() => f(cubes, X, plain(1, 2))),
    error(() => f(mixed, [Y, Y], Y)),
    error(() => f(rows, X, X)),
    error(() => f(twice, X, X)),
    error(() => f((x: Tensor) => [x.sum()], X, X)),
    error(() => f(constant, Y, Y, strict)),
    error(() => f(unused, [Y, X], [Y, X], strict)),
    error(() => f(linear, Y, Y, strict)),
    error(() => f((x: Tensor) => x.mul(x).sum(), Y, Y, both_)),
    error(() => f(cubes, Y, Y, both_)),
  ].map(untyped)
}

/** What type a wrong argument has is said in the words of the language. */
const untyped = (text: string): string => text.split(' has type')[0]!

const scalarHessian = (name: 'vhp' | 'hvp') => (): unknown => facts([call[name](cube, number(2)), call[name](cube, plain(2))])
const several = (name: 'vhp' | 'hvp') => (): unknown => facts(call[name](mixed, [plain(1, 2), Y], [plain(1, 2), plain(1, -1)]))
const flat = (name: 'vhp' | 'hvp') => (): unknown => facts([call[name](linear, Y, Y), call[name](unused, [Y, X], [Y, X])])
const quiet =
  (name: keyof typeof call, ...v: Tensor[]) =>
  (): unknown =>
    noGrad(() => [facts(call[name](cubes, X, v[0] ?? null)), facts(call[name](cubes, X, v[0] ?? null, make))])

const WAYS = [{}, { vectorize: true }, { vectorize: true, strategy: 'forward-mode' }]
const everyWay = (f: unknown, inputs: unknown): unknown => WAYS.map((way) => facts(jacobian(f, inputs, way)))
const HWAYS = [{}, { vectorize: true }, { vectorize: true, outerJacobianStrategy: 'forward-mode' }]
const values = (x: unknown): unknown => (Array.isArray(x) ? x.map(values) : (x as Tensor).tolist())
const everyHessian = (f: unknown, inputs: unknown): unknown => [
  ...HWAYS.slice(0, 2).map((way) => facts(hessian(f, inputs, way))),
  values(hessian(f, inputs, HWAYS[2])),
]

const cases: Cases = {
  vjp_output: () => facts(vjp(rows, X, plain(1, 2))),
  vjp_several_inputs: () => facts(vjp(both, [plain(1, 2), Y], plain(1, -1))),
  vjp_several_outputs: () => facts(vjp(pair, [plain(1, 2), Y], [number(2), plain(1, -1)])),
  vjp_scalar: () => facts([vjp(cubes, X), vjp((x: Tensor) => x.sum().view([1]), X), vjp(cubes, X, number(3))]),
  vjp_one_in_a_tuple: () => facts(vjp((x: Tensor) => [x.mul(2)], [Y], [plain(1, 3)])),
  vjp_create_graph() {
    const [x, v] = [leaf(1, 2), leaf(3, 4)]
    return differentiated(vjp(cube, x, v, make), [x, v])
  },
  vjp_create_graph_without_requires_grad: () => facts(vjp(cube, plain(1, 2), plain(3, 4), make)),
  vjp_no_grad: quiet('vjp'),
  vjp_unused: () => facts(vjp(unused, [Y, X])),
  vjp_constant: () => facts(vjp(constant, Y, plain(1, 1))),
  vjp_captured_input_is_a_constant() {
    const x = leaf(2, 3)
    return facts(vjp((t: Tensor) => t.mul(x).sum(), x))
  },
  vjp_no_side_effects() {
    const x = leaf(2, 3)
    vjp(cubes, x, null, make)
    hessian(cubes, x)
    return [x.grad === null, x.requiresGrad, x._version]
  },
  vjp_err_check: () =>
    [
      error(() => vjp(rows, 3, plain(1, 2))),
      error(() => vjp(rows, [X, 3], plain(1, 2))),
      error(() => vjp(() => 3, X)),
      error(() => vjp((x: Tensor) => [x, 3], X)),
      error(() => vjp(rows, X)),
      error(() => vjp(rows, X, plain(1, 2, 3))),
      error(() => vjp(rows, X, [plain(1, 2), plain(1, 2)])),
      error(() => vjp(pair, [Y, Y], plain(1, 2))),
      error(() => vjp(pair, [Y, Y], [plain(1, 2), plain(1, 2)])),
      error(() => vjp(rows, X, 3)),
    ].map(untyped),
  vjp_err_check_strict: () => [
    error(() => vjp(constant, Y, plain(1, 1), strict)),
    error(() => vjp(unused, [Y, X], null, strict)),
    error(() => vjp(linear, Y, null, both_)),
    error(() => vjp(cubes, Y, null, both_)),
  ],
  jvp_output: () => facts(jvp(rows, X, ramp(2, 2))),
  jvp_several_inputs: () => facts(jvp(both, [plain(1, 2), Y], [plain(1, 2), plain(1, -1)])),
  jvp_several_outputs: () => facts(jvp(pair, [plain(1, 2), Y], [plain(1, 2), plain(1, -1)])),
  jvp_scalar: () => facts([jvp((t: Tensor) => t.pow(2), number(3)), jvp((t: Tensor) => t.mul(plain(1, 2)), plain(2))]),
  jvp_create_graph() {
    const [x, v] = [leaf(1, 2), leaf(3, 4)]
    return differentiated(jvp(cube, x, v, make), [x, v])
  },
  jvp_no_grad: quiet('jvp', X),
  jvp_unused: () => facts([jvp(unused, [Y, X], [Y, X]), jvp(constant, Y, Y)]),
  jvp_err_check: () =>
    [
      error(() => jvp(rows, 3, X)),
      error(() => jvp(() => 3, X, X)),
      error(() => jvp(rows, X)),
      error(() => jvp(rows, X, plain(1, 2))),
      error(() => jvp(both, [Y, Y], Y)),
      error(() => jvp(both, [Y, Y], [Y, X])),
      error(() => jvp(rows, X, 3)),
    ].map(untyped),
  jvp_err_check_strict: () => [
    error(() => jvp(constant, Y, Y, strict)),
    error(() => jvp(unused, [Y, X], [Y, X], strict)),
    error(() => jvp(linear, Y, Y, strict)),
    error(() => jvp(linear, Y, Y, both_)),
    error(() => jvp(cubes, Y, Y, strict)),
  ],
  vhp_output: () => facts(vhp(cubes, X, ramp(2, 2))),
  vhp_several_inputs: several('vhp'),
  vhp_scalar: scalarHessian('vhp'),
  vhp_create_graph() {
    const [x, v] = [leaf(1, 2), leaf(3, 4)]
    return differentiated(vhp(cubes, x, v, make), [x, v])
  },
  vhp_no_grad: quiet('vhp', X),
  vhp_linear_and_unused: flat('vhp'),
  hvp_output: () => facts(hvp(cubes, X, ramp(2, 2))),
  hvp_several_inputs: several('hvp'),
  hvp_scalar: scalarHessian('hvp'),
  hvp_create_graph() {
    const [x, v] = [leaf(1, 2), leaf(3, 4)]
    return differentiated(hvp(cubes, x, v, make), [x, v])
  },
  hvp_no_grad: quiet('hvp', X),
  hvp_linear_and_unused: flat('hvp'),
  vhp_err_check: () => hessianProducts('vhp'),
  hvp_err_check: () => hessianProducts('hvp'),
  jacobian_match_vjp_jvp() {
    const f = (x: Tensor): Tensor => x.exp().sum(0).mul(x.select(0, 0))
    const [v, t] = [plain(1, -2), ramp(2, 2)]
    const j = F.jacobian(f, X)
    return facts([F.vjp(f, X, v)[1], torch.einsum('i,ijk->jk', v, j), F.jvp(f, X, t)[1], torch.einsum('ijk,jk->i', j, t)])
  },
  hessian_match_vhp_hvp() {
    const h = F.hessian(cubes, Y)
    return facts([F.vhp(cubes, Y, Y)[1], Y.matmul(h), F.hvp(cubes, Y, Y)[1], h.matmul(Y)])
  },
  jacobian_output: () => everyWay(rows, X),
  jacobian_several_inputs: () => everyWay(both, [plain(1, 2), Y]),
  jacobian_several_outputs: () => everyWay(pair, [plain(1, 2), Y]),
  jacobian_one_in_a_tuple: () => everyWay((x: Tensor) => [x.mul(2)], [Y]),
  jacobian_scalar: () => [everyWay(cubes, X), everyWay((x: Tensor) => x.mul(plain(1, 2)), number(2))],
  jacobian_unrelated_outputs: () => [
    everyWay((x: Tensor, y: Tensor) => [x.mul(2), y.mul(3)], [Y, plain(1, 2, 3)]),
    everyWay((x: Tensor) => [x.mul(2), plain(1, 1)], Y),
  ],
  jacobian_different_shapes: () => everyWay((x: Tensor, y: Tensor) => [x.matmul(y), y.sum()], [X, Y]),
  jacobian_different_dtype: () => everyWay((x: Tensor, y: Tensor) => [x.to('float32').mul(2), x.mul(y).sum()], [Y, torch.tensor([1, 2])]),
  jacobian_create_graph: () =>
    WAYS.slice(0, 2).map((way) => {
      const x = leaf(1, 2)
      const j = F.jacobian(cube, x, { createGraph: true, ...(way as { vectorize?: boolean }) })
      return [facts(j), facts(autograd.grad(j.sum(), x))]
    }),
  jacobian_no_grad: () => noGrad(() => [facts(jacobian(rows, X)), facts(jacobian(rows, X, make))]),
  jacobian_err_check: () =>
    [
      error(() => jacobian(rows, 3)),
      error(() => jacobian(rows, [X, 3])),
      error(() => jacobian(() => 3, X)),
      error(() => jacobian((x: Tensor) => [x, 3], X)),
      error(() => jacobian(rows, X, { strategy: 'sideways' })),
      error(() => jacobian(rows, X, { strategy: 'forward-mode' })),
      error(() => jacobian(rows, X, { strategy: 'forward-mode', createGraph: true })),
      error(() => jacobian(rows, X, { strategy: 'forward-mode', strict: true, vectorize: true })),
    ].map(untyped),
  jacobian_err_check_strict: () => [
    error(() => jacobian(constant, Y, strict)),
    error(() => jacobian(unused, [Y, X], strict)),
    error(() => jacobian((x: Tensor) => x.mul(3), Y, both_)),
    error(() => jacobian((x: Tensor) => x.mul(3), Y, strict)),
  ],
  jacobian_err_check_strict_vectorize: () => [error(() => jacobian(rows, X, { strict: true, vectorize: true }))],
  hessian_output: () => everyHessian(cubes, X),
  hessian_several_inputs: () => everyHessian(mixed, [plain(1, 2), Y]),
  hessian_one_in_a_tuple: () => everyHessian(cubes, [Y]),
  hessian_scalar: () => [everyHessian(cube, number(2)), everyHessian(cube, plain(2))],
  hessian_unrelated_outputs: () => [everyHessian(unused, [Y, plain(1, 2, 3)]), everyHessian(linear, Y)],
  hessian_create_graph: () =>
    HWAYS.slice(0, 2).map((way) => {
      const x = leaf(1, 2)
      const h = F.hessian((t: Tensor) => t.pow(4).sum(), x, { createGraph: true, ...(way as { vectorize?: boolean }) })
      return [facts(h), facts(autograd.grad(h.sum(), x))]
    }),
  hessian_no_grad: () => noGrad(() => [facts(hessian(cubes, X)), facts(hessian(cubes, X, make))]),
  hessian_err_check: () =>
    [
      error(() => hessian(cubes, 3)),
      error(() => hessian(() => 3, X)),
      error(() => hessian(rows, X)),
      error(() => hessian(twice, X)),
      error(() => hessian((x: Tensor) => [x.sum()], X)),
      error(() => hessian(cubes, X, { outerJacobianStrategy: 'sideways' })),
      error(() => hessian(cubes, X, { outerJacobianStrategy: 'forward-mode' })),
    ].map(untyped),
  hessian_err_check_strict: () => [
    error(() => hessian(constant, Y, strict)),
    error(() => hessian(unused, [Y, X], strict)),
    error(() => hessian(linear, Y, strict)),
    error(() => hessian((x: Tensor) => x.mul(x).sum(), Y, both_)),
    error(() => hessian(cubes, Y, strict)),
  ],
  hessian_err_check_strict_vectorize: () => [error(() => hessian(cubes, X, { strict: true, vectorize: true }))],
}

compare('autograd.functional', 'functional.json', cases)

describe('types', () => {
  test('results have the form of inputs and outputs', () => {
    expectTypeOf(F.vjp(cubes, X)).toEqualTypeOf<[Tensor, Tensor]>()
    expectTypeOf(F.vjp(both, [Y, Y], Y)).toEqualTypeOf<[Tensor, [Tensor, Tensor]]>()
    expectTypeOf(F.jacobian(both, [Y, Y])).toEqualTypeOf<[Tensor, Tensor]>()
    expectTypeOf(F.hessian((x, y) => x.mul(y).sum(), [Y, Y])).toEqualTypeOf<[[Tensor, Tensor], [Tensor, Tensor]]>()
    expectTypeOf(F.jacobian((x: Tensor): [Tensor, Tensor] => [x, x], Y)).toEqualTypeOf<[Tensor, Tensor]>()
    // @ts-expect-error one parameter, two inputs
    expect(() => F.vjp((x: Tensor, y: number) => x.mul(y), [Y, Y])).toThrow()
  })

  test('forward mode leaves no graph behind', () => {
    const x = leaf(1, 2)
    expect(F.hessian(cubes, Y, { vectorize: true, outerJacobianStrategy: 'forward-mode' }).requiresGrad).toBe(false)
    expect(F.jacobian(cube, x, { vectorize: true, strategy: 'forward-mode' }).tolist()).toEqual([
      [3, 0],
      [0, 12],
    ])
  })

  test('empty outputs and inputs', () => {
    const none = torch.zeros([0], { dtype: 'float64' })
    for (const way of WAYS as torch.autograd.functional.JacobianOptions[])
      expect(F.jacobian((x: Tensor) => x.mul(2), none, way).shape).toEqual([0, 0])
    expect(F.jacobian((x: Tensor) => x.slice(0, 0, 0), Y).shape).toEqual([0, 2])
  })
})
