/** Grad modes: what is recorded, for how long, and what happens to a mode that crosses an `await`. */
import { ModeError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkFunction, checkKind } from '../options.ts'
import { bornWith, type TensorCore } from '../tensor.ts'
import type { Node } from './node.ts'
import { INFERENCE, type VersionCounter } from './version.ts'

/** A pair of saved-tensor hooks, and those that were in force around it. */
export interface SavedHooks {
  readonly pack: (t: Tensor) => unknown
  readonly unpack: (packed: never) => Tensor
  /** Told when a node lets go of what was packed. */
  readonly release?: (packed: never) => void
  readonly outer: SavedHooks | null
  /** Their block has ended: whoever puts them back in force must not. */
  closed?: true
}

/** Sees every computation of an operation, and may answer in its place. */
export interface Selection {
  /** What is in force where the program isn't followed, as when a checkpoint computes again: those around that only watch. */
  readonly watching: Selection | null
  compute<R extends TensorCore | TensorCore[]>(op: string, args: readonly unknown[], run: () => R): R
}

/** Is told of every in-place change before it happens. */
export interface MutationWatch {
  before(t: TensorCore): void
}

/** Follows what happens to nodes and versions, for errors that tell where; see `detectAnomaly`. */
export interface AnomalyWatch {
  readonly checkNan: boolean
  /** A node was recorded. */
  made(node: Node): void
  /** A pass let go of what a node saved. */
  freed(node: Node): void
  /** An in-place operation counted a version up. */
  changed(counter: VersionCounter): void
  /** A node's rules or hooks threw. */
  failed(node: Node): void
  /** The gradients that a node made. */
  check(node: Node, gradients: readonly (TensorCore | null)[]): void
  /** For the text of a refusal: where the reader saved its tensor, and where that was changed. */
  conflict(reader: object, counter: VersionCounter): string
  /** Likewise: where a node was recorded, and freed. */
  whereFreed(node: Node): string
}

/** Times what happens; see `profile`. */
export interface ProfileWatch {
  /** Runs an operation on `args`. */
  op<R extends TensorCore | TensorCore[]>(name: string, args: readonly unknown[], run: () => R): R
  /** Runs a node of a pass; `made` are the gradients of its inputs afterwards. */
  node(node: Node, made: readonly (TensorCore | null)[], run: () => void): void
  /** Begins a named part of the program; the result ends it. */
  range(name: string): Leave
}

/** What made a view, as those who make it again call it. */
export interface ViewOperation {
  readonly name: string
  call(x: readonly TensorCore[], parameters: unknown): TensorCore | TensorCore[]
}

/** Notes how views are made; see `forceOriginalViewTracking`. */
export interface ViewWatch {
  /** Result `nr` of an operation became a view of `of`. */
  made(view: TensorCore, of: TensorCore, op: ViewOperation, parameters: unknown, nr: number): void
  /** The view made again, with its history, from its base as it is now; null if that can't be done. */
  again(view: TensorCore): TensorCore | null
}

/** The modes in force. Read on every op, so plain fields. */
export const modes: {
  grad: boolean
  suppressed: boolean
  inference: boolean
  trouble: ModeError | null
  hooks: SavedHooks | null
  hooksDisabled: string | null
  mutation: MutationWatch | null
  selection: Selection | null
  anomaly: AnomalyWatch | null
  profile: ProfileWatch | null
  views: ViewWatch | null
} = {
  /** Record operations? */
  grad: true,
  /** Switched on inside inference mode, where nothing is recorded. */
  suppressed: false,
  inference: false,
  /** A mode that was left open; thrown by the next op. */
  trouble: null,
  /** Saved-tensor hooks, the innermost pair. */
  hooks: null,
  /** What to say to those who use saved-tensor hooks; null: they may. */
  hooksDisabled: null,
  /** Inside `allowMutationOnSavedTensors`. */
  mutation: null,
  /** Inside selective checkpoints. */
  selection: null,
  /** Inside `detectAnomaly`. */
  anomaly: null,
  /** Inside `profile`. */
  profile: null,
  /** Inside `forceOriginalViewTracking(true)`. */
  views: null,
}

/** Throws what went wrong with a mode since the last op, once. */
export function raiseTrouble(): void {
  const trouble = modes.trouble
  if (trouble !== null) {
    modes.trouble = null
    throw trouble
  }
}

/**
 * Is recording on? (Inside inference mode `enableGrad` counts, though nothing is recorded there.)
 * @example
 * noGrad(() => isGradEnabled()) // false
 */
export function isGradEnabled(): boolean {
  return modes.grad || modes.suppressed
}

/**
 * Is inference mode on?
 * @example
 * inferenceMode(() => isInferenceModeEnabled()) // true
 */
export function isInferenceModeEnabled(): boolean {
  return modes.inference
}

/** Restores the mode that was in force; works with `using`. */
export interface ModeGuard extends Disposable {
  /** Restores at once; later calls do nothing. */
  restore(): void
}

type AnyFunction = (...args: never[]) => unknown

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

function isGenerator(value: unknown): value is Generator {
  return typeof value === 'object' && value !== null && Object.prototype.toString.call(value) === '[object Generator]'
}

/** A mode in its three forms: a block, a wrapped function (also a method decorator), an explicit guard. */
export interface Mode {
  /** Runs `fn` in this mode and returns its result. Async functions are refused: a mode can't cross an `await`. */
  <R>(fn: () => R): R
  /** A function that enters this mode at each call; as it stands, a standard method decorator. */
  wrap<F extends AnyFunction>(fn: F, context?: ClassMethodDecoratorContext): F
  /** Enters until `restore()` or the end of a `using` block. */
  enter(): ModeGuard
}

/** Puts back what was in force. */
export type Leave = () => void

/** A guard that calls `leave` once; `watch`: it must have been closed when the current job ends. */
export function guard(leave: Leave, name: string, watch: boolean): ModeGuard {
  let open = true
  const restore = (): void => {
    if (!open) return
    open = false
    leave()
  }
  if (watch) {
    queueMicrotask(() => {
      if (!open) return
      restore()
      modes.trouble = new ModeError(
        `${name}.enter() was still open when the current job ended: a mode can't cross an await. Enter it again after the await, or use ${name}(() => …)`,
      )
    })
  }
  return { restore, [Symbol.dispose]: restore }
}

/** The three forms of a mode that `enter` enters. */
// @__NO_SIDE_EFFECTS__
export function modeOf(name: string, enter: () => Leave): Mode {
  const run = <R>(fn: () => R): R => {
    checkFunction(name, fn)
    const leave = enter()
    let result: R
    try {
      result = fn()
    } finally {
      leave()
    }
    if (isThenable(result)) {
      throw new ModeError(
        `${name}: the function is async, but a mode can't cross an await. Wrap the synchronous parts: ${name}(() => model.forward(x))`,
      )
    }
    if (isGenerator(result)) return inMode(result, enter) as R
    return result
  }
  const wrap = <F extends AnyFunction>(fn: F): F => {
    const wrapped = function (this: unknown, ...args: never[]): unknown {
      return run(() => fn.apply(this, args))
    }
    Object.defineProperty(wrapped, 'name', { value: fn.name, configurable: true })
    return wrapped as unknown as F
  }
  return Object.assign(run, { wrap, enter: (): ModeGuard => guard(enter(), name, true) })
}

/** Re-enters the mode at every resume of a generator and leaves it at every yield, as torch does. */
function* inMode(inner: Generator, enter: () => Leave): Generator {
  const step = (fn: () => IteratorResult<unknown>): IteratorResult<unknown> => {
    const leave = enter()
    try {
      return fn()
    } finally {
      leave()
    }
  }
  let result = step(() => inner.next())
  try {
    while (!result.done) {
      let sent: unknown
      try {
        sent = yield result.value
      } catch (error) {
        result = step(() => inner.throw(error))
        continue
      }
      result = step(() => inner.next(sent))
    }
  } finally {
    if (!result.done) step(() => inner.return(undefined))
  }
  return result.value
}

/** Sets the grad modes; the result puts back what they were. */
function set(grad: boolean, inference: boolean): Leave {
  const before = { grad: modes.grad, suppressed: modes.suppressed, inference: modes.inference }
  modes.grad = grad && !inference
  modes.suppressed = grad && inference
  switchInference(inference)
  return () => {
    modes.grad = before.grad
    modes.suppressed = before.suppressed
    switchInference(before.inference)
  }
}

/** New tensors are inference tensors from here on, or aren't. */
export function switchInference(on: boolean): void {
  if (on === modes.inference) return
  modes.inference = on
  bornWith(on ? INFERENCE : null)
}

/**
 * Switches recording off: results have `requiresGrad` false and no graph, whatever their inputs.
 * @example
 * const x = tensor(2, { requiresGrad: true })
 * noGrad(() => x.pow(2).add(20)).requiresGrad // false
 * @see https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html
 */
export const noGrad: Mode = /* @__PURE__ */ modeOf('noGrad', () => set(false, modes.inference))

/**
 * Switches recording on inside `noGrad`; inside `inferenceMode` nothing is recorded all the same.
 * @example
 * const x = tensor(2, { requiresGrad: true })
 * noGrad(() => enableGrad(() => x.mul(2))).requiresGrad // true
 * @see https://docs.pytorch.org/docs/stable/generated/torch.enable_grad.html
 */
export const enableGrad: Mode = /* @__PURE__ */ modeOf('enableGrad', () => set(true, modes.inference))

/** Inference mode: `noGrad`'s three forms, and the mode off with `false` as the first argument. */
export interface InferenceMode extends Mode {
  <R>(fn: () => R): R
  <R>(enabled: boolean, fn: () => R): R
  enter(enabled?: boolean): ModeGuard
}

const inference = (enabled: boolean): Mode => modeOf('inferenceMode', () => set(!enabled, enabled))

/**
 * Like `noGrad`, for code that will never be differentiated: tensors made inside don't count versions, and for good may
 * neither be saved for a backward pass nor be changed in place outside. `inferenceMode(false, fn)` runs `fn` in normal mode.
 * @example
 * const model = new nn.Linear(2, 1)
 * inferenceMode(() => model.forward(ones([3, 2]))).requiresGrad // false
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad_mode.inference_mode.html
 */
export const inferenceMode: InferenceMode = /* @__PURE__ */ Object.assign(
  <R>(first: boolean | (() => R), fn?: () => R): R =>
    typeof first === 'boolean' ? inference(first)(fn as () => R) : inference(true)(first),
  {
    wrap: <F extends AnyFunction>(fn: F): F => inference(true).wrap(fn),
    enter: (enabled = true): ModeGuard => inference(enabled).enter(),
  },
)

/**
 * Switches recording on or off at once, until changed again; the result restores what was in force.
 * @example
 * const x = tensor(2, { requiresGrad: true })
 * const guard = setGradEnabled(false)
 * x.pow(2).requiresGrad // false
 * guard.restore()
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad_mode.set_grad_enabled.html
 */
export function setGradEnabled(enabled: boolean): ModeGuard {
  checkKind('setGradEnabled', 'its argument', enabled, 'boolean')
  return guard(set(enabled, modes.inference), 'setGradEnabled', false)
}

/** Runs library code with recording set to `grad`, without the checks meant for users' functions. */
export function withGrad<R>(grad: boolean, fn: () => R): R {
  const before = modes.grad
  modes.grad = grad
  try {
    return fn()
  } finally {
    modes.grad = before
  }
}
