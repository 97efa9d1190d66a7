/** Nested arrays and plain objects of tensors, seen as flat lists. */
import { isTensor, type TensorCore } from './tensor.ts'

/** Any nesting of arrays and plain objects with tensors (and other values, which pass through) at the leaves. */
export type Tree = unknown

/**
 * The leaves of a tree in order, and how to build the same tree from other leaves.
 * @example
 * const { leaves, rebuild } = func.flatten({ a: 1, b: [2] })
 * rebuild(leaves.map((v) => Number(v) * 10)) // { a: 10, b: [20] }
 */
export function flatten(tree: Tree): { leaves: unknown[]; rebuild: (leaves: readonly unknown[]) => Tree } {
  const leaves: unknown[] = []
  const build = walk(tree, leaves)
  return {
    leaves,
    rebuild: (values) => {
      let i = 0
      return build(() => values[i++])
    },
  }
}

type Builder = (next: () => unknown) => unknown

function walk(tree: Tree, leaves: unknown[]): Builder {
  if (Array.isArray(tree)) {
    const parts = tree.map((x) => walk(x, leaves))
    return (next) => parts.map((p) => p(next))
  }
  if (isPlainObject(tree)) {
    const parts = Object.entries(tree).map(([k, v]) => [k, walk(v, leaves)] as const)
    return (next) => Object.fromEntries(parts.map(([k, p]) => [k, p(next)]))
  }
  leaves.push(tree)
  return (next) => next()
}

/** An object literal, rather than an instance of a class? */
export function isPlainObject(x: unknown): x is Record<string, unknown> {
  if (typeof x !== 'object' || x === null || isTensor(x)) return false
  const prototype: unknown = Object.getPrototypeOf(x)
  return prototype === Object.prototype || prototype === null
}

/**
 * The same tree with `fn` applied to its tensors.
 * @example
 * func.mapTensors({ a: tensor([1, 2]), b: 'kept' }, (t) => t.shape) // { a: [2], b: 'kept' }
 */
export function mapTensors(tree: Tree, fn: (t: TensorCore) => unknown): Tree {
  const { leaves, rebuild } = flatten(tree)
  return rebuild(leaves.map((x) => (isTensor(x) ? fn(x) : x)))
}
