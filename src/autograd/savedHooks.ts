/** Hooks on what the graph saves, for whole blocks of code; and a block in which saved tensors may be changed in place. */
import { ArgumentError, GraphError, ModeError } from '../errors.ts'
import { cloneContiguous } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import type { Storage } from '../memory/storage.ts'
import { sameShape } from '../shape.ts'
import type { TensorCore } from '../tensor.ts'
import { type Mode, type MutationWatch, modeOf, modes, type SavedHooks } from './modes.ts'

/** Puts a pair of hooks in force, inside those that are; the result takes it out. */
export function enterHooks(hooks: Omit<SavedHooks, 'outer'>): () => void {
  if (modes.hooksDisabled !== null) throw new ModeError(modes.hooksDisabled)
  const before = modes.hooks
  const entered: SavedHooks = { ...hooks, outer: before }
  modes.hooks = entered
  return () => {
    entered.closed = true
    modes.hooks = before
  }
}

/**
 * While in force, every tensor that an operation saves for its gradient is given to `pack`, and what that returns is kept in
 * its place; `unpack` makes a tensor of it again when the gradient is computed. Pairs compose: the innermost packs first, and
 * a tensor that it returns goes on to the pair around it; unpacking goes the other way. `pack` runs without recording and
 * must not change its input.
 *
 * With `fn`: runs it under the hooks. Without: a mode, in its three forms (`mode(fn)`, `mode.wrap(fn)`, `mode.enter()`).
 * Errors: ModeError where hooks are disabled. When packing, InPlaceError if `pack` changes its input; when unpacking,
 * ArgumentError if `unpack` gives no tensor. What hooks throw goes through as it is.
 * @example
 * // Keep what is saved in half the bytes.
 * const x = tensor([1, 2], { requiresGrad: true, dtype: 'float64' })
 * const y = autograd.graph.savedTensorsHooks(
 *   (t) => t.to('float32'),
 *   (p) => p.to('float64'),
 *   () => x.pow(2).sum(),
 * )
 * y.backward()
 * x.grad!.tolist() // [2, 4]
 * @see https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.saved_tensors_hooks
 */
export function savedTensorsHooks<P>(pack: (t: Tensor) => P, unpack: (packed: P) => Tensor): Mode
export function savedTensorsHooks<P, R>(pack: (t: Tensor) => P, unpack: (packed: P) => Tensor, fn: () => R): R
export function savedTensorsHooks<P, R>(pack: (t: Tensor) => P, unpack: (packed: P) => Tensor, fn?: () => R): Mode | R {
  if (typeof pack !== 'function' || typeof unpack !== 'function') {
    throw new ArgumentError(`savedTensorsHooks: expected two functions, got ${typeof pack} and ${typeof unpack}`)
  }
  const mode = modeOf('savedTensorsHooks', () => enterHooks({ pack, unpack }))
  return fn === undefined ? mode : mode(fn)
}

const same = (t: Tensor): Tensor => t

/**
 * Hooks that move what is saved to the CPU. Everything is there already, so they keep tensors as they are; programs carry
 * over, and hooks around them still see what is saved.
 * @example
 * const x = tensor(2, { requiresGrad: true })
 * autograd.graph.saveOnCpu(() => x.pow(2)).item() // 4
 * @see https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.save_on_cpu
 */
export function saveOnCpu(): Mode
export function saveOnCpu<R>(fn: () => R): R
export function saveOnCpu<R>(fn?: () => R): Mode | R {
  return fn === undefined ? savedTensorsHooks(same, same) : savedTensorsHooks(same, same, fn)
}

/**
 * Refuses saved-tensor hooks while in force: for code that can't work with them. With `fn`: runs it; without: a mode.
 * Errors: ModeError with this message where hooks are put in force, and at once if some are.
 * @example
 * const x = tensor(2, { requiresGrad: true })
 * autograd.graph.disableSavedTensorsHooks('not here', () => x.pow(2)).item() // 4
 * @see https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.disable_saved_tensors_hooks
 */
export function disableSavedTensorsHooks(message: string): Mode
export function disableSavedTensorsHooks<R>(message: string, fn: () => R): R
export function disableSavedTensorsHooks<R>(message: string, fn?: () => R): Mode | R {
  const mode = modeOf('disableSavedTensorsHooks', () => {
    if (modes.hooks !== null) throw new ModeError(message)
    const before = modes.hooksDisabled
    modes.hooksDisabled = message
    return () => {
      modes.hooksDisabled = before
    }
  })
  return fn === undefined ? mode : mode(fn)
}

/** A saved tensor that may have to be copied before it changes. */
class Guarded {
  tensor: TensorCore
  readonly storage: Storage
  readonly version: number
  /** Saved tensors that refer to it. */
  uses = 0
  cloned = false

  constructor(t: TensorCore) {
    this.tensor = t
    this.storage = t.storage
    this.version = t.vc?.value ?? 0
  }

  is(t: TensorCore): boolean {
    const a = this.tensor.layout
    const b = t.layout
    return (
      !this.cloned &&
      this.version === (t.vc?.value ?? 0) &&
      a.offset === b.offset &&
      sameShape(a.shape, b.shape) &&
      sameShape(a.strides, b.strides)
    )
  }
}

/** What happens inside one `allowMutationOnSavedTensors`. */
export class MutationContext implements MutationWatch {
  private readonly saved = new Map<Storage, Set<Guarded>>()
  private count = 0
  private open = true

  /** How many saved tensors live on as copies because they were about to change. */
  get cloned(): number {
    return this.count
  }

  /** Copies the saved tensors that share memory with `t`. */
  before(t: TensorCore): void {
    const guarded = this.saved.get(t.storage)
    if (guarded === undefined) return
    this.saved.delete(t.storage)
    for (const g of guarded) {
      g.tensor = cloneContiguous(g.tensor, null)
      g.cloned = true
      this.count++
    }
  }

  /** The hooks that note what is saved. */
  get hooks(): Omit<SavedHooks, 'outer'> {
    return {
      pack: (t) => {
        let guarded = this.saved.get(t.storage)
        if (guarded === undefined) this.saved.set(t.storage, (guarded = new Set()))
        let found = [...guarded].find((g) => g.is(t))
        if (found === undefined) guarded.add((found = new Guarded(t)))
        found.uses++
        return found
      },
      unpack: (guarded: Guarded) => {
        if (!this.open) {
          throw new GraphError(
            "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context in which the graph was originally recorded.",
          )
        }
        return guarded.tensor as Tensor
      },
      release: (guarded: Guarded) => {
        if (--guarded.uses > 0) return
        if (guarded.cloned) this.count--
        else this.saved.get(guarded.storage)?.delete(guarded)
      },
    }
  }

  close(): void {
    this.open = false
    this.count = 0
    this.saved.clear()
  }
}

/**
 * Runs `fn`, in which tensors that the graph has saved may be changed in place: they are copied first, once, so that
 * gradients are those of the values that were used. Forward and backward must both be inside. `fn` gets a context that counts
 * the copies.
 * Errors: ModeError when nested; GraphError for a backward outside.
 * @example
 * const x = tensor(3, { requiresGrad: true })
 * const cloned = autograd.graph.allowMutationOnSavedTensors((context) => {
 *   const y = x.mul(1)
 *   const loss = y.pow(2)
 *   y.sin_()
 *   const { cloned } = context
 *   loss.backward()
 *   return cloned
 * })
 * x.grad!.item() // 6
 * cloned // 1
 * @see https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.allow_mutation_on_saved_tensors
 */
export function allowMutationOnSavedTensors<R>(fn: (context: MutationContext) => R): R {
  const context = new MutationContext()
  const mode = modeOf('allowMutationOnSavedTensors', () => {
    if (modes.mutation !== null) throw new ModeError('allow_mutation_on_saved_tensors contexts cannot be nested')
    const leave = enterHooks(context.hooks)
    modes.mutation = context
    return () => {
      context.close()
      modes.mutation = null
      leave()
    }
  })
  return mode(() => fn(context))
}
