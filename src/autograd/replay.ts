/** Views that remember the operations that made them, so that they can be made again: on a changed base, or on another one. */
import { ArgumentError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkKind, checkOptions } from '../options.ts'
import { sameShape } from '../shape.ts'
import { expectTensor, type TensorCore } from '../tensor.ts'
import { guard, type ModeGuard, modes, type ViewOperation, type ViewWatch, withGrad } from './modes.ts'

/** One operation of a chain of views, after those before it. */
interface Step {
  readonly before: Step | null
  readonly op: ViewOperation
  readonly parameters: unknown
  /** Which of the operation's results. */
  readonly nr: number
}

/** What `viewFunc` may change of a step: the parameters of `op`, as `gradFn.saved` shows them. */
export type ViewParameters = (op: string, parameters: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>

class Replay implements ViewWatch {
  private readonly steps = new WeakMap<TensorCore, Step>()

  made(view: TensorCore, of: TensorCore, op: ViewOperation, parameters: unknown, nr: number): void {
    const before = this.steps.get(of) ?? null
    // After a view that isn't known the chain would have a gap.
    if (before !== null || of.viewMeta === null) this.steps.set(view, { before, op, parameters, nr })
  }

  again(view: TensorCore): TensorCore | null {
    const step = this.steps.get(view)
    if (step === undefined) return null
    const { selection } = modes
    modes.selection = null
    try {
      const made = withGrad(true, () => run(step, view.viewMeta!.base, null))
      // An in-place form of a view (`t_`, `squeeze_`) may have rearranged it since.
      const [ours, theirs] = [made.layout, view.layout]
      return sameShape(ours.shape, theirs.shape) && sameShape(ours.strides, theirs.strides) && ours.offset === theirs.offset ? made : null
    } finally {
      modes.selection = selection
    }
  }

  /** The same on another base; null if the view isn't what its operations make any more. */
  on(view: TensorCore, base: TensorCore, change: ViewParameters | null): TensorCore | null {
    return this.again(view) === null ? null : run(this.steps.get(view)!, base, change)
  }
}

/** The chain of views that ends with `step`, on `base`. */
function run(step: Step, base: TensorCore, change: ViewParameters | null): TensorCore {
  const chain: Step[] = []
  for (let s: Step | null = step; s !== null; s = s.before) chain.push(s)
  return chain.reduceRight((x, { op, parameters, nr }) => {
    const made = op.call([x], change === null ? parameters : change(op.name, parameters as Record<string, unknown>))
    return Array.isArray(made) ? made[nr]! : made
  }, base)
}

let replay: Replay | null = null

/**
 * From here on (or, with false, no longer) views remember the operations that made them. When such a view or its base is
 * changed in place, the view's new `gradFn` is that of its operations (`SelectBackward0`), not the general `AsStridedBackward0`.
 * Gradients are the same. The result puts back what was in force.
 * @example
 * const x = ones([2, 2], { requiresGrad: true })
 * const tracking = autograd.forceOriginalViewTracking(true)
 * x.clone().view([-1]).add_(1).gradFn!.name() // ViewBackward0
 * tracking.restore()
 */
export function forceOriginalViewTracking(enabled: boolean): ModeGuard {
  checkKind('forceOriginalViewTracking', 'its argument', enabled, 'boolean')
  const before = modes.views
  modes.views = enabled ? (replay ??= new Replay()) : null
  return guard(() => (modes.views = before), 'forceOriginalViewTracking', false)
}

/**
 * Do views remember the operations that made them? See `forceOriginalViewTracking`.
 * @example
 * autograd.isViewReplayEnabled() // false
 */
export function isViewReplayEnabled(): boolean {
  return modes.views !== null
}

/**
 * What `view` is of its base, of `newBase`, which must be laid out like that base: the operations that made the view, if it was
 * made while `forceOriginalViewTracking` was on, otherwise a window of the same strides. `parameters` may give other parameters
 * to those operations. Recorded, like the operations themselves.
 * Errors: ArgumentError for a tensor that is no view, or `parameters` for one that knows no operations; ShapeError for another layout.
 * @example
 * const row = tensor([[1, 2], [3, 4]]).select(0, 1)
 * autograd.viewFunc(row, tensor([[5, 6], [7, 8]])).tolist() // [7, 8]
 */
export function viewFunc(view: Tensor, newBase: Tensor, options: { readonly parameters?: ViewParameters } = {}): Tensor {
  const op = 'viewFunc'
  expectTensor(op, view, 'argument 0')
  expectTensor(op, newBase, 'argument 1')
  checkOptions(op, options, { parameters: 'function' })
  const { parameters = null } = options
  if (view.viewMeta === null) throw new ArgumentError(`${op}: a tensor of shape ${show(view.shape)} is not a view of another`, { op })
  const { layout } = view.viewMeta.base
  const theirs = newBase.layout
  if (!sameShape(layout.shape, theirs.shape) || !sameShape(layout.strides, theirs.strides)) {
    throw new ShapeError(
      `${op}: the new base must be laid out like the view's base: ${show(theirs.shape)} with strides ${show(theirs.strides)} instead of ${show(layout.shape)} with strides ${show(layout.strides)}`,
      { op, shapes: [layout.shape, theirs.shape] },
    )
  }
  const again = replay?.on(view, newBase, parameters) ?? null
  if (again !== null) return again as Tensor
  if (parameters !== null) {
    throw new ArgumentError(`${op}: this view knows no operations; make it while forceOriginalViewTracking(true) is in force`, { op })
  }
  return newBase.asStrided(view.shape, view.layout.strides, view.layout.offset - layout.offset + theirs.offset)
}
