/** The cases of record_function.py on the plain tape, under the same names. */
import * as torch from '../../src/index.ts'
import {
  AddInto,
  type Ctx,
  Double,
  define,
  Exp,
  error,
  facts,
  leaf,
  nums,
  plain,
  Same,
  Square,
  type Tensor,
  type With,
} from './functions.ts'

const { autograd, noGrad, enableGrad, isGradEnabled } = torch
const times = (k: number) => (_ctx: Ctx, x: Tensor) => x.mul(k)

export const cases: Record<string, () => unknown> = {
  simple() {
    const x = leaf(1, 2)
    const y = Double.apply(x)
    y.sum().backward()
    return { y: facts(y), grad: nums(x.grad), next: y.gradFn!.nextFunctions[0]![0]!.name() }
  },
  saved_input() {
    const x = leaf(1, 2, 3)
    const y = Square.apply(x)
    y.sum().backward()
    return { y: facts(y), grad: nums(x.grad) }
  },
  saved_output() {
    const x = leaf(0, 0.5)
    const y = Exp.apply(x)
    y.sum().backward()
    return { y: facts(y), grad: nums(x.grad) }
  },
  second_derivative() {
    const x = leaf(2)
    const [g] = autograd.grad(Square.apply(x).sum(), x, { createGraph: true })
    const [gg] = autograd.grad(g!.mul(g!).sum(), x)
    return { g: facts(g!), gg: nums(gg) }
  },
  third_derivative_of_saved_output() {
    const x = leaf(0)
    let g = Exp.apply(x)
    for (let i = 0; i < 3; i++) g = autograd.grad(g.sum(), x, { createGraph: true })[0]!
    return { g: nums(g), requiresGrad: g.requiresGrad }
  },
  under_no_grad() {
    const x = leaf(1)
    return { y: facts(noGrad(() => Double.apply(x))) }
  },
  no_input_requires_grad: () => ({ y: facts(Double.apply(plain(1))) }),
  grad_mode_inside() {
    const seen: boolean[] = []
    const F = define(
      (_ctx: Ctx, x: Tensor) => {
        seen.push(isGradEnabled(), x.requiresGrad)
        const y = x.mul(2)
        seen.push(y.requiresGrad)
        return y
      },
      (_ctx: Ctx, g: Tensor) => {
        seen.push(isGradEnabled())
        return g.mul(2)
      },
    )
    const x = leaf(1)
    autograd.grad(F.apply(x), x)
    autograd.grad(F.apply(x), x, { createGraph: true })
    return { seen }
  },
  needs_input_grad() {
    const seen: unknown[] = []
    const F = define(
      (ctx: Ctx, a: Tensor, b: Tensor) => {
        seen.push([...ctx.needsInputGrad])
        return a.mul(b)
      },
      (ctx: Ctx, g: Tensor) => {
        seen.push([...ctx.needsInputGrad])
        return [g, g, null]
      },
    )
    const [x, y] = [leaf(1), leaf(2)]
    F.apply(x, plain(1), 3).backward()
    autograd.grad(F.apply(x, y, 3), y)
    noGrad(() => F.apply(x, y, 3))
    return { seen }
  },
  non_tensor_arguments() {
    const x = leaf(1, 2)
    const F = define(
      (ctx: With<{ k: number }>, k: number, x: Tensor) => {
        ctx.k = k
        return x.mul(k)
      },
      (ctx: With<{ k: number }>, g: Tensor) => [null, g.mul(ctx.k), null],
    )
    const y = F.apply(3, x, 'name')
    y.sum().backward()
    return { y: facts(y), grad: nums(x.grad), edges: y.gradFn!.nextFunctions.length }
  },
  non_tensor_outputs() {
    const seen: unknown[] = []
    const F = define<[Tensor, string, number]>(
      (_ctx: Ctx, x: Tensor) => [x.mul(2), 'text', 7],
      (_ctx: Ctx, ...gs: Tensor[]) => {
        seen.push(gs.map(nums))
        return gs[0]!.mul(2)
      },
    )
    const x = leaf(1)
    const [y, text, seven] = F.apply(x)
    y.backward()
    return { y: facts(y), text, seven, seen, grad: nums(x.grad) }
  },
  no_tensors() {
    const F = define<number>(
      (_ctx: Ctx, a: number, b: number) => a + b,
      () => [null, null],
    )
    return { sum: F.apply(1, 2) }
  },
  several_outputs() {
    const seen: unknown[] = []
    const F = define<[Tensor, Tensor]>(
      (_ctx: Ctx, x: Tensor) => [x.mul(2), x.mul(3)],
      (_ctx: Ctx, a: Tensor, b: Tensor) => {
        seen.push([nums(a), nums(b)])
        return a.mul(2).add(b.mul(3))
      },
    )
    const x = leaf(1)
    const [a, b] = F.apply(x)
    const nrs = [a.outputNr, b.outputNr]
    b.backward()
    return { a: facts(a), b: facts(b), nrs, seen, grad: nums(x.grad), same: a.gradFn === b.gradFn }
  },
  undefined_gradients_without_materializing() {
    const seen: unknown[] = []
    const F = define<[Tensor, Tensor]>(
      (ctx: Ctx, x: Tensor) => {
        ctx.setMaterializeGrads(false)
        return [x.mul(2), x.mul(3)]
      },
      (_ctx: Ctx, a: Tensor | null, b: Tensor) => {
        seen.push([nums(a), nums(b)])
        return b.mul(3)
      },
    )
    const x = leaf(1)
    F.apply(x)[1].backward()
    return { seen, grad: nums(x.grad) }
  },
  all_gradients_undefined() {
    const seen: unknown[] = []
    const Nothing = define(times(1), () => null)
    for (const materialize of [true, false]) {
      const F = define(
        (ctx: Ctx, x: Tensor) => {
          ctx.setMaterializeGrads(materialize)
          return x.mul(2)
        },
        (_ctx: Ctx, g: Tensor | null) => {
          seen.push(nums(g))
          return g
        },
      )
      const x = leaf(1)
      Nothing.apply(F.apply(x)).backward()
      seen.push(nums(x.grad))
    }
    return { seen }
  },
  undefined_result_stays_undefined() {
    const x = leaf(1)
    const Nothing = define(times(1), () => null)
    Nothing.apply(x).backward()
    const [made] = autograd.grad(Nothing.apply(x), x, { allowUnused: true })
    return { grad: nums(x.grad), made: nums(made) }
  },
  non_differentiable_output() {
    const seen: unknown[] = []
    const F = define<[Tensor, Tensor]>(
      (ctx: Ctx, x: Tensor) => {
        const [a, b] = [x.mul(2), x.gt(0)]
        ctx.markNonDifferentiable(b)
        return [a, b]
      },
      (_ctx: Ctx, ga: Tensor, gb: Tensor) => {
        seen.push([nums(ga), nums(gb), gb.dtype])
        return ga.mul(2)
      },
    )
    const x = leaf(1, -1)
    const [a, b] = F.apply(x)
    a.sum().backward()
    return { a: facts(a), b: facts(b), seen, grad: nums(x.grad) }
  },
  floating_output_marked_non_differentiable() {
    const seen: unknown[] = []
    const F = define<[Tensor, Tensor]>(
      (ctx: Ctx, x: Tensor) => {
        const [a, b] = [x.mul(2), x.mul(3)]
        ctx.markNonDifferentiable(b)
        return [a, b]
      },
      (_ctx: Ctx, ga: Tensor, gb: Tensor) => {
        seen.push([nums(ga), nums(gb)])
        return ga.mul(2)
      },
    )
    const x = leaf(1)
    const [a, b] = F.apply(x)
    a.backward()
    return { a: facts(a), b: facts(b), nrs: [a.outputNr, b.outputNr], seen, grad: nums(x.grad) }
  },
  input_marked_non_differentiable() {
    const F = define<[Tensor, Tensor]>(
      (ctx: Ctx, x: Tensor, y: Tensor) => {
        ctx.markNonDifferentiable(x)
        return [x, y.mul(2)]
      },
      (_ctx: Ctx, _ga: Tensor, gb: Tensor) => [null, gb.mul(2)],
    )
    const x = leaf(1)
    const [a, b] = F.apply(x, leaf(2))
    return { a: facts(a), same: a === x, x: facts(x), b: facts(b) }
  },
  integer_outputs_are_never_differentiable() {
    const y = define(
      (_ctx: Ctx, x: Tensor) => x.to('int32'),
      (_ctx: Ctx, g: Tensor) => g,
    ).apply(leaf(1, 5))
    return { requiresGrad: y.requiresGrad, leaf: y.isLeaf }
  },
  input_returned() {
    const x = leaf(1)
    const y = Same.apply(x)
    y.backward()
    return { y: facts(y), same: y === x, base: y._base === x, grad: nums(x.grad), x: facts(x) }
  },
  input_returned_non_leaf() {
    const x = leaf(1)
    const z = x.mul(2)
    const y = Same.apply(z)
    y.backward()
    return { y: facts(y), same: y === z, base: y._base === z, z: facts(z), grad: nums(x.grad) }
  },
  input_returned_without_grad() {
    const x = plain(1)
    const y = Same.apply(x)
    const w = leaf(1)
    const v = noGrad(() => Same.apply(w))
    return { same: y === x, y: facts(y), v: facts(v), sameV: v === w, base: v._base === w }
  },
  input_returned_changed_in_place() {
    const y = Same.apply(leaf(1).mul(1))
    return { error: error(() => y.mul_(torch.tensor(2))), version: y._version }
  },
  duplicate_returned() {
    const seen: unknown[] = []
    const F = define<[Tensor, Tensor]>(
      (_ctx: Ctx, x: Tensor) => {
        const y = x.mul(2)
        return [y, y]
      },
      (_ctx: Ctx, a: Tensor, b: Tensor) => {
        seen.push([nums(a), nums(b)])
        return a.mul(2).add(b.mul(2))
      },
    )
    const x = leaf(1)
    const [a, b] = F.apply(x)
    a.add(b).backward()
    return { same: a === b, seen, grad: nums(x.grad) }
  },
  view_returned() {
    const x = leaf(1, 2)
    const y = define(
      (_ctx: Ctx, x: Tensor) => x.view([2, 1]),
      (_ctx: Ctx, g: Tensor) => g.view([2]),
    ).apply(x)
    const broken = error(() => y.mul_(torch.tensor(2)))
    y.sum().backward()
    return { y: facts(y), base: y._base === x, error: broken, grad: nums(x.grad) }
  },
  view_of_intermediate_returned() {
    const y = define(
      (_ctx: Ctx, x: Tensor) => x.clone().view([2, 1]),
      (_ctx: Ctx, g: Tensor) => g.view([2]),
    ).apply(leaf(1, 2))
    return { y: facts(y), error: error(() => y.mul_(torch.tensor(2))), requiresGrad: y.requiresGrad }
  },
  several_views_returned() {
    const [a] = define<[Tensor, Tensor]>(
      (_ctx: Ctx, x: Tensor) => [x.narrow(0, 0, 1), x.narrow(0, 1, 1)],
      (_ctx: Ctx, a: Tensor, b: Tensor) => torch.cat([a, b]),
    ).apply(leaf(1, 2))
    return { a: facts(a), error: error(() => a.mul_(torch.tensor(2))) }
  },
  view_returned_without_grad() {
    const x = leaf(1, 2)
    const F = define(
      (_ctx: Ctx, x: Tensor) => x.view([2, 1]),
      (_ctx: Ctx, g: Tensor) => g.view([2]),
    )
    const y = noGrad(() => F.apply(x.mul(1)))
    return { y: facts(y), error: error(() => y.mul_(torch.tensor(2))) }
  },
  base_changed_under_a_returned_view() {
    const z = leaf(1, 2).mul(1)
    const y = Same.apply(z)
    z.mul_(torch.tensor(2))
    return { error: error(() => y.gradFn), z: facts(z) }
  },
  dirty_non_leaf() {
    const [x, y] = [leaf(1), leaf(2)]
    const z = x.mul(1)
    const out = AddInto.apply(z, y)
    out.backward()
    return { same: out === z, out: facts(out), x: nums(x.grad), y: nums(y.grad) }
  },
  dirty_plain_tensor() {
    const [a, y] = [plain(1), leaf(2)]
    const out = AddInto.apply(a, y)
    out.backward()
    return { same: out === a, out: facts(out), y: nums(y.grad) }
  },
  dirty_without_grad() {
    const a = plain(1)
    const out = AddInto.apply(a, plain(2))
    return { same: out === a, out: facts(out) }
  },
  dirty_leaf: () => ({ error: error(() => AddInto.apply(leaf(1), plain(1))) }),
  dirty_view() {
    const [x, y] = [leaf(1, 2), leaf(5)]
    const base = x.mul(1)
    const v = base.narrow(0, 0, 1)
    const out = AddInto.apply(v, y)
    base.mul(plain(3, 7)).sum().backward()
    return {
      same: out === v,
      value: nums(base),
      base: base.gradFn!.name(),
      v: v.gradFn!.name(),
      x: nums(x.grad),
      y: nums(y.grad),
    }
  },
  dirty_view_of_leaf() {
    const x = leaf(1, 2)
    return { error: error(() => AddInto.apply(x.narrow(0, 0, 1), plain(1))) }
  },
  dirty_view_made_without_grad() {
    const base = leaf(1, 2).mul(1)
    const v = noGrad(() => base.narrow(0, 0, 1))
    return { error: error(() => AddInto.apply(v, plain(1))) }
  },
  dirty_view_among_several() {
    const [a] = leaf(1, 2).mul(1).unbind()
    return { error: error(() => AddInto.apply(a, plain(1).select(0, 0))) }
  },
  dirty_view_and_two_outputs() {
    const F = define<[Tensor, Tensor]>(
      (ctx: Ctx, a: Tensor, b: Tensor) => {
        ctx.markDirty(a)
        a.add_(b)
        return [a, a.add(b)]
      },
      (_ctx: Ctx, g: Tensor, h: Tensor) => [g.add(h), g.add(h.mul(2))],
    )
    const base = leaf(1, 2).mul(1)
    return { error: error(() => F.apply(base.narrow(0, 0, 1), plain(1))) }
  },
  dirty_and_another_output() {
    const F = define<[Tensor, Tensor]>(
      (ctx: Ctx, a: Tensor, b: Tensor) => {
        ctx.markDirty(a)
        a.add_(b)
        return [a, a.add(b)]
      },
      (_ctx: Ctx, g: Tensor, h: Tensor) => [g.add(h), g.add(h.mul(2))],
    )
    const [x, y] = [leaf(1), leaf(2)]
    const z = x.mul(1)
    const [p, q] = F.apply(z, y)
    p.add(q.mul(2)).backward()
    return { same: p === z, p: facts(p), q: facts(q), x: nums(x.grad), y: nums(y.grad) }
  },
  dirty_not_returned() {
    const F = define(
      (ctx: Ctx, a: Tensor) => {
        ctx.markDirty(a)
        a.add_(torch.tensor(1))
        return a.mul(2)
      },
      (_ctx: Ctx, g: Tensor) => g,
    )
    return { error: error(() => F.apply(leaf(1).mul(1))), plain: error(() => F.apply(plain(1))) }
  },
  dirty_saved() {
    const F = define(
      (ctx: Ctx, a: Tensor) => {
        ctx.markDirty(a)
        a.exp_()
        ctx.saveForBackward(a)
        return a
      },
      (ctx: With<object>, g: Tensor) => g.mul(ctx.savedTensors[0]),
    )
    const x = leaf(0)
    const y = F.apply(x.mul(1))
    y.backward()
    return { y: facts(y), grad: nums(x.grad) }
  },
  dirty_invalidates_earlier_saves() {
    const z = leaf(2).mul(1)
    const w = z.mul(z)
    AddInto.apply(z, plain(1))
    return { error: error(() => w.backward()) }
  },
  dirty_second_argument() {
    const F = define(
      (ctx: Ctx, a: Tensor, b: Tensor) => {
        ctx.markDirty(b)
        b.add_(a)
        return b
      },
      (_ctx: Ctx, g: Tensor) => [g.mul(10), g],
    )
    const [x, y] = [leaf(1), leaf(2)]
    const z = y.mul(1)
    const out = F.apply(x, z)
    out.backward()
    return { same: out === z, x: nums(x.grad), y: nums(y.grad) }
  },
  saved_input_changed() {
    const z = leaf(1).mul(1)
    const y = Square.apply(z)
    z.add_(torch.tensor(1))
    return { error: error(() => y.backward()) }
  },
  saved_output_changed() {
    const y = Exp.apply(leaf(1))
    const z = y.mul(1)
    y.mul_(torch.tensor(2))
    return { error: error(() => z.backward()), y: facts(y) }
  },
  saved_leaf_changed() {
    const x = leaf(1)
    const y = Square.apply(x)
    noGrad(() => x.add_(torch.tensor(1)))
    return { error: error(() => y.backward()) }
  },
  backward_twice() {
    const x = leaf(1)
    const y = Square.apply(x)
    y.backward()
    const z = Double.apply(x)
    z.backward()
    z.backward()
    return { error: error(() => y.backward()), grad: nums(x.grad) }
  },
  saved_tensors_on_the_node() {
    const x = leaf(3)
    const y = Square.apply(x)
    const node = y.gradFn!
    const same = node.savedTensors[0] === x
    y.backward()
    return { same, error: error(() => node.savedTensors) }
  },
  saved_output_on_the_node() {
    const y = Exp.apply(leaf(0))
    const s = y.gradFn!.savedTensors[0]!
    return { same: s === y, node: s.gradFn === y.gradFn, s: facts(s) }
  },
  save_none() {
    const seen: unknown[] = []
    const F = define(
      (ctx: Ctx, x: Tensor) => {
        ctx.saveForBackward(null, x, null)
        return x.mul(2)
      },
      (ctx: Ctx, g: Tensor) => {
        seen.push(ctx.savedTensors.map(nums))
        return g
      },
    )
    F.apply(leaf(1)).backward()
    return { seen }
  },
  save_something_else() {
    const F = define(
      (ctx: Ctx, x: Tensor) => {
        ctx.saveForBackward(3 as unknown as Tensor)
        return x.mul(2)
      },
      (_ctx: Ctx, g: Tensor) => g,
    )
    // torch's word for the type of a number
    return { error: error(() => F.apply(leaf(1)))!.replace('of type number', 'of type int') }
  },
  save_twice() {
    const F = define(
      (ctx: Ctx, x: Tensor) => {
        ctx.saveForBackward(x)
        ctx.saveForBackward(x.mul(2), x.mul(3))
        return x.mul(2)
      },
      (_ctx: Ctx, g: Tensor) => g,
    )
    return { saved: F.apply(leaf(1)).gradFn!.savedTensors.map(nums) }
  },
  saved_intermediate_breaks_the_second_derivative() {
    const F = define(
      (ctx: Ctx, x: Tensor) => {
        ctx.saveForBackward(x.mul(2))
        return x.mul(x)
      },
      (ctx: With<object>, g: Tensor) => g.mul(ctx.savedTensors[0]),
    )
    const x = leaf(3)
    const [g] = autograd.grad(F.apply(x), x, { createGraph: true })
    return { g: nums(g), requiresGrad: g!.requiresGrad }
  },
  saved_tensors_cleared_on_access() {
    const seen: unknown[] = []
    const F = define(
      (ctx: Ctx, x: Tensor) => {
        ctx.saveForBackward(x)
        return x.mul(x)
      },
      (ctx: With<object>, g: Tensor) => {
        const [x] = ctx.savedTensors
        seen.push(error(() => ctx.savedTensors))
        return g.mul(2).mul(x)
      },
      { clearSavedTensorsOnAccess: true },
    )
    const x = leaf(3)
    F.apply(x).backward()
    return { seen, grad: nums(x.grad) }
  },
  too_few_gradients() {
    const F = define(
      (_ctx: Ctx, a: Tensor, b: Tensor) => a.mul(b),
      (_ctx: Ctx, g: Tensor) => g,
    )
    return { error: error(() => F.apply(leaf(1), leaf(2)).backward()) }
  },
  too_many_gradients() {
    const x = leaf(1)
    define(times(2), (_ctx: Ctx, g: Tensor) => [g, null, null])
      .apply(x)
      .backward()
    const F = define(times(2), (_ctx: Ctx, g: Tensor) => [g, g])
    return { grad: nums(x.grad), error: error(() => F.apply(leaf(1)).backward()) }
  },
  gradient_for_a_number() {
    const F = define(
      (_ctx: Ctx, a: Tensor, k: number) => a.mul(k),
      (_ctx: Ctx, g: Tensor) => [g, g],
    )
    return { error: error(() => F.apply(leaf(1), 2).backward()) }
  },
  gradient_of_another_type() {
    const F = define(times(2), () => 3)
    return { error: error(() => F.apply(leaf(1)).backward())!.replace('got number', 'got int') }
  },
  gradient_of_a_wrong_shape() {
    const F = define(
      (_ctx: Ctx, a: Tensor) => a.sum(),
      (_ctx: Ctx, g: Tensor) => g.expand([10]),
    )
    const x = torch.ones([5, 5], { dtype: 'float64', requiresGrad: true })
    return { error: error(() => F.apply(x).backward()) }
  },
  gradient_of_a_larger_shape_is_summed() {
    const x = leaf(1, 2)
    define(times(2), () => torch.ones([3, 2], { dtype: 'float64' }))
      .apply(x)
      .sum()
      .backward()
    return { grad: nums(x.grad) }
  },
  gradient_of_another_dtype_is_cast() {
    const x = leaf(1, 2)
    define(times(2), (_ctx: Ctx, g: Tensor) => g.to('float32'))
      .apply(x)
      .sum()
      .backward()
    return { grad: nums(x.grad), dtype: x.grad!.dtype }
  },
  gradient_for_an_input_without_grad() {
    const x = leaf(1)
    define(
      (_ctx: Ctx, a: Tensor, b: Tensor) => a.mul(b),
      (_ctx: Ctx, g: Tensor) => [g, g],
    )
      .apply(x, plain(2))
      .backward()
    return { grad: nums(x.grad) }
  },
  forward_missing() {
    class Mine extends autograd.Function {}
    return { error: error(() => (Mine as unknown as { apply(x: Tensor): void }).apply(leaf(1))) }
  },
  backward_missing() {
    const y = define(times(2)).apply(leaf(1))
    return { y: facts(y), error: error(() => y.backward()) }
  },
  vjp_alone() {
    const x = leaf(1)
    define(times(2), undefined, { vjp: times(2) })
      .apply(x)
      .backward()
    return { grad: nums(x.grad) }
  },
  backward_and_vjp() {
    const F = define(times(2), times(2), { vjp: times(2) })
    return { error: error(() => F.apply(leaf(1)).backward()) }
  },
  exceptions_keep_their_type() {
    class Custom extends Error {}
    const fail = (): never => {
      throw new Custom('mine')
    }
    const out: string[] = []
    const F = define(times(2), fail)
    const G = define(fail, times(2))
    for (const run of [() => F.apply(leaf(1)).backward(), () => G.apply(leaf(1))]) {
      try {
        run()
      } catch (e) {
        if (e instanceof Custom) out.push(e.message)
      }
    }
    const x = leaf(1)
    Double.apply(x).backward()
    return { out, enabled: isGradEnabled(), grad: nums(x.grad) }
  },
  once_differentiable_backward() {
    const seen: boolean[] = []
    const F = define(
      (ctx: Ctx, x: Tensor) => {
        ctx.saveForBackward(x)
        return x.mul(x)
      },
      autograd.onceDifferentiable((ctx: With<object>, g: Tensor) => {
        seen.push(isGradEnabled())
        return g.mul(2).mul(ctx.savedTensors[0])
      }),
    )
    const x = leaf(3)
    F.apply(x).backward()
    const [g] = autograd.grad(F.apply(x).sum(), x, { createGraph: true })
    const [h] = autograd.grad(F.apply(x), x, { gradOutputs: leaf(1), createGraph: true })
    return {
      seen,
      grad: nums(x.grad),
      g: g!.requiresGrad,
      h: h!.requiresGrad,
      node: h!.gradFn!.name(),
      error: error(() => h!.sum().backward()),
    }
  },
  setup_context() {
    const seen: unknown[] = []
    const F = define<[Tensor, Tensor]>(
      (x: Tensor, k: number) => [x.mul(k), x.add(k)],
      (ctx: With<{ k: number }>, a: Tensor, b: Tensor) => {
        seen.push(ctx.savedTensors.map(nums))
        return [a.mul(ctx.k).add(b), null]
      },
      {
        setupContext(ctx: With<{ k: number }>, [x, k]: [Tensor, number], output: [Tensor, Tensor]) {
          seen.push([nums(x), k, output.map(nums), isGradEnabled()])
          ctx.k = k
          ctx.saveForBackward(x, output[0])
        },
      },
    )
    const x = leaf(2)
    const [y, z] = F.apply(x, 3)
    y.add(z).backward()
    return { y: facts(y), z: facts(z), seen, grad: nums(x.grad) }
  },
  hooks_around_the_node() {
    const order: unknown[] = []
    const x = leaf(1)
    const y = define(times(2), (_ctx: Ctx, g: Tensor) => {
      order.push('backward')
      return g.mul(2)
    }).apply(x)
    y.gradFn!.registerHook((gi, go) => void order.push(['post', nums(gi[0]), nums(go[0])]))
    y.gradFn!.registerPrehook((go) => void order.push(['pre', nums(go[0])]))
    y.registerHook((g) => void order.push(['tensor', nums(g)]))
    x.registerHook((g) => void order.push(['leaf', nums(g)]))
    y.retainGrad()
    y.backward()
    return { order, kept: nums(y.grad) }
  },
  hooks_of_a_returned_input() {
    const order: unknown[] = []
    const x = leaf(1)
    const z = x.mul(1)
    const y = Same.apply(z)
    y.registerHook((g) => void order.push(['y', nums(g)]))
    z.registerHook((g) => void order.push(['z', nums(g)]))
    y.mul(2).add(z.mul(5)).backward()
    return { order, grad: nums(x.grad) }
  },
  same_tensor_twice() {
    const F = define(
      (ctx: Ctx, a: Tensor, b: Tensor) => {
        ctx.saveForBackward(a, b)
        return a.mul(b)
      },
      (ctx: With<object>, g: Tensor) => {
        const [a, b] = ctx.savedTensors
        return [g.mul(b), g.mul(a)]
      },
    )
    const x = leaf(3)
    const y = F.apply(x, x)
    y.backward()
    return { grad: nums(x.grad), edges: y.gradFn!.nextFunctions.length }
  },
  gradients_inside_backward() {
    const F = define(
      (ctx: Ctx, x: Tensor) => {
        ctx.saveForBackward(x)
        return x.pow(3)
      },
      (ctx: With<object>, g: Tensor) => {
        const [x] = ctx.savedTensors
        return enableGrad(() => {
          const z = x.detach().requiresGrad_()
          return g.mul(autograd.grad(z.pow(3), z)[0]!)
        })
      },
    )
    const x = leaf(2)
    F.apply(x).backward()
    return { grad: nums(x.grad) }
  },
  grad_enabled_inside_forward() {
    const F = define(
      (ctx: With<{ z: Tensor; y: Tensor }>, x: Tensor) => {
        enableGrad(() => {
          ctx.z = x.detach().requiresGrad_()
          ctx.y = ctx.z.pow(2)
        })
        return ctx.y.detach()
      },
      (ctx: With<{ z: Tensor; y: Tensor }>, g: Tensor) => {
        ctx.y.backward(g)
        return ctx.z.grad
      },
    )
    const x = leaf(3)
    F.apply(x).backward()
    return { grad: nums(x.grad) }
  },
  tracked_result_returned() {
    const x = leaf(1)
    const y = define(
      (_ctx: Ctx, x: Tensor) => enableGrad(() => x.mul(2)),
      (_ctx: Ctx, g: Tensor) => g.mul(5),
    ).apply(x)
    y.backward()
    return { y: facts(y), grad: nums(x.grad) }
  },
  chain() {
    const x = leaf(0.5)
    const y = Square.apply(Exp.apply(Double.apply(x)))
    const names: string[] = []
    for (let node = y.gradFn; node !== null; node = node.nextFunctions[0]?.[0] ?? null) names.push(node.name())
    y.backward()
    return { names, grad: nums(x.grad) }
  },
  context_is_the_node() {
    const kept: unknown[] = []
    const F = define(
      (ctx: Ctx, x: Tensor) => {
        kept.push(ctx)
        return x.mul(2)
      },
      (ctx: Ctx, g: Tensor) => {
        kept.push(ctx)
        return g
      },
    )
    F.apply(leaf(1)).backward()
    return { same: kept[0] === kept[1] }
  },
  context_kept_after_backward() {
    const kept: Ctx[] = []
    const F = define(
      (ctx: Ctx, x: Tensor) => {
        kept.push(ctx)
        ctx.saveForBackward(x)
        return x.mul(x)
      },
      (ctx: With<object>, g: Tensor) => g.mul(ctx.savedTensors[0]),
    )
    F.apply(leaf(1)).backward()
    return { error: error(() => kept[0]!.savedTensors) }
  },
  gradient_that_is_a_saved_tensor() {
    const F = define(
      (ctx: Ctx, x: Tensor, w: Tensor) => {
        ctx.saveForBackward(w)
        return x.mul(w).sum()
      },
      (ctx: With<object>) => [ctx.savedTensors[0], null],
    )
    const [x, w] = [leaf(1, 1), plain(4, 5)]
    F.apply(x, w).backward()
    F.apply(x, w).backward()
    return { grad: nums(x.grad), w: nums(w), same: x.grad === w }
  },
  inputs_restrict_the_pass() {
    const seen: unknown[] = []
    const F = define(
      (_ctx: Ctx, a: Tensor, b: Tensor) => a.add(b),
      (ctx: Ctx, g: Tensor) => {
        seen.push([...ctx.needsInputGrad])
        return [g, g]
      },
    )
    const [x, y] = [leaf(1), leaf(2)]
    F.apply(x, y).backward({ inputs: [x] })
    return { seen, x: nums(x.grad), y: nums(y.grad) }
  },
}
