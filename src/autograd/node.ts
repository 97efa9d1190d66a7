/** The vocabulary of the graph: nodes, edges, saved tensors, version counters, what leaves and views know. */
import type { DType, DTypeInfo } from '../dtype.ts'
import { ArgumentError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { Area } from '../memory/area.ts'
import { expandable, type Shape, sameShape } from '../shape.ts'
import { refuse, TensorCore } from '../tensor.ts'
import type { Task } from './engine.ts'
import { fit } from './fit.ts'
import { modes } from './modes.ts'
import { freed, RawSaved, type SavedTensor } from './saved.ts'

export { alias, freed, SavedTensor } from './saved.ts'
export { VersionCounter, versionOf } from './version.ts'

/** Why a view refuses tracked in-place operations. */
export type Creation = 'default' | 'noGrad' | 'inference' | 'multiOutput' | 'function'

/** What a view knows of where it came from. */
export class ViewMeta {
  readonly base: TensorCore
  readonly creation: Creation
  /** The version for which the view's `node` is right; another version means: derive it from the base again. */
  version: number

  constructor(base: TensorCore, version: number, creation: Creation) {
    this.base = base
    this.version = version
    this.creation = creation
  }
}

/** What a leaf that requires gradients holds. */
export class LeafMeta {
  readonly node: AccumulateGrad
  /** The gradient, or a buffer kept for the next one. */
  grad: TensorCore | null = null
  /** Is `grad` a gradient rather than a spare buffer? */
  has = false
  /** Has user code seen `grad`? Then its memory is the collector's business. */
  shown = false
  /** `registerPostAccumulateGradHook` hooks. */
  hooks: HookList<(t: Tensor) => void> | null = null

  constructor(t: TensorCore) {
    this.node = new AccumulateGrad(t)
  }
}

/** The leaf facts of a tensor, made at first use. */
export function leafOf(t: TensorCore): LeafMeta {
  return (t.leaf ??= new LeafMeta(t))
}

/** Removes a hook; removing twice does nothing. */
export interface HookHandle {
  remove(): void
}

/** Hooks in order of registration; may change while they run (a run sees the hooks of its start). */
export class HookList<F> {
  private hooks: readonly F[] = []

  add(hook: F): HookHandle {
    const entry = hook
    this.hooks = [...this.hooks, entry]
    let live = true
    return {
      remove: () => {
        if (!live) return
        live = false
        const i = this.hooks.indexOf(entry)
        this.hooks = this.hooks.toSpliced(i, 1)
      },
    }
  }

  get list(): readonly F[] {
    return this.hooks
  }
}

/** Sees the gradient of a tensor; what it returns takes its place. */
export type GradHook = (grad: Tensor) => Tensor | null | undefined | void
/** Gradients by position; null where there is none. */
export type GradList = (Tensor | null)[]
/** Runs before a node, on the gradients of its outputs; what it returns takes their place. */
export type PreHook = (gradOutputs: GradList) => GradList | null | undefined | void
/** Runs after a node, on the gradients of its inputs; what it returns takes their place. */
export type PostHook = (gradInputs: GradList, gradOutputs: GradList) => GradList | null | undefined | void

/** What users hang on one node: hooks and metadata. Most nodes have none. */
export class NodeHooks {
  readonly metadata: Record<string, unknown> = {}
  /** Tensor hooks by output number. */
  readonly tensor: Map<number, HookList<GradHook>> = new Map()
  /** Tensors that want their gradient kept, by output number. */
  readonly retain: Map<number, TensorCore> = new Map()
  readonly pre: HookList<PreHook> = new HookList()
  readonly post: HookList<PostHook> = new HookList()
}

/** What a node knows of one of its outputs: incoming gradients must fit it. */
export interface OutputMeta {
  readonly shape: Shape
  readonly dt: DTypeInfo
  /** Gradients of any dtype are taken as they come. */
  readonly anyDtype?: boolean
}

/** What a node's rules see of the pass that runs them. */
export interface Pass {
  /** Where gradients and temporaries come from when they aren't part of a graph. */
  readonly area: Area
  /** Rules run on tensors, in public operations, instead of fused kernels. */
  readonly createGraph: boolean
  /** Where a node writes the gradients of its inputs. */
  readonly out: (TensorCore | null)[]
  /** Must a gradient for this edge be computed? */
  wants(next: Node | null): next is Node
}

/** One tensor that a node keeps for its rules, under torch's name for it: `self`, `other`, `result`. */
export interface Saved {
  readonly name: string
  readonly value: SavedTensor
}

/**
 * Output `outputNr` of a node: a place in the graph where a gradient arrives. Names a tensor's gradient without holding
 * the tensor; `backward` and `grad` take it in a tensor's place.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.graph.GradientEdge.html
 */
export class GradientEdge {
  readonly node: Node
  readonly outputNr: number

  constructor(node: Node, outputNr: number) {
    this.node = node
    this.outputNr = outputNr
  }
}

/** One tensor that a node saved: null when it has let go of it, undefined when there was none to save. */
export interface SavedSlot {
  readonly name: string
  readonly value: SavedTensor | null | undefined
}

let sequence = 0

/** The number the next node will get. */
export function nextSequence(): number {
  return sequence
}

/**
 * A recorded operation. Edges point to the nodes that made its inputs (null where an input needs no gradient).
 * @see https://docs.pytorch.org/docs/stable/autograd.html#function-class
 */
export abstract class Node {
  readonly edges: (Node | null)[]
  /** Which output of each edge's node; null when all are 0. */
  readonly nrs: readonly number[] | null
  /** Newer nodes run first. */
  seq: number
  /** Of output 0; of the others in `metas`. Only a leaf's change: when it is given other data, or another `gradDtype`. */
  shape: Shape
  dt: DTypeInfo
  metas: readonly OutputMeta[] | null = null
  hooks: NodeHooks | null = null

  // State of the backward pass that is visiting this node. See Note [Scratch fields] in claims.ts.
  task: Task | null = null
  pending = 0
  needed = true
  buffer: TensorCore | null = null
  buffers: (TensorCore | null)[] | null = null

  constructor(edges: (Node | null)[], nrs: readonly number[] | null, shape: Shape, dt: DTypeInfo) {
    this.edges = edges
    this.nrs = nrs
    this.seq = sequence++
    this.shape = shape
    this.dt = dt
    if (modes.anomaly !== null) modes.anomaly.made(this)
  }

  /** torch's name of the node: `MulBackward0`. */
  abstract name(): string

  /** The operation that was recorded, by its name here: `mul`. Null where there is none. */
  get operation(): string | null {
    return null
  }

  /** Computes gradients of the inputs into `pass.out`, from the gradients of the outputs (null: undefined). */
  abstract run(g: TensorCore | null, gs: readonly (TensorCore | null)[] | null, pass: Pass): void

  /** Lets go of what was saved; a second pass through this node must refuse if that was anything. */
  release(): void {}

  /** After an in-place operation on a view: the saved output is now `t`, made by `by`. */
  resaveOutput(_t: TensorCore, _by: Node): void {}

  /** What the node keeps for its rules; empty once it was let go. */
  kept(): readonly Saved[] {
    return this.savedSlots().filter((slot): slot is Saved => slot.value !== null && slot.value !== undefined)
  }

  /** The tensors kept, as the rules get them. Errors: InPlaceError when one was changed since. */
  get savedTensors(): readonly (Tensor | null)[] {
    return this.kept().map(({ value }) => value.unpack(this) as Tensor)
  }

  /** What the node saved, also what it has let go of. */
  savedSlots(): readonly SavedSlot[] {
    return []
  }

  /** The numbers and other values of the call that the node knows, by name. */
  savedValues(): Readonly<Record<string, unknown>> {
    return {}
  }

  /** Hooks hold a saved tensor from here on. */
  notePacked(): void {}

  /**
   * What the node saved, by name: tensors (connected to the graph) and the values of the call.
   * Errors, on reading a tensor: GraphError when it was freed, InPlaceError when it was changed.
   * @example
   * x.pow(3).gradFn.saved // { self: x, exponent: 3 }
   */
  get saved(): Readonly<Record<string, unknown>> {
    const found: Record<string, unknown> = { ...this.savedValues() }
    for (const { name } of this.savedSlots()) {
      const get = (): unknown => {
        const value = this.slot(name)
        if (value === null) throw freed(this)
        return value?.unpack(this) ?? null
      }
      Object.defineProperty(found, name, { enumerable: true, get })
    }
    return found
  }

  /** The saved tensors by name, as handles: hooks can be put on them, one by one. */
  get rawSaved(): Readonly<Record<string, RawSaved>> {
    return Object.fromEntries(this.savedSlots().map(({ name }) => [name, new RawSaved(this, () => this.slot(name))]))
  }

  private slot(name: string): SavedTensor | null | undefined {
    return this.savedSlots().find((slot) => slot.name === name)?.value
  }

  /**
   * Runs this node's rules alone, outside any backward pass: the gradients of its inputs (null where none flows) from
   * those of its outputs. Hooks don't run; the work is recorded if grad mode is on. Keeps what the node saved.
   * Errors: ArgumentError for the wrong number of gradients, ShapeError when one doesn't expand to its output's shape,
   * GraphError when the saved tensors are gone.
   * @example
   * const x = tensor(3, { requiresGrad: true })
   * x.pow(2).gradFn.apply(tensor(1)) // [tensor(6., gradFn=<MulBackward0>)]
   */
  apply(...grads: GradList): GradList {
    if (grads.length !== this.outputs) {
      throw new ArgumentError(
        `expected ${this.outputs} arguments, got ${grads.length} instead: ${this.name()} takes one gradient per output`,
        {
          op: this.name(),
        },
      )
    }
    const gs = grads.map((g, nr) => (g === null ? null : this.incoming(g, nr)))
    const pass: Pass = {
      area: new Area(),
      createGraph: true,
      out: this.edges.map(() => null),
      wants: (next): next is Node => next !== null,
    }
    if (gs.some((g) => g !== null)) this.run(gs[0]!, this.metas === null ? null : gs, pass)
    return this.edges.map((next, i) => {
      const made = pass.out[i] ?? null
      return made === null || next === null ? null : (fit(made, next.meta(this.nrs?.[i] ?? 0), this, i, pass) as Tensor)
    })
  }

  /** A gradient given to `apply`, made to fit output `nr`. */
  private incoming(g: Tensor, nr: number): Tensor {
    if (!(g instanceof TensorCore)) throw refuse(this.name(), g, `gradient ${nr}`)
    const { shape, dt } = this.meta(nr)
    if (!sameShape(g.layout.shape, shape) && !expandable(g.layout.shape, shape)) {
      throw new ShapeError(
        `${this.name()}: Mismatch in shape: gradient ${nr} has a shape of ${show(g.layout.shape)} and output ${nr} has a shape of ${show(shape)}`,
        {
          op: this.name(),
          shapes: [g.layout.shape, shape],
        },
      )
    }
    const whole = sameShape(g.layout.shape, shape) ? g : g.expand(shape)
    return whole.dt === dt ? whole : whole.to(dt.name)
  }

  /** Must `run` be called even if no gradient arrives? Users' Functions are. */
  get runsOnNothing(): boolean {
    return false
  }

  /** How many outputs. */
  get outputs(): number {
    return this.metas === null ? 1 : this.metas.length
  }

  meta(nr: number): OutputMeta {
    return this.metas === null ? this : this.metas[nr]!
  }

  /** Free for users: anything they want to hang on the node. */
  get metadata(): Record<string, unknown> {
    return (this.hooks ??= new NodeHooks()).metadata
  }

  /** For each input: what made it, and which output of that; `[null, 0]` if it needs no gradient. */
  get nextFunctions(): readonly (readonly [Node | null, number])[] {
    return this.edges.map((e, i) => [e, this.nrs?.[i] ?? 0] as const)
  }

  /** What is known of each output: incoming gradients are made to fit. */
  get inputMetadata(): readonly { readonly shape: Shape; readonly dtype: DType; readonly device: 'cpu' }[] {
    return (this.metas ?? [this]).map(({ shape, dt }) => ({ shape, dtype: dt.name, device: 'cpu' }))
  }

  /** Nodes count up as they are made; of the nodes that are ready, a pass runs the one with the greatest number. */
  sequenceNr(): number {
    return this.seq
  }

  /** Moves the node in the order of ready nodes; what depends on what is not touched. */
  setSequenceNr(n: number): void {
    if (!Number.isInteger(n) || n < 0) throw new ArgumentError(`setSequenceNr: expected a whole number from 0 up, got ${n}`)
    this.seq = n
  }

  /** Runs `hook(gradOutputs)` before the node; a list it returns replaces the gradients. */
  registerPrehook(hook: PreHook): HookHandle {
    return (this.hooks ??= new NodeHooks()).pre.add(hook)
  }

  /** Runs `hook(gradInputs, gradOutputs)` after the node; a list it returns replaces `gradInputs`. */
  registerHook(hook: PostHook): HookHandle {
    return (this.hooks ??= new NodeHooks()).post.add(hook)
  }

  toString(): string {
    return `<${this.name()}>`
  }
}

/** The node at a leaf: adds what arrives to the leaf's `.grad`. The engine knows how (`accumulate.ts`). */
export class AccumulateGrad extends Node {
  readonly variable: TensorCore
  /** Set by `gradDtype = null`. */
  anyDtype = false

  constructor(variable: TensorCore) {
    super([], null, variable.layout.shape, variable.dt)
    this.seq = Number.POSITIVE_INFINITY
    this.variable = variable
  }

  name(): string {
    return 'torch::autograd::AccumulateGrad'
  }

  run(): void {}

  /** Adds the gradient to the leaf's `.grad`. */
  override apply(...grads: GradList): GradList {
    if (grads.length !== 1)
      throw new ArgumentError(`expected 1 arguments, got ${grads.length} instead: AccumulateGrad takes one gradient`, {
        op: 'AccumulateGrad',
      })
    const [g] = grads
    if (g === null || g === undefined) return []
    const leaf = this.variable as Tensor
    leaf.grad = leaf.grad === null ? g : leaf.grad.add(g)
    return []
  }
}
