/** Derivatives of functions of tensors: `grad`, `vjp`, `jvp`, `linearize`, in any nesting. */
import { type Level, leafOn, withLevel, wrap } from '../autograd/levels.ts'
import { withGrad } from '../autograd/modes.ts'
import { differentiate } from '../autograd/run.ts'
import { ArgumentError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkOptions, type Known } from '../options.ts'
import { sameShape } from '../shape.ts'
import { isTensor, type TensorCore } from '../tensor.ts'
import { flatten, mapTensors, type Tree } from '../tree.ts'

/** A function of tensors and other values. */
export type Fn<A extends unknown[], R> = (...args: A) => R

const AUX: Known<AuxOption> = { hasAux: 'boolean' }

/** Puts the tensors of a tree on a reverse level, as leaves. */
function lift(tree: Tree, level: Level, leaves: Tensor[]): Tree {
  return mapTensors(tree, (t) => {
    const w = leafOn(level, t) as Tensor
    leaves.push(w)
    return w
  })
}

/** What a tensor of this level wraps; others as they are. */
function unlift(t: TensorCore, level: Level): TensorCore {
  return t.wrap !== null && t.wrap.level === level ? t.wrap.value : t
}

/** Gradients with respect to leaves, zeros where none flows. */
function gradients(
  outputs: readonly TensorCore[],
  gradOutputs: readonly TensorCore[] | null,
  leaves: readonly Tensor[],
  level: Level,
  keepGraph: boolean,
): Tensor[] {
  const wanted = leaves.filter((t) => t.rg)
  const live = outputs
    .map((o, i) => [o, gradOutputs?.[i] ?? null] as const)
    .filter(([o]) => o.wrap !== null && o.wrap.level === level && o.rg)
  const made =
    live.length === 0
      ? wanted.map(() => null)
      : differentiate(
          live.map(([o]) => o),
          wanted,
          { gradOutputs: gradOutputs === null ? null : live.map(([, g]) => g), keepGraph, createGraph: true, level },
        )
  let k = 0
  return leaves.map((t) =>
    t.rg ? ((made[k++] as Tensor | null) ?? (t.wrap!.value as Tensor).zerosLike()) : (t.wrap!.value as Tensor).zerosLike(),
  )
}

/** Which arguments to differentiate: one position (from the back if negative) or several. */
export type Argnums = number | readonly number[]

/** `hasAux`: the function returns `[what to differentiate, anything else]`, and the transform gives the latter back. */
export interface AuxOption {
  readonly hasAux?: boolean
}

/** Takes a result with something beside it apart. */
function withAux(y: unknown, hasAux: boolean, op: string): [result: unknown, aux: unknown] {
  if (!hasAux) return [y, undefined]
  if (!Array.isArray(y) || y.length !== 2)
    throw new ArgumentError(`${op}: output of function f should be a pair: [output, aux] if hasAux is true`, { op })
  return y as [unknown, unknown]
}

function aux(tree: unknown, level: Level): unknown {
  return mapTensors(tree, (t) => unlift(t, level))
}

/** The positions that `argnums` names among `count` arguments. */
export function positions(argnums: Argnums, count: number, op: string): number[] {
  const list = (typeof argnums === 'number' ? [argnums] : [...argnums]).map((n) => (n < 0 ? n + count : n))
  for (const n of list)
    if (!Number.isInteger(n) || n < 0 || n >= count)
      throw new ArgumentError(`${op}: Got argnums=${String(argnums)}, but only ${count} positional inputs`, { op })
  return list
}

function scalarOutput(y: unknown, op: string): TensorCore {
  if (!isTensor(y)) throw new ArgumentError(`${op}: Expected f(*args) to return a single tensor, got ${typeof y}`, { op })
  if (y.layout.rank !== 0)
    throw new ShapeError(
      `${op}: Expected f(*args) to return a scalar tensor, got tensor with shape ${show(y.layout.shape)}; reduce it, e.g. with sum()`,
      { op, shapes: [y.layout.shape] },
    )
  return y
}

/** The result of `grad`: shaped as the arguments in `argnums`, a list if that is a list. */
type GradOf<A extends unknown[], N extends Argnums> = N extends number ? (N extends keyof A ? A[N] : A[0]) : unknown[]

/** Value and gradient at `args`, and what came beside the value. */
function evaluate(
  op: string,
  f: Fn<never[], unknown>,
  which: Argnums,
  args: readonly unknown[],
  hasAux: boolean,
): [unknown, Tensor, unknown] {
  const at = positions(which, args.length, op)
  return withLevel('reverse', 0, (level) =>
    withGrad(true, () => {
      const leaves: Tensor[] = []
      const inner = [...args]
      for (const n of at) inner[n] = lift(args[n], level, leaves)
      const [result, rest] = withAux(f(...(inner as never[])), hasAux, op)
      const y = scalarOutput(result, op)
      const made = gradients([y], null, leaves, level, false)
      let k = 0
      const trees = at.map((n) => mapTensors(args[n], () => made[k++]))
      return [typeof which === 'number' ? trees[0] : trees, unlift(y, level) as Tensor, aux(rest, level)]
    }),
  )
}

/**
 * The function that computes the gradient of `f`, which must return a scalar tensor (a 0-dim tensor). Nests freely.
 * With `hasAux`, `f` returns `[scalar, anything]` and the gradient comes as `[gradient, anything]`.
 * @example
 * const df = func.grad((x: Tensor) => x.sin().sum())
 * df(tensor(0)).item() // 1
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.grad.html
 */
export function grad<A extends unknown[], X, N extends Argnums = 0>(
  f: Fn<A, readonly [Tensor, X]>,
  argnums: N | undefined,
  options: { readonly hasAux: true },
): (...args: A) => [GradOf<A, N>, X]
export function grad<A extends unknown[], N extends Argnums = 0>(
  f: Fn<A, Tensor>,
  argnums?: N,
  options?: AuxOption,
): (...args: A) => GradOf<A, N>
export function grad(f: Fn<never[], unknown>, argnums: Argnums = 0, options: AuxOption = {}): (...args: never[]) => unknown {
  checkOptions('grad', options, AUX)
  const hasAux = options.hasAux ?? false
  return (...args) => {
    const [g, , rest] = evaluate('grad', f, argnums, args, hasAux)
    return hasAux ? [g, rest] : g
  }
}

/**
 * Like `grad`, returning `[gradient, value]`; with `hasAux`, `[gradient, [value, anything]]`.
 * @example
 * const [slope, value] = func.gradAndValue((x: Tensor) => x.pow(2).sum())(tensor(3))
 * slope.item() // 6
 * value.item() // 9
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.grad_and_value.html
 */
export function gradAndValue<A extends unknown[], X, N extends Argnums = 0>(
  f: Fn<A, readonly [Tensor, X]>,
  argnums: N | undefined,
  options: { readonly hasAux: true },
): (...args: A) => [GradOf<A, N>, [Tensor, X]]
export function gradAndValue<A extends unknown[], N extends Argnums = 0>(
  f: Fn<A, Tensor>,
  argnums?: N,
  options?: AuxOption,
): (...args: A) => [GradOf<A, N>, Tensor]
export function gradAndValue(f: Fn<never[], unknown>, argnums: Argnums = 0, options: AuxOption = {}): (...args: never[]) => unknown {
  checkOptions('gradAndValue', options, AUX)
  const hasAux = options.hasAux ?? false
  return (...args) => {
    const [g, v, rest] = evaluate('gradAndValue', f, argnums, args, hasAux)
    return hasAux ? [g, [v, rest]] : [g, v]
  }
}

/**
 * The value of `f` and the function from gradients of the outputs to gradients of the inputs (reusable).
 * @example
 * const [y, pull] = func.vjp((x: Tensor) => x.pow(2), tensor([1, 2]))
 * y.tolist() // [1, 4]
 * pull(tensor([1, 10]))[0]!.tolist() // [2, 40]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.vjp.html
 */
export function vjp<A extends unknown[], R>(f: Fn<A, R>, ...primals: A): [R, (cotangents: R) => unknown[]] {
  const [y, pull] = pullback('vjp', f, primals, false)
  return [y as R, pull]
}

/** What `vjp` gives, for the operation `op`; with `hasAux`, also what came beside the outputs. */
export function pullback(
  op: string,
  f: Fn<never[], unknown>,
  primals: readonly unknown[],
  hasAux: boolean,
): [outputs: unknown, pull: (cotangents: unknown) => unknown[], beside: unknown] {
  return withLevel('reverse', 0, (level) =>
    withGrad(true, () => {
      const perArg: Tensor[][] = []
      const inner = primals.map((p) => {
        const leaves: Tensor[] = []
        perArg.push(leaves)
        return lift(p, level, leaves)
      })
      const [y, beside] = withAux(f(...(inner as never[])), hasAux, op)
      const { leaves: outs, rebuild } = flatten(y)
      outs.forEach((o) => {
        if (!isTensor(o)) throw new ArgumentError(`${op}: Expected f(*args) to return only tensors, got ${typeof o}`, { op })
      })
      const tensors = outs as TensorCore[]
      const pull = (cotangents: unknown): unknown[] => {
        const given = flatten(cotangents).leaves as TensorCore[]
        if (given.length !== tensors.length)
          throw new ArgumentError(`${op}: expected ${tensors.length} cotangents, like the outputs, got ${given.length}`, { op })
        given.forEach((g, i) => {
          if (!isTensor(g) || !sameShape(g.layout.shape, tensors[i]!.layout.shape))
            throw new ShapeError(`${op}: cotangent ${i} must be a tensor of shape ${show(tensors[i]!.layout.shape)}`, { op })
        })
        // The level is entered again: the pull-back may be called after the transform has returned.
        level.open = true
        try {
          const made = withGrad(true, () => gradients(tensors, given, perArg.flat(), level, true))
          let k = 0
          return primals.map((p) => mapTensors(p, () => made[k++]))
        } finally {
          level.open = false
        }
      }
      return [rebuild(tensors.map((t) => unlift(t, level))), pull, aux(beside, level)]
    }),
  )
}

/**
 * The value of `f` and its directional derivative: `jvp(f, primals, tangents)` with tangents shaped like the primals. With
 * `hasAux`, `f` returns `[output, anything]`, which comes third.
 * @example
 * const [y, dy] = func.jvp((x: Tensor) => x.pow(2), [tensor(3)], [tensor(1)])
 * y.item() // 9
 * dy.item() // 6
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.jvp.html
 */
export function jvp<A extends unknown[], R, X>(
  f: Fn<A, readonly [R, X]>,
  primals: A,
  tangents: unknown[],
  options: { readonly hasAux: true },
): [R, R, X]
export function jvp<A extends unknown[], R>(f: Fn<A, R>, primals: A, tangents: unknown[], options?: AuxOption): [R, R]
export function jvp(f: Fn<never[], unknown>, primals: unknown[], tangents: unknown[], options: AuxOption = {}): unknown[] {
  checkOptions('jvp', options, AUX)
  const hasAux = options.hasAux ?? false
  if (!Array.isArray(primals) || !Array.isArray(tangents) || primals.length !== tangents.length) {
    throw new ArgumentError('jvp: Expected primals and tangents to be arrays of the same length', { op: 'jvp' })
  }
  return withLevel('forward', 0, (level) => {
    const inner = primals.map((p, i) => {
      const ts = flatten(tangents[i]).leaves.filter(isTensor)
      let k = 0
      return mapTensors(p, (x) => {
        const t = ts[k++]
        if (t === undefined || !sameShape(t.layout.shape, x.layout.shape)) {
          throw new ShapeError(
            `jvp: primal ${i} of shape ${show(x.layout.shape)} needs a tangent of the same shape, got ${t === undefined ? 'none' : show(t.layout.shape)}`,
            { op: 'jvp' },
          )
        }
        return wrap(level, x, t)
      })
    })
    const [y, rest] = withAux(f(...(inner as never[])), hasAux, 'jvp')
    const value = mapTensors(y, (t) => unlift(t, level))
    const tangent = mapTensors(y, (t) =>
      t.wrap !== null && t.wrap.level === level && t.wrap.tangent !== null ? t.wrap.tangent : (unlift(t, level) as Tensor).zerosLike(),
    )
    return hasAux ? [value, tangent, aux(rest, level)] : [value, tangent]
  })
}

/**
 * The value of `f` at the primals and its derivative there, a linear function of tangents (which runs `f` again each time).
 * @example
 * const [y, push] = func.linearize((x: Tensor) => x.sin(), tensor(0))
 * push(tensor(2)).item() // 2
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.linearize.html
 */
export function linearize<A extends unknown[], R>(f: Fn<A, R>, ...primals: A): [R, (...tangents: A) => R] {
  return [f(...primals), (...tangents) => jvp(f, primals, tangents)[1]]
}
