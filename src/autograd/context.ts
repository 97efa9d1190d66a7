/** What a custom Function's forward, backward and jvp share, and the node it leaves in the graph. */
import { ArgumentError, AutogradError, GraphError, UnsupportedError } from '../errors.ts'
import { full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { isTensor, type TensorCore } from '../tensor.ts'
import { warn } from '../warnings.ts'
import { freed, Node, type OutputMeta, type Pass, type SavedSlot, type SavedTensor } from './node.ts'
import { distribute, fill, type Slots } from './slots.ts'
import { callHook } from './user.ts'

/** The static methods of a custom Function, as the library calls them. */
export interface FunctionClass {
  readonly name: string
  readonly forward?: (...args: unknown[]) => unknown
  readonly setupContext?: (ctx: FunctionContext, inputs: readonly unknown[], output: unknown) => void
  readonly backward?: (ctx: FunctionContext, ...grads: unknown[]) => unknown
  readonly vjp?: (ctx: FunctionContext, ...grads: unknown[]) => unknown
  readonly jvp?: (ctx: FunctionContext, ...tangents: unknown[]) => unknown
  readonly vmap?: (info: VmapInfo, inDims: unknown[], ...args: unknown[]) => unknown
  readonly generateVmapRule?: boolean
  readonly clearSavedTensorsOnAccess?: boolean
}

/** What a Function's `vmap` is told of the batch. */
export interface VmapInfo {
  readonly batchSize: number
  /** What random operations do in a batch: every example draws for itself. */
  readonly randomness: 'different'
}

type Kept = readonly (Tensor | null)[]

/** The library's side of a context. */
export interface ContextState {
  needs: readonly boolean[]
  materialize: boolean
  /** As given to saveForBackward and saveForForward. */
  backward: Kept
  forward: readonly Tensor[]
  dirty: readonly Tensor[]
  nonDifferentiable: readonly Tensor[]
  /** What `savedTensors` gives while rules run outside of a node. */
  shown: Kept | null
  node: FunctionNode | null
}

/**
 * What a Function's static methods share: made for each call, passed as `ctx`. Own fields may be added freely (see `FunctionCtx`).
 * @see https://docs.pytorch.org/docs/stable/autograd.html#context-method-mixins
 */
export class FunctionContext<S extends Kept = readonly Tensor[]> {
  readonly #state: ContextState = {
    needs: [],
    materialize: true,
    backward: [],
    forward: [],
    dirty: [],
    nonDifferentiable: [],
    shown: null,
    node: null,
  }

  /** For the library itself. */
  static stateOf(ctx: FunctionContext<Kept>): ContextState {
    return ctx.#state
  }

  /**
   * Keeps tensors (or null) for `backward`; call it at most once, the last call counts. Inputs and outputs come back connected to
   * the graph; anything else is a constant there. Values changed in place since are refused when they are read.
   * Errors: ArgumentError for anything that is no tensor.
   */
  saveForBackward(...tensors: (Tensor | null | undefined)[]): void {
    tensors.forEach((t, i) => {
      if (t !== null && t !== undefined && !isTensor(t))
        throw new ArgumentError(
          `saveForBackward can only save variables, but argument ${i} is of type ${typeof t}: put it into a field of ctx`,
        )
    })
    this.#state.backward = tensors.map((t) => t ?? null)
  }

  /** Keeps tensors for `jvp`, where `savedTensors` gives them. Errors: ArgumentError for anything that is no tensor. */
  saveForForward(...tensors: Tensor[]): void {
    for (const t of tensors) {
      if (!isTensor(t))
        throw new ArgumentError('saveForForward expects all arguments to be tensors; you should save non-tensors as attributes on ctx.')
    }
    this.#state.forward = tensors
  }

  /**
   * The tensors kept: in `backward` those of saveForBackward, in `jvp` those of saveForForward. Errors: GraphError after a backward
   * pass has freed them, InPlaceError when one was changed since.
   */
  get savedTensors(): S {
    const { shown, node, backward } = this.#state
    return (shown ?? node?.savedTensors ?? backward) as S
  }

  /** PyTorch's former name of `savedTensors`; warns. */
  get savedVariables(): S {
    warn("'savedVariables' is deprecated; use 'savedTensors'", 'DeprecationWarning')
    return this.savedTensors
  }

  /** Declares inputs that forward changes in place; they must be returned. */
  markDirty(...inputs: Tensor[]): void {
    this.#state.dirty = inputs
  }

  /** Declares outputs that take no part in differentiation. Their gradients arrive as zeros. */
  markNonDifferentiable(...outputs: Tensor[]): void {
    this.#state.nonDifferentiable = outputs
  }

  /** Should undefined gradients arrive in `backward` as zeros (the default) or, with false, as null? */
  setMaterializeGrads(value: boolean): void {
    this.#state.materialize = value
  }

  /** For each argument: does it (or, for nested ones, a tensor in it) require a gradient? */
  get needsInputGrad(): readonly boolean[] {
    return this.#state.needs
  }
}

/**
 * The `ctx` of a Function with fields of its own, and (if the tuple is given) the types of what it saves.
 * @example
 * class Power extends autograd.Function {
 *   static forward(ctx: autograd.FunctionCtx<{ k: number }, [Tensor]>, x: Tensor, k: number): Tensor {
 *     ctx.k = k
 *     ctx.saveForBackward(x)
 *     return x.pow(k)
 *   }
 *   static backward(ctx: autograd.FunctionCtx<{ k: number }, [Tensor]>, g: Tensor): [Tensor, null] {
 *     const [x] = ctx.savedTensors
 *     return [g.mul(x.pow(ctx.k - 1)).mul(ctx.k), null]
 *   }
 * }
 * const x = tensor(2, { requiresGrad: true })
 * Power.apply(x, 3).backward()
 * x.grad!.item() // 12
 */
export type FunctionCtx<Fields extends object = object, S extends Kept = readonly Tensor[]> = FunctionContext<S> & Fields

/** The library's side of a context. */
export function stateOf(ctx: FunctionContext<Kept>): ContextState {
  return FunctionContext.stateOf(ctx)
}

/** The gradient rule: `backward`, or `vjp` under its other name. */
function ruleOf(fn: FunctionClass): NonNullable<FunctionClass['backward']> {
  if (fn.backward !== undefined && fn.vjp !== undefined) {
    throw new AutogradError(
      `Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement one of them. (${fn.name})`,
    )
  }
  const rule = fn.backward ?? fn.vjp
  if (rule === undefined) {
    throw new UnsupportedError(
      `You must implement either the backward or vjp method for your custom autograd.Function to use it with backward mode AD. (${fn.name})`,
    )
  }
  return rule
}

/**
 * Runs the gradient rule of `fn`: `grads` are per result, as its slots say. Returns a gradient (or null) per tensor among the arguments.
 */
export function gradientsOf(
  fn: FunctionClass,
  ctx: FunctionContext,
  args: readonly Slots[],
  count: number,
  grads: unknown[],
): (TensorCore | null)[] {
  const made = callHook(ruleOf(fn), [ctx, ...grads])
  const list: unknown[] = Array.isArray(made) ? made : [made]
  const who = `function ${fn.name}Backward`
  const surplus = list.slice(args.length).some((x) => x !== null && x !== undefined)
  if (list.length < args.length || surplus)
    throw new GraphError(
      `${who} returned an incorrect number of gradients (expected ${args.length}, got ${list.length}): one per argument of forward`,
    )
  const out: (TensorCore | null)[] = new Array<TensorCore | null>(count).fill(null)
  args.forEach((slots, i) => {
    distribute(slots, list[i], out, {
      who,
      extra: () =>
        new GraphError(
          `${who} returned a gradient different than None at position ${i + 1}, but the corresponding forward input was not a Variable: return null there`,
        ),
    })
  })
  return out
}

/** A call of a custom Function in the graph. */
export class FunctionNode extends Node {
  /** The context that forward and backward share. */
  readonly ctx: FunctionContext
  private readonly fn: FunctionClass
  private readonly args: readonly Slots[]
  private readonly results: readonly Slots[]
  /** Null: none was to be saved there. */
  private held: readonly (SavedTensor | null)[] = []
  private gone: 'freed' | 'read' | null = null

  constructor(
    fn: FunctionClass,
    ctx: FunctionContext,
    edges: (Node | null)[],
    nrs: readonly number[] | null,
    metas: readonly OutputMeta[],
    args: readonly Slots[],
    results: readonly Slots[],
  ) {
    super(edges, nrs, metas[0]!.shape, metas[0]!.dt)
    if (metas.length > 1) this.metas = metas
    this.fn = fn
    this.ctx = ctx
    this.args = args
    this.results = results
    stateOf(ctx).node = this
  }

  name(): string {
    return `${this.fn.name}Backward`
  }

  override get operation(): string {
    return this.fn.name
  }

  /** Undefined gradients are made zeros, or shown as null. */
  override get runsOnNothing(): boolean {
    return true
  }

  /** Keeps tensors for the rule. */
  keep(saved: readonly (SavedTensor | null)[]): void {
    this.held = saved
  }

  run(g: TensorCore | null, gs: readonly (TensorCore | null)[] | null, task: Pass): void {
    const { materialize } = stateOf(this.ctx)
    const list = gs ?? [g]
    const grads = this.results.map((slots) =>
      fill(slots, (nr) => {
        const { shape, dt } = this.meta(nr)
        return list[nr] ?? (materialize ? full(shape, 0, dt, null) : null)
      }),
    )
    const made = gradientsOf(this.fn, this.ctx, this.args, this.edges.length, grads)
    for (let i = 0; i < made.length; i++) task.out[i] = task.wants(this.edges[i]!) ? made[i]! : null
  }

  override savedSlots(): readonly SavedSlot[] {
    return this.held.map((value, i) => ({ name: `saved${i}`, value: this.gone === null ? (value ?? undefined) : null }))
  }

  override get savedTensors(): Kept {
    if (this.gone === 'freed') throw freed(this)
    if (this.gone === 'read') {
      throw new GraphError(
        `savedTensors can only be accessed once when clearSavedTensorsOnAccess = true is set on the autograd.Function. ` +
          `Either access savedTensors only once, or set clearSavedTensorsOnAccess = false. (${this.fn.name})`,
      )
    }
    const tensors = this.held.map((s) => (s === null ? null : (s.unpack(this) as Tensor)))
    if (this.fn.clearSavedTensorsOnAccess) {
      this.letGo('read')
    }
    return tensors
  }

  override release(): void {
    if (this.held.length > 0) this.letGo('freed')
  }

  private letGo(how: 'freed' | 'read'): void {
    this.gone = how
    this.held = this.held.map(() => null)
  }
}
