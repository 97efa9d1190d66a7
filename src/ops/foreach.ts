/** One operation on every tensor of a list, as optimizers of one's own have them. */
import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import type { HasOp } from '../op/kinds.ts'
import { checkFunction, describe } from '../options.ts'
import { expectTensor } from '../tensor.ts'

/** Arguments that are the same for all tensors, or lists with one for each. */
export type Each<A extends readonly unknown[]> = { [K in keyof A]: A[K] | readonly A[K][] }

/** The arguments of each call; everything is looked at before anything is computed. */
function calls(op: string, tensors: readonly Tensor[], rest: readonly unknown[]): unknown[][] {
  if (!Array.isArray(tensors)) throw new ArgumentError(`${op}: expected a list of tensors, got ${describe(tensors)}`, { op })
  if (tensors.length === 0) throw new ArgumentError(`Tensor list must have at least one tensor. (${op})`, { op })
  tensors.forEach((t, i) => {
    expectTensor(op, t, `tensor ${i}`)
  })
  for (const list of rest) {
    if (Array.isArray(list) && list.length !== tensors.length) {
      throw new ArgumentError(`Tensor lists must have the same number of tensors, got ${tensors.length} and ${list.length} (${op})`, { op })
    }
  }
  return tensors.map((_, i) => rest.map((list: unknown) => (Array.isArray(list) ? list[i] : list)))
}

/**
 * `fn` of each tensor: the list of results, each recorded. Further arguments of `fn` are the same for all, or lists with one for
 * each tensor. Errors: ArgumentError for an empty list or lists of different lengths; those of `fn`.
 * @example
 * foreach(mul, [tensor(2), tensor(3)], [tensor(10), tensor(100)]) // [tensor(20.), tensor(300.)]
 * @see https://docs.pytorch.org/docs/stable/torch.html#foreach-operations
 */
export function foreach<A extends unknown[], R>(
  fn: (x: Tensor, ...rest: A) => R,
  tensors: readonly Tensor[],
  ...rest: Partial<Each<A>>
): R[] {
  checkFunction('foreach', fn)
  return calls('foreach', tensors, rest).map((args, i) => fn(tensors[i]!, ...(args as A)))
}

/**
 * Overwrites each tensor with `fn` of it, as the method `fn_` does (`add_` for `add`), and returns them. `fn` is an elementwise
 * operation; arguments as for `foreach`.
 * Errors: ArgumentError for an `fn` without an in-place form, an empty list or lists of different lengths; those of the in-place form.
 * @example
 * const [params, grads] = [[ones([1]), ones([2])], [ones([1]), ones([2])]]
 * foreach_(add, params, grads, { alpha: -0.5 }).map((p) => p.tolist()) // [[0.5], [0.5, 0.5]]
 * @see https://docs.pytorch.org/docs/stable/torch.html#foreach-operations
 */
export function foreach_<A extends unknown[]>(
  fn: ((x: Tensor, ...rest: A) => Tensor) & HasOp & { readonly inPlace?: (x: Tensor, ...rest: A) => Tensor },
  tensors: readonly Tensor[],
  ...rest: Partial<Each<A>>
): readonly Tensor[] {
  checkFunction('foreach_', fn)
  const { op, inPlace } = fn
  if (op === undefined)
    throw new ArgumentError(`foreach_: ${fn.name || 'the function'} has no in-place form; elementwise operations have`, { op: 'foreach_' })
  calls('foreach_', tensors, rest).forEach((args, i) => {
    const x = tensors[i]!
    if (inPlace === undefined) op.inPlace(x, (args as Tensor[]).slice(0, op.arity - 1), null)
    else inPlace(x, ...(args as A))
  })
  return tensors
}
