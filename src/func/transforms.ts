/** Function transforms: `grad`, `vjp`, `jvp`, `vmap` of functions of tensors, in any nesting. */
import { unbatch } from '../autograd/grad.ts'
import { type Level, leafOn, withLevel, wrap } from '../autograd/levels.ts'
import { withGrad } from '../autograd/modes.ts'
import { differentiate } from '../autograd/run.ts'
import { zeros } from '../creation.ts'
import { ArgumentError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { sameShape } from '../shape.ts'
import { isTensor, type TensorCore } from '../tensor.ts'
import { flatten, mapTensors, type Tree } from '../tree.ts'

/** A function of tensors and other values. */
export type Fn<A extends unknown[], R> = (...args: A) => R

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

function positions(argnums: Argnums, count: number, op: string): number[] {
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

/**
 * The function that computes the gradient of `f`, which must return a scalar tensor (a 0-dim tensor). Nests freely.
 * @example
 * const df = func.grad((x: Tensor) => x.sin().sum())
 * df(tensor(0)).item() // 1
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.grad.html
 */
export function grad<A extends unknown[], N extends Argnums = 0>(f: Fn<A, Tensor>, argnums?: N): (...args: A) => GradOf<A, N> {
  const both = gradAndValue(f, argnums)
  return (...args) => both(...args)[0]
}

/**
 * Like `grad`, returning `[gradient, value]`.
 * @example
 * const [slope, value] = func.gradAndValue((x: Tensor) => x.pow(2).sum())(tensor(3))
 * slope.item() // 6
 * value.item() // 9
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.grad_and_value.html
 */
export function gradAndValue<A extends unknown[], N extends Argnums = 0>(
  f: Fn<A, Tensor>,
  argnums?: N,
): (...args: A) => [GradOf<A, N>, Tensor] {
  const which = argnums ?? 0
  return (...args) => {
    const at = positions(which, args.length, 'grad')
    return withLevel('reverse', 0, (level) =>
      withGrad(true, () => {
        const leaves: Tensor[] = []
        const inner = [...args] as unknown[]
        for (const n of at) inner[n] = lift(args[n], level, leaves)
        const y = scalarOutput(f(...(inner as A)), 'grad')
        const made = gradients([y], null, leaves, level, false)
        let k = 0
        const trees = at.map((n) => mapTensors(args[n], () => made[k++]))
        return [(typeof which === 'number' ? trees[0] : trees) as GradOf<A, N>, unlift(y, level) as Tensor]
      }),
    )
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
  return withLevel('reverse', 0, (level) =>
    withGrad(true, () => {
      const perArg: Tensor[][] = []
      const inner = primals.map((p) => {
        const leaves: Tensor[] = []
        perArg.push(leaves)
        return lift(p, level, leaves)
      })
      const y = f(...(inner as A))
      const { leaves: outs, rebuild } = flatten(y)
      outs.forEach((o) => {
        if (!isTensor(o)) throw new ArgumentError(`vjp: Expected f(*args) to return only tensors, got ${typeof o}`, { op: 'vjp' })
      })
      const tensors = outs as TensorCore[]
      const pull = (cotangents: R): unknown[] => {
        const given = flatten(cotangents).leaves as TensorCore[]
        if (given.length !== tensors.length)
          throw new ArgumentError(`vjp: expected ${tensors.length} cotangents, like the outputs, got ${given.length}`, { op: 'vjp' })
        given.forEach((g, i) => {
          if (!isTensor(g) || !sameShape(g.layout.shape, tensors[i]!.layout.shape))
            throw new ShapeError(`vjp: cotangent ${i} must be a tensor of shape ${show(tensors[i]!.layout.shape)}`, { op: 'vjp' })
        })
        // The level is entered again: the pull-back may be called after the transform has returned.
        level.open = true
        const made = withGrad(true, () => gradients(tensors, given, perArg.flat(), level, true))
        level.open = false
        let k = 0
        return primals.map((p) => mapTensors(p, () => made[k++]))
      }
      return [rebuild(tensors.map((t) => unlift(t, level))) as R, pull]
    }),
  )
}

/**
 * The value of `f` and its directional derivative: `jvp(f, primals, tangents)` with tangents shaped like the primals.
 * @example
 * const [y, dy] = func.jvp((x: Tensor) => x.pow(2), [tensor(3)], [tensor(1)])
 * y.item() // 9
 * dy.item() // 6
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.jvp.html
 */
export function jvp<A extends unknown[], R>(f: Fn<A, R>, primals: A, tangents: unknown[]): [R, R] {
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
    const y = f(...(inner as A))
    const value = mapTensors(y, (t) => unlift(t, level)) as R
    const tangent = mapTensors(y, (t) =>
      t.wrap !== null && t.wrap.level === level && t.wrap.tangent !== null ? t.wrap.tangent : (unlift(t, level) as Tensor).zerosLike(),
    ) as R
    return [value, tangent]
  })
}

/** Which dim of each argument is the batch: a number for all, or one per argument (null: not batched). */
export type InDims = number | readonly (number | null)[]

/**
 * `f` for one example, turned into a function for a batch of them.
 * @example
 * const dots = func.vmap((a: Tensor, b: Tensor) => a.mul(b).sum())
 * dots(tensor([[1, 2], [3, 4]]), tensor([[1, 1], [1, 1]])).tolist() // [3, 7]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.vmap.html
 */
export function vmap<A extends unknown[], R>(f: Fn<A, R>, inDims: InDims = 0, outDims: number | readonly number[] = 0): (...args: A) => R {
  return (...args) => {
    let size = -1
    const dimOf = (i: number): number | null => (typeof inDims === 'number' ? inDims : (inDims[i] ?? null))
    args.forEach((arg, i) => {
      const dim = dimOf(i)
      if (dim === null) return
      for (const t of flatten(arg).leaves) {
        if (!isTensor(t)) continue
        const n = t.layout.shape.at(dim)
        if (n === undefined)
          throw new ShapeError(`vmap: inDims says dim ${dim} of argument ${i}, which has shape ${show(t.layout.shape)}`, {
            op: 'vmap',
            shapes: [t.layout.shape],
          })
        if (size >= 0 && n !== size)
          throw new ShapeError(`vmap: Expected all tensors to have the same size in the mapped dimension, got sizes ${size} and ${n}`, {
            op: 'vmap',
          })
        size = n
      }
    })
    if (size < 0) throw new ArgumentError('vmap: at least one argument must be batched', { op: 'vmap' })
    return withLevel('batch', size, (level) => {
      const inner = args.map((arg, i) => {
        const dim = dimOf(i)
        return dim === null ? arg : mapTensors(arg, (t) => wrap(level, t, null, dim < 0 ? dim + t.layout.rank : dim))
      })
      const y = f(...(inner as A))
      let k = 0
      return mapTensors(y, (t) => {
        const out = typeof outDims === 'number' ? outDims : (outDims[k++] ?? 0)
        const v = unbatch(t, level.depth, size)
        return out === 0 ? v : v.movedim(0, out)
      }) as R
    })
  }
}

/**
 * The Jacobian by reverse mode: shape of the output followed by shape of argument `argnum`.
 * @example
 * func.jacrev((x: Tensor) => x.pow(2))(tensor([1, 2])).tolist() // [[2, 0], [0, 4]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.jacrev.html
 */
export function jacrev<A extends unknown[]>(f: Fn<A, Tensor>, argnum = 0): (...args: A) => Tensor {
  return (...args) => {
    const x = args[argnum] as Tensor
    const [y, pull] = vjp((t: Tensor) => f(...(args.with(argnum, t) as A)), x)
    const n = y.numel()
    const basis = basisLike(y, n)
    const rows = vmap((g: Tensor) => pull(g)[0] as Tensor)(basis)
    return rows.reshape([...y.shape, ...x.shape])
  }
}

/**
 * The Jacobian by forward mode: shape of the output followed by shape of argument `argnum`.
 * @example
 * func.jacfwd((x: Tensor) => x.pow(2))(tensor([1, 2])).tolist() // [[2, 0], [0, 4]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.jacfwd.html
 */
export function jacfwd<A extends unknown[]>(f: Fn<A, Tensor>, argnum = 0): (...args: A) => Tensor {
  return (...args) => {
    const x = args[argnum] as Tensor
    const basis = basisLike(x, x.numel())
    const columns = vmap((t: Tensor) => jvp((z: Tensor) => f(...(args.with(argnum, z) as A)), [x], [t])[1])(basis)
    const shape = columns.shape.slice(1)
    return columns.movedim(0, -1).reshape([...shape, ...x.shape])
  }
}

/**
 * The Hessian of a scalar function: forward over reverse.
 * @example
 * func.hessian((x: Tensor) => x.pow(3).sum())(tensor([1, 2])).tolist() // [[6, 0], [0, 12]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.hessian.html
 */
export function hessian<A extends unknown[]>(f: Fn<A, Tensor>, argnum = 0): (...args: A) => Tensor {
  return jacfwd(grad(f, argnum) as unknown as Fn<A, Tensor>, argnum)
}

/** The unit vectors of t's space, one per row: [n, ...shape]. */
function basisLike(t: Tensor, n: number): Tensor {
  const identity = zeros([n, n], { dtype: t.dtype })
  identity.diagonal().fill_(1)
  return identity.reshape([n, ...t.shape])
}
