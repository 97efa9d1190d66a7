/** The cases of record_function.py under `func` transforms, with the same names. */
import type * as custom from '../../src/autograd/index.ts'
import * as torch from '../../src/index.ts'
import { BatchedCube, type Ctx, Cube, define, error, leaf, nums, plain, Square, type Tensor, type With } from './functions.ts'

const { autograd, func } = torch
const nothing = { setupContext() {} }

export const transforms: Record<string, () => unknown> = {
  func_grad() {
    const F = define(
      (x: Tensor) => x.pow(3),
      (ctx: With<object>, g: Tensor) => g.mul(3).mul(ctx.savedTensors[0].pow(2)),
      { setupContext: (ctx: Ctx, [x]: [Tensor]) => ctx.saveForBackward(x) },
    )
    const df = func.grad((x: Tensor) => F.apply(x).sum())
    const x = plain(2, 3)
    return { first: nums(df(x)), second: nums(func.grad((x: Tensor) => df(x).sum())(x)) }
  },
  func_without_setup_context: () => ({ error: error(() => func.grad((x: Tensor) => Square.apply(x).sum())(plain(1))) }),
  func_jvp() {
    const [y, t] = func.jvp((x: Tensor) => Cube.apply(x, 2), [plain(1, 2)], [plain(1, 10)])
    return { y: nums(y), t: nums(t) }
  },
  func_jvp_missing() {
    const F = define(
      (x: Tensor) => x.mul(2),
      (_ctx: Ctx, g: Tensor) => g.mul(2),
      nothing,
    )
    return { error: error(() => func.jvp((x: Tensor) => F.apply(x), [plain(1)], [plain(1)])) }
  },
  func_jvp_of_grad() {
    const f = func.grad((x: Tensor) => Cube.apply(x, 2).sum())
    const [y, t] = func.jvp(f, [plain(1, 2)], [plain(1, 10)])
    return { y: nums(y), t: nums(t) }
  },
  func_jvp_wrong_shape() {
    const F = define(
      (x: Tensor) => x.mul(2),
      (_ctx: Ctx, g: Tensor) => g.mul(2),
      { ...nothing, jvp: (_ctx: Ctx, t: Tensor) => t.sum() },
    )
    return { error: error(() => func.jvp((x: Tensor) => F.apply(x), [plain(1, 2)], [plain(1, 2)])) }
  },
  func_jvp_counts() {
    const F = define<[Tensor, Tensor]>(
      (x: Tensor) => [x.mul(2), x.mul(3)],
      (_ctx: Ctx, g: Tensor) => g.mul(2),
      { ...nothing, jvp: (_ctx: Ctx, t: Tensor) => t.mul(2) },
    )
    return { error: error(() => func.jvp((x: Tensor) => F.apply(x), [plain(1, 2)], [plain(1, 2)])) }
  },
  func_jvp_undefined_tangents() {
    const seen: unknown[] = []
    const F = define(
      (a: Tensor) => a.mul(2),
      (_ctx: Ctx, g: Tensor) => [g, null, null],
      {
        ...nothing,
        jvp(_ctx: Ctx, a: Tensor, b: Tensor, c: unknown) {
          seen.push([nums(a), nums(b), c])
          return a
        },
      },
    )
    func.jvp((a: Tensor) => F.apply(a, plain(7), 3), [plain(1)], [plain(1)])
    return { seen }
  },
  func_jvp_non_differentiable_output() {
    const run = (second: (t: Tensor) => Tensor | null): unknown => {
      const F = define<[Tensor, Tensor]>(
        (x: Tensor) => [x.mul(2), x.mul(3)],
        (_ctx: Ctx, g: Tensor) => g,
        {
          setupContext: (ctx: Ctx, _inputs: [Tensor], output: [Tensor, Tensor]) => ctx.markNonDifferentiable(output[1]),
          jvp: (_ctx: Ctx, t: Tensor) => [t.mul(2), second(t)],
        },
      )
      return nums(func.jvp((x: Tensor) => F.apply(x)[0], [plain(1)], [plain(1)])[1])
    }
    return { t: run(() => null), error: error(() => run((t) => t)) }
  },
  func_vmap_missing: () => ({ error: error(() => func.vmap((x: Tensor) => Cube.apply(x, 2))(plain(1, 2))) }),
  func_vmap_both() {
    class Both extends Cube {
      static generateVmapRule = true
      static vmap(_info: custom.VmapInfo, _dims: unknown, x: Tensor): [Tensor, number] {
        return [x, 0]
      }
    }
    return { error: error(() => func.vmap((x: Tensor) => Both.apply(x, 2))(plain(1, 2))) }
  },
  func_vmap_generated() {
    const f = (x: Tensor): Tensor => BatchedCube.apply(x, 2)
    const x = torch.tensor(
      [
        [1, 2],
        [3, 4],
      ],
      { dtype: 'float64' },
    )
    const g = func.vmap(func.grad((x: Tensor) => f(x).sum()))(x)
    const w = x.clone().requiresGrad_()
    const y = func.vmap(f, 1, 1)(w)
    y.sum().backward()
    return { y: nums(y), g: nums(g), grad: nums(w.grad) }
  },
  func_vmap_rule() {
    const seen: unknown[] = []
    class Ruled extends Cube {
      static vmap(info: custom.VmapInfo, inDims: [number, null], x: Tensor, k: number): [Tensor, number] {
        seen.push([info.batchSize, info.randomness, [...inDims]])
        return [Ruled.apply(x, k), inDims[0]]
      }
    }
    const y = func.vmap((x: Tensor) => Ruled.apply(x, 2), 1, 1)(torch.tensor([[1, 2, 3]], { dtype: 'float64' }))
    return { y: nums(y), seen }
  },
  func_vmap_rule_returns() {
    const run = (result: (x: Tensor) => unknown): string | null => {
      class Ruled extends Cube {
        static vmap(_info: custom.VmapInfo, _dims: unknown, x: Tensor): unknown {
          return result(x)
        }
      }
      return error(() => func.vmap((x: Tensor) => Ruled.apply(x, 2))(plain(1, 2)))
    }
    return { one: run((x) => x), three: run((x) => [x, 0, 0]), dims: run((x) => [x, [0, 0]]) }
  },
  func_vmap_unbatched_input() {
    const F = define(
      (a: Tensor, b: Tensor) => a.mul(b),
      (ctx: With<object>, g: Tensor) => {
        const [a, b] = ctx.savedTensors
        return [g.mul(b), g.mul(a)]
      },
      { generateVmapRule: true, setupContext: (ctx: Ctx, inputs: [Tensor, Tensor]) => ctx.saveForBackward(...inputs) },
    )
    const a = torch.tensor(
      [
        [1, 2],
        [3, 4],
      ],
      { dtype: 'float64', requiresGrad: true },
    )
    const b = leaf(5, 7)
    const y = func.vmap((a: Tensor, b: Tensor) => F.apply(a, b), [0, null])(a, b)
    y.sum().backward()
    return { y: nums(y), a: nums(a.grad), b: nums(b.grad) }
  },
  func_vmap_of_a_list_of_gradients() {
    const x = leaf(1, 2)
    const vs = torch.tensor(
      [
        [1, 0],
        [0, 1],
      ],
      { dtype: 'float64' },
    )
    const [rows] = autograd.grad(BatchedCube.apply(x, 1), x, { gradOutputs: vs, isGradsBatched: true })
    return { rows: nums(rows) }
  },
}
