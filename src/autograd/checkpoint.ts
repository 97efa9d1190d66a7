/** Checkpoints: a part of the forward pass keeps only its inputs, and is computed again when its gradients are needed. */
import { ArgumentError, AutogradError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { defaultGenerator, type Generator, type GeneratorState } from '../random.ts'
import { isTensor, type TensorCore } from '../tensor.ts'
import { flatten } from '../tree.ts'
import { runningTask } from './engine.ts'
import { type Mode, modeOf, modes, switchInference, withGrad } from './modes.ts'
import { selectionMode, through } from './operations.ts'
import { alias, SavedTensor } from './saved.ts'
import { enterHooks } from './savedHooks.ts'

// Note [Checkpoints]
// In the forward pass every tensor that would be saved is replaced by a numbered holder. When the first holder is opened in a
// backward pass, the function runs again with the inputs it had, and the n-th tensor saved then is what the n-th holder stands
// for; the rest of the function is left out as soon as all of them are known. A pass recomputes once; what it recomputed is
// let go holder by holder. A checkpoint inside a checkpoint packs its inputs by the outer one's hooks, so opening an inner
// holder may first recompute the outer function.

/** The forward pass and its recomputation did not save the same tensors. */
export class CheckpointError extends AutogradError {
  override name = 'CheckpointError'
}

/** Options of `checkpoint.with`. */
export interface CheckpointOptions {
  /** Only the variant without nested backward passes exists: false, or left out. */
  readonly useReentrant?: false
  /** Recompute with the random numbers of the forward pass. Default true. */
  readonly preserveRngState?: boolean
  /** Generators, besides the default one, whose states are kept for recomputation. */
  readonly generators?: readonly Generator[]
  /** Compare shapes and dtypes of what is recomputed with what was saved (`'default'`), or don't (`'none'`). */
  readonly determinismCheck?: 'default' | 'none'
  /** When forward and recomputation differ, list the operations of both with the lines that called them. */
  readonly debug?: boolean
  /** Stop recomputing when everything that is needed is known. Default true. */
  readonly earlyStop?: boolean
  /** Modes for the forward pass and for recomputation: see `createSelectiveCheckpointContexts`. */
  readonly contextFn?: () => readonly [Mode, Mode]
}

let forcedEarlyStop: boolean | null = null
let forcedDebug: boolean | null = null
let group: Group | null = null
let accesses = 0

/** Backward passes that share what was recomputed. */
interface Group {
  readonly ends: (() => void)[]
}

/** Thrown through the function that is recomputed, once nothing more is needed of it. */
class Enough extends Error {}

/** One tensor that the forward pass would have saved. */
class Holder {
  readonly frame: Frame
  readonly meta: string | null
  /** What it stands for, by recomputation; null: taken already. */
  readonly values = new Map<Recomputation, TensorCore | null>()
  live = true

  constructor(frame: Frame, meta: string | null) {
    this.frame = frame
    this.meta = meta
  }

  release(): void {
    if (!this.live) return
    this.live = false
    this.values.clear()
    this.frame.letGo()
  }
}

/** One run of the function in a backward pass. */
class Recomputation {
  saved = 0
  enough = false
  /** A backward pass inside the function asked before its forward was complete: numbers can't be compared. */
  partial = false
  readonly metas: string[] = []
}

function describe(t: TensorCore): string {
  return `{'shape': ${show(t.layout.shape)}, 'dtype': ${t.dt.name}, 'device': cpu}`
}

const TIP =
  'Tip: To see a more detailed error message, either pass `debug: true` to `checkpoint.with(…)` or wrap the code with ' +
  '`setCheckpointDebugEnabled(true, () => …)` to enable checkpoint-debug mode globally.'

/** One call of a checkpointed function. */
class Frame {
  readonly holders: Holder[] = []
  complete = false
  private open = 0
  private readonly run: (args: readonly unknown[]) => void
  private readonly earlyStop: boolean
  private readonly compare: boolean
  private readonly explain: (error: CheckpointError) => CheckpointError
  private inputs: readonly unknown[] = []
  private rebuild: (leaves: readonly unknown[]) => unknown = () => []
  private readonly done = new Map<object | number, Recomputation>()

  constructor(
    run: (args: readonly unknown[]) => void,
    earlyStop: boolean,
    compare: boolean,
    explain: (error: CheckpointError) => CheckpointError,
  ) {
    this.run = run
    this.earlyStop = earlyStop
    this.compare = compare
    this.explain = explain
  }

  /** Saves tensors among the arguments as a node would; other values are kept as they are. */
  saveInputs(args: readonly unknown[]): void {
    const { leaves, rebuild } = flatten(args)
    this.inputs = leaves.map((x) => (isTensor(x) ? SavedTensor.input(x) : x))
    this.rebuild = rebuild
  }

  private args(): readonly unknown[] {
    const reader = { name: () => 'checkpoint', operation: null }
    return this.rebuild(this.inputs.map((x) => (x instanceof SavedTensor ? x.unpack(reader) : x))) as readonly unknown[]
  }

  /** A node let go of a holder; with the last one the inputs go too. */
  letGo(): void {
    if (--this.open > 0 || !this.complete) return
    for (const x of this.inputs) if (x instanceof SavedTensor) x.release()
    this.inputs = []
  }

  pack(t: TensorCore): Holder {
    const holder = new Holder(this, this.compare ? describe(t) : null)
    this.holders.push(holder)
    this.open++
    return holder
  }

  unpack(holder: Holder): Tensor {
    const task = runningTask()
    const key: object | number = group ?? task?.id ?? --accesses
    let made = this.done.get(key)
    if (made === undefined) {
      made = this.recompute()
      this.done.set(key, made)
      const run = made
      const forget = (): void => {
        this.done.delete(key)
        for (const h of this.holders) h.values.delete(run)
      }
      if (group !== null) group.ends.push(forget)
      else if (task !== null) task.callbacks.push(forget)
      else {
        const value = holder.values.get(made)
        forget()
        return value as Tensor
      }
    }
    const value = holder.values.get(made)
    if (value === null || value === undefined) {
      throw new CheckpointError(
        'torch.utils.checkpoint: Unpack is being triggered for a tensor that was already unpacked once. ' +
          (group === null
            ? ''
            : 'Performing two backward calls that overlap (i.e. require the same saved activation in order to compute gradients) is not allowed while under the graphExecGroup context. ') +
          'If you are calling ctx.savedTensors in backward, make sure to do so only once.',
      )
    }
    holder.values.set(made, null)
    return value as Tensor
  }

  private recompute(): Recomputation {
    const made = new Recomputation()
    const args = this.args()
    const { hooks, inference, selection } = modes
    modes.hooks = { pack: (t) => this.repack(t, made), unpack: (t: Tensor) => t, outer: null }
    switchInference(false)
    modes.selection = selection?.watching ?? null
    try {
      withGrad(true, () => this.run(args))
    } catch (error) {
      if (!(error instanceof Enough)) throw error instanceof CheckpointError ? this.explain(error) : error
    } finally {
      modes.hooks = hooks
      switchInference(inference)
      modes.selection = selection
    }
    const problem = made.partial ? null : this.mismatch(made)
    if (problem !== null) throw this.explain(new CheckpointError(problem))
    return made
  }

  /** The hook of a recomputation: gives the tensor to the holder whose turn it is. */
  private repack(t: TensorCore, made: Recomputation): TensorCore {
    const value = t.rg ? alias(t) : t
    if (made.enough) return value
    const holder = this.holders[made.saved++]
    if (holder === undefined) {
      if (this.complete) {
        throw new CheckpointError(
          `torch.utils.checkpoint: trying to save more tensors during recomputation than during the original forward pass.\n${TIP}`,
        )
      }
      made.partial = true
      return value
    }
    if (this.compare) made.metas.push(describe(t))
    if (holder.live) holder.values.set(made, value)
    if (this.earlyStop && made.saved === this.holders.length) {
      made.enough = true
      throw new Enough('recomputation is complete')
    }
    return value
  }

  private mismatch(made: Recomputation): string | null {
    if (made.saved !== this.holders.length) {
      return (
        'torch.utils.checkpoint: A different number of tensors was saved during the original forward and recomputation.\n' +
        `Number of tensors saved during forward: ${this.holders.length}\nNumber of tensors saved during recomputation: ${made.saved}.\n${TIP}`
      )
    }
    if (!this.compare) return null
    const different = this.holders.flatMap(({ live, meta }, i) =>
      !live || meta === made.metas[i] ? [] : [`tensor at position ${i}:\nsaved metadata: ${meta}\nrecomputed metadata: ${made.metas[i]}`],
    )
    if (different.length === 0) return null
    return (
      'torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than during the forward pass.\n' +
      `${different.join('\n')}.\n${TIP}`
    )
  }
}

/** Runs `fn` with these generators at these states, and puts them back. */
function withStates<R>(generators: readonly Generator[], states: readonly GeneratorState[], fn: () => R): R {
  const before = generators.map((g) => g.getState())
  generators.forEach((g, i) => {
    g.setState(states[i]!)
  })
  try {
    return fn()
  } finally {
    generators.forEach((g, i) => {
      g.setState(before[i]!)
    })
  }
}

/** Lists the operations of both runs, for the report of a difference. */
function logging(): { readonly contexts: readonly [Mode, Mode]; explain(error: CheckpointError): CheckpointError } {
  const logs: [string[], string[]] = [[], []]
  const mode = (log: string[]): Mode =>
    selectionMode('checkpoint', (outer) => {
      log.length = 0
      return {
        compute: (op, args, run) => {
          const operands = args.map((x) => (isTensor(x) ? `${x.dt.name} ${show(x.layout.shape)}` : typeof x)).join(', ')
          log.push(`${op}(${operands})\n${new Error().stack?.split('\n').slice(3).join('\n')}`)
          return through(outer, op, args, run)
        },
      }
    })
  const names = (log: readonly string[]): string => log.map((entry) => entry.slice(0, entry.indexOf('\n'))).join('\n')
  return {
    contexts: [mode(logs[0]), mode(logs[1])],
    explain: (error) =>
      new CheckpointError(
        'An error happened while unpacking tensors; dumping logs of latest computation because you passed `debug: true` to checkpoint.\n' +
          `1. Stack traces of the operators that ran in the original forward\n\n${logs[0].join('\n')}\n\n` +
          `2. Stack traces of the operators that ran during recomputation\n\n${logs[1].join('\n')}\n\n` +
          `3. Log of operators in the original forward and recomputation\n\nOperations executed during the original forward:\n${names(logs[0])}\n\n` +
          `Operations executed during recomputation:\n${names(logs[1])}\n\n` +
          '4. Error message\n\nERROR: Detected non-determinism while running activation checkpointing. You are seeing this error because you passed ' +
          '`debug: true` to checkpoint and tensors to be saved during the original forward differ from those saved during recomputation.\n' +
          error.message,
        { cause: error },
      ),
  }
}

function run<A extends unknown[], R>(fn: (...args: A) => R, args: A, options: CheckpointOptions): R {
  if (typeof fn !== 'function') throw new ArgumentError(`checkpoint: expected a function, got ${typeof fn}`, { op: 'checkpoint' })
  if ((options.useReentrant as unknown) === true) {
    throw new ArgumentError(
      'checkpoint: useReentrant: true is not supported; leave it out: gradients are the same, and grad() and inputs work',
      {
        op: 'checkpoint',
      },
    )
  }
  const check = options.determinismCheck ?? 'default'
  if (check !== 'default' && check !== 'none') {
    throw new ArgumentError(`determinism_check should be one of ['default', 'none'], but got ${String(check)}`, { op: 'checkpoint' })
  }
  const debug = (forcedDebug ?? options.debug ?? false) ? logging() : null
  if (debug !== null && options.contextFn !== undefined) {
    throw new ArgumentError('debug: true is incompatible with non-default contextFn', { op: 'checkpoint' })
  }
  if (!modes.grad) return fn(...args)
  const [forward, again] = debug?.contexts ?? options.contextFn?.() ?? [null, null]
  const generators = (options.preserveRngState ?? true) ? [defaultGenerator, ...(options.generators ?? [])] : []
  const states = generators.map((g) => g.getState())
  const frame = new Frame(
    (inputs) => withStates(generators, states, () => (again === null ? fn(...(inputs as A)) : again(() => fn(...(inputs as A))))),
    forcedEarlyStop ?? options.earlyStop ?? true,
    check === 'default',
    debug?.explain ?? ((error) => error),
  )
  frame.saveInputs(args)
  const mode = modeOf('checkpoint', () =>
    enterHooks({
      pack: (t) => frame.pack(t),
      unpack: (holder: Holder) => holder.frame.unpack(holder),
      release: (holder: Holder) => holder.release(),
    }),
  )
  const result = mode(() => (forward === null ? fn(...args) : forward(() => fn(...args))))
  frame.complete = true
  return result
}

/** `checkpoint`, and the same with options. */
export interface Checkpoint {
  <A extends unknown[], R>(fn: (...args: A) => R, ...args: A): R
  with(options: CheckpointOptions): <A extends unknown[], R>(fn: (...args: A) => R, ...args: A) => R
}

/**
 * Runs `fn(...args)` and keeps only the arguments for the gradient: what `fn` would have saved is computed again, once per
 * backward pass, when it is needed. Less memory for more time. Tensors among the arguments (in arrays and plain objects too)
 * and tensors that `fn` captures get their gradients as usual, of every order; hooks fire once; random numbers repeat.
 * `fn` must do the same both times. Options go through `checkpoint.with(options)(fn, ...args)`.
 * Errors: CheckpointError, in the backward pass, when the second run saves other tensors than the first.
 * @example
 * const x = tensor(2, { requiresGrad: true })
 * const y = autograd.checkpoint((t: Tensor) => t.pow(3), x)
 * const z = autograd.checkpoint.with({ preserveRngState: false })((t: Tensor) => t.mul(2), y)
 * z.backward()
 * x.grad!.item() // 24
 * @see https://docs.pytorch.org/docs/stable/checkpoint.html#torch.utils.checkpoint.checkpoint
 */
export const checkpoint: Checkpoint = /* @__PURE__ */ Object.assign(
  <A extends unknown[], R>(fn: (...args: A) => R, ...args: A): R => run(fn, args, {}),
  {
    with:
      (options: CheckpointOptions) =>
      <A extends unknown[], R>(fn: (...args: A) => R, ...args: A): R =>
        run(fn, args, options),
  },
)

/** A function of one tensor, or a module. */
export type Stage = ((x: Tensor) => Tensor) | { forward(x: Tensor): Tensor }

/**
 * Runs stages one after the other in `segments` checkpoints of equal length; the last segment runs without one.
 * @example
 * const layers = [new nn.Linear(2, 4), new nn.Tanh(), new nn.Linear(4, 1)]
 * autograd.checkpointSequential(layers, 2, ones([3, 2])).shape // [3, 1]
 * @see https://docs.pytorch.org/docs/stable/checkpoint.html#torch.utils.checkpoint.checkpoint_sequential
 */
export function checkpointSequential(stages: Iterable<Stage>, segments: number, input: Tensor, options: CheckpointOptions = {}): Tensor {
  const list = [...stages].map((stage) => (typeof stage === 'function' ? stage : (x: Tensor) => stage.forward(x)))
  if (!Number.isInteger(segments) || segments < 1) {
    throw new ArgumentError(`checkpointSequential: expected at least one segment, got ${segments}`, { op: 'checkpointSequential' })
  }
  const size = Math.floor(list.length / segments)
  const through = (from: number, to: number) => (x: Tensor) => list.slice(from, to).reduce((t, stage) => stage(t), x)
  let x = input
  let start = 0
  for (let i = 0; i < segments - 1 && size > 0; i++, start += size) x = run(through(start, start + size), [x], options)
  return through(start, list.length)(x)
}

/**
 * Checkpoints made inside stop early or don't, whatever their options say. With `fn`: runs it; without: a mode.
 * @example
 * const x = tensor(2, { requiresGrad: true })
 * autograd.setCheckpointEarlyStop(false, () => autograd.checkpoint((t: Tensor) => t.pow(2), x)).item() // 4
 */
export function setCheckpointEarlyStop(enabled: boolean): Mode
export function setCheckpointEarlyStop<R>(enabled: boolean, fn: () => R): R
export function setCheckpointEarlyStop<R>(enabled: boolean, fn?: () => R): Mode | R {
  const mode = modeOf('setCheckpointEarlyStop', () => {
    const before = forcedEarlyStop
    forcedEarlyStop = enabled
    return () => {
      forcedEarlyStop = before
    }
  })
  return fn === undefined ? mode : mode(fn)
}

/**
 * Checkpoints made inside run in debug mode or don't, whatever their options say; null leaves it to them.
 * @example
 * const x = tensor(2, { requiresGrad: true })
 * autograd.setCheckpointDebugEnabled(true, () => autograd.checkpoint((t: Tensor) => t.pow(2), x)).item() // 4
 */
export function setCheckpointDebugEnabled(enabled: boolean | null): Mode
export function setCheckpointDebugEnabled<R>(enabled: boolean | null, fn: () => R): R
export function setCheckpointDebugEnabled<R>(enabled: boolean | null, fn?: () => R): Mode | R {
  const mode = modeOf('setCheckpointDebugEnabled', () => {
    const before = forcedDebug
    forcedDebug = enabled
    return () => {
      forcedDebug = before
    }
  })
  return fn === undefined ? mode : mode(fn)
}

/**
 * Backward passes inside recompute each checkpoint once between them, as long as no two need the same saved tensor.
 * @example
 * const x = tensor(2, { requiresGrad: true })
 * const y = autograd.checkpoint((t: Tensor) => t.pow(3), x)
 * autograd.graphExecGroup(() => y.backward())
 * x.grad!.item() // 12
 * @see https://docs.pytorch.org/docs/stable/checkpoint.html#torch.utils.checkpoint.GraphExecGroup
 */
export function graphExecGroup<R>(fn: () => R): R {
  const mode = modeOf('graphExecGroup', () => {
    const before = group
    const mine: Group = { ends: [] }
    group = mine
    return () => {
      group = before
      for (const end of mine.ends) end()
    }
  })
  return mode(fn)
}
