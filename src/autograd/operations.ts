/** Modes in which each operation that computes something is seen: by selective checkpoints, and by programs. */
import type { Tensor } from '../fluent.ts'
import { checkFunction } from '../options.ts'
import type { TensorCore } from '../tensor.ts'
import { type Mode, modeOf, modes, type Selection, withGrad } from './modes.ts'

/** Runs inside the selections that were in force, so that nested ones see each other's work. */
export function selectionMode(name: string, make: (outer: Selection | null) => Pick<Selection, 'compute'>): Mode {
  return modeOf(name, () => {
    const before = modes.selection
    modes.selection = { watching: before?.watching ?? null, ...make(before) }
    return () => {
      modes.selection = before
    }
  })
}

/** What `watching` is for one that only watches. */
export function watchingInside(watcher: Selection, outer: Selection | null): Selection | null {
  return outer === null || outer.watching === outer ? watcher : outer.watching
}

/** An operation as those around see it. */
export const through = <R extends TensorCore | TensorCore[]>(
  outer: Selection | null,
  op: string,
  args: readonly unknown[],
  run: () => R,
): R => (outer === null ? run() : outer.compute(op, args, run))

/** Is told of an operation: its name (`'mul'`, `'matmul'`), its tensors, and what it computed, which isn't recorded yet. */
export type OperationWatch = (op: string, args: readonly unknown[], result: Tensor | Tensor[]) => void

/**
 * A mode in which `see` is told of each operation that makes a new tensor or a view, after it has run: for logs, counters, checks
 * (what it throws goes to whoever called the operation). What `see` computes isn't watched by this mode, nor recorded. In-place
 * operations and the fused kernels of backward passes are none; with `createGraph` passes run operations. What a checkpoint
 * computes again in a pass is seen by the modes that are in force around the pass.
 * @example
 * const seen: string[] = []
 * const logging = autograd.watchOperations((op, args) => void seen.push(`${op} of ${args.length}`))
 * logging(() => ones([2]).mul(ones([2])).exp().view([1, 2]))
 * seen // ['mul of 2', 'exp of 1', 'view of 1']
 * @see https://docs.pytorch.org/docs/stable/notes/extending.html#extending-all-torch-api-with-modes
 */
// @__NO_SIDE_EFFECTS__
export function watchOperations(see: OperationWatch): Mode {
  checkFunction('watchOperations', see)
  return modeOf('watchOperations', () => {
    const before = modes.selection
    modes.selection = new Watcher(see, before)
    return () => {
      modes.selection = before
    }
  })
}

class Watcher implements Selection {
  readonly watching: Selection | null
  private readonly see: OperationWatch
  private readonly outer: Selection | null

  constructor(see: OperationWatch, outer: Selection | null) {
    this.see = see
    this.outer = outer
    this.watching = watchingInside(this, outer)
  }

  compute<R extends TensorCore | TensorCore[]>(op: string, args: readonly unknown[], run: () => R): R {
    const result = through(this.outer, op, args, run)
    const { selection } = modes
    modes.selection = this.outer
    try {
      withGrad(false, () => this.see(op, args, result as Tensor | Tensor[]))
    } finally {
      modes.selection = selection
    }
    return result
  }
}
