/** Whole Jacobians and Hessians, by either mode. */
import { constructStandardBasisFor } from '../autograd/functional.ts'
import type { Randomness } from '../autograd/levels.ts'
import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkOptions } from '../options.ts'
import { isTensor } from '../tensor.ts'
import { flatten, mapTensors } from '../tree.ts'
import { type Argnums, type AuxOption, type Fn, jvp, positions, pullback } from './transforms.ts'
import { vmap } from './vmap.ts'

/** Options of `jacrev`. */
export interface JacobianOptions extends AuxOption {
  /** So many rows at a time, for less memory. Default: all at once. */
  readonly chunkSize?: number | null
}

/**
 * A Jacobian: for each output tensor, for each argument in `argnums` (a list if that is one), a tensor of the output's shape
 * followed by the input's. A single tensor on either side stands for itself.
 */
type JacobianOf<R, N extends Argnums> = R extends Tensor ? (N extends number ? Tensor : Tensor[]) : unknown

/** An argument of a Jacobian seen as a list of tensors. */
interface Inputs {
  /** Each chosen argument's tensors. */
  readonly leaves: readonly Tensor[][]
  /** `f` of these tensors alone. */
  call(tensors: readonly Tensor[]): unknown
  /** The same structure with one thing for each tensor. */
  shape(things: readonly unknown[]): unknown
}

function inputs(op: string, f: Fn<never[], unknown>, argnums: Argnums, args: readonly unknown[]): Inputs {
  const at = positions(argnums, args.length, op)
  const leaves = at.map((n) => flatten(args[n]).leaves.filter(isTensor) as Tensor[])
  for (const [i, list] of leaves.entries())
    if (list.length === 0) throw new ArgumentError(`${op}: argument ${at[i]} has no tensors to differentiate by`, { op })
  const fill = (things: readonly unknown[]): unknown[] => {
    let k = 0
    return at.map((n) => mapTensors(args[n], () => things[k++]))
  }
  return {
    leaves,
    call: (tensors) => {
      const all = [...args]
      for (const [i, tree] of fill(tensors).entries()) all[at[i]!] = tree
      return f(...(all as never[]))
    },
    shape: (things) => {
      const trees = fill(things)
      return typeof argnums === 'number' ? trees[0] : trees
    },
  }
}

/**
 * The Jacobian by reverse mode, a row at a time: best where outputs are few. With `hasAux`, `[Jacobian, anything]`.
 * @example
 * func.jacrev((x: Tensor) => x.pow(2))(tensor([1, 2])).tolist() // [[2, 0], [0, 4]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.jacrev.html
 */
export function jacrev<A extends unknown[], R, X, N extends Argnums = 0>(
  f: Fn<A, readonly [R, X]>,
  argnums: N | undefined,
  options: JacobianOptions & { readonly hasAux: true },
): (...args: A) => [JacobianOf<R, N>, X]
export function jacrev<A extends unknown[], R, N extends Argnums = 0>(
  f: Fn<A, R>,
  argnums?: N,
  options?: JacobianOptions,
): (...args: A) => JacobianOf<R, N>
export function jacrev(f: Fn<never[], unknown>, argnums: Argnums = 0, options: JacobianOptions = {}): (...args: never[]) => unknown {
  checkOptions('jacrev', options, { hasAux: 'boolean', chunkSize: 'any' })
  return (...args) => {
    const x = inputs('jacrev', f, argnums, args)
    const flat = x.leaves.flat()
    const [outs, pull, beside] = pullback('jacrev', (...tensors: Tensor[]) => x.call(tensors), flat, options.hasAux ?? false)
    const { leaves, rebuild } = flatten(outs)
    const ys = leaves as Tensor[]
    const rows = ys.map((y, i) => {
      const one = (g: Tensor): unknown[] => pull(rebuild(ys.map((z, j) => (j === i ? g : z.zerosLike()))))
      const made = vmap(one, { randomness: 'same', chunkSize: options.chunkSize ?? null })(unitVectors(y)) as Tensor[]
      return x.shape(made.map((m, k) => m.reshape([...y.shape, ...flat[k]!.shape])))
    })
    const result = rebuild(rows)
    return options.hasAux ? [result, beside] : result
  }
}

/** Options of `jacfwd`. */
export interface ForwardOptions extends AuxOption {
  /** What random operations in `f` do; see `vmap`. Default 'error'. */
  readonly randomness?: Randomness
}

/**
 * The Jacobian by forward mode, a column at a time: best where inputs are few. With `hasAux`, `[Jacobian, anything]`.
 * @example
 * func.jacfwd((x: Tensor) => x.pow(2))(tensor([1, 2])).tolist() // [[2, 0], [0, 4]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.jacfwd.html
 */
export function jacfwd<A extends unknown[], R, X, N extends Argnums = 0>(
  f: Fn<A, readonly [R, X]>,
  argnums: N | undefined,
  options: ForwardOptions & { readonly hasAux: true },
): (...args: A) => [JacobianOf<R, N>, X]
export function jacfwd<A extends unknown[], R, N extends Argnums = 0>(
  f: Fn<A, R>,
  argnums?: N,
  options?: ForwardOptions,
): (...args: A) => JacobianOf<R, N>
export function jacfwd(f: Fn<never[], unknown>, argnums: Argnums = 0, options: ForwardOptions = {}): (...args: never[]) => unknown {
  checkOptions('jacfwd', options, { hasAux: 'boolean', randomness: 'any' })
  return (...args) => {
    const x = inputs('jacfwd', f, argnums, args)
    const flat = x.leaves.flat()
    let rest: unknown
    // One batch of tangents for each input tensor, zeros for the others.
    const columns = flat.map((input, i) => {
      const push = (t: Tensor): unknown => {
        const tangents = flat.map((z, j) => (j === i ? t : z.zerosLike()))
        if (!options.hasAux) return jvp((...tensors: Tensor[]) => x.call(tensors), flat, tangents)[1]
        const pair = (...tensors: Tensor[]): readonly [unknown, unknown] => x.call(tensors) as readonly [unknown, unknown]
        const [, tangent, beside] = jvp(pair, flat, tangents, { hasAux: true })
        return [tangent, beside]
      }
      const made = vmap(push, { randomness: options.randomness ?? 'error' })(unitVectors(input))
      if (!options.hasAux) return made
      const [tangent, beside] = made as [unknown, unknown]
      // What came beside is the same for every tangent.
      rest = mapTensors(beside, (t) => (t as Tensor).select(0, 0))
      return tangent
    })
    const { rebuild } = flatten(columns[0])
    const perOutput = flatten(columns[0]).leaves.map((_, o) =>
      x.shape(
        columns.map((column, i) => {
          const c = flatten(column).leaves[o] as Tensor
          return c.movedim(0, -1).reshape([...c.shape.slice(1), ...flat[i]!.shape])
        }),
      ),
    )
    const result = rebuild(perOutput)
    return options.hasAux ? [result, rest] : result
  }
}

/**
 * The Hessian of a scalar function: forward over reverse. With a list of `argnums`, blocks by pairs of arguments.
 * @example
 * func.hessian((x: Tensor) => x.pow(3).sum())(tensor([1, 2])).tolist() // [[6, 0], [0, 12]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.hessian.html
 */
export function hessian<A extends unknown[], N extends Argnums = 0>(
  f: Fn<A, Tensor>,
  argnums?: N,
): (...args: A) => N extends number ? Tensor : Tensor[][] {
  const which = (argnums ?? 0) as Argnums
  return jacfwd(jacrev(f, which), which) as (...args: A) => N extends number ? Tensor : Tensor[][]
}

/** The unit vectors of t's space, one per row: [n, ...shape]. */
function unitVectors(t: Tensor): Tensor {
  return constructStandardBasisFor([t])[0]!
}
