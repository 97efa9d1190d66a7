/** Tensors that nodes keep for the backward pass: version checks, hooks that pack them, and handles on single ones. */
import type { DTypeInfo } from '../dtype.ts'
import { ArgumentError, GraphError, InPlaceError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import type { Layout } from '../layout.ts'
import { RELEASED, Storage } from '../memory/storage.ts'
import { type ArrayLike, isTensor, TensorCore } from '../tensor.ts'
import { modes, type SavedHooks, withGrad } from './modes.ts'
import { operatorOf } from './names.ts'
import type { LeafMeta, Node } from './node.ts'
import { callHook } from './user.ts'
import { bornInInference, type VersionCounter, versionOf } from './version.ts'

// Note [Saved-tensor hooks]
// While hooks are in force, a tensor is packed as it is saved: the innermost pair sees it first, and what it returns, if
// that is a tensor, goes on to the pair around it. Unpacking goes the other way. The saved tensor then holds no elements,
// only what was packed, and the place in the graph that the unpacked tensor gets back. A node's rules may read a saved
// tensor several times; it is unpacked once for each run of the node.

/** Where a tensor stands in the graph, at its level and at those below. */
interface History {
  readonly node: Node | null
  readonly nr: number
  readonly rg: boolean
  readonly leaf: LeafMeta | null
  readonly inner: History | null
}

function historyOf(t: TensorCore): History | null {
  const inner = t.wrap === null ? null : historyOf(t.wrap.value)
  return t.rg || inner !== null ? { node: t.node, nr: t.outputNr, rg: t.rg, leaf: t.rg ? t.leaf : null, inner } : null
}

/** `data` standing where `history` says; itself if that is nowhere. Its version counter is its own. */
function connect(data: TensorCore, history: History | null): TensorCore {
  if (history === null && !data.rg) return data
  const t = new TensorCore(data.storage, data.layout, data.dt)
  const { wrap } = data
  t.wrap = wrap === null ? null : { ...wrap, value: connect(wrap.value, history?.inner ?? null) }
  if (history === null) return t
  t.node = history.node
  t.outputNr = history.nr
  t.rg = history.rg
  t.leaf = history.leaf
  return t
}

/** What the node that is running has unpacked so far; null between nodes. */
let opened: Packed[] | null = null

/** Runs a node's rules so that each packed tensor is unpacked once, however often they read it. */
export function unpackingOnce(run: () => void): void {
  const outer = opened
  opened = []
  try {
    run()
  } finally {
    for (const packed of opened) packed.opened = null
    opened = outer
  }
}

/** What hooks made of a saved tensor. */
class Packed {
  /** Unpacked for the node that is running. */
  opened: TensorCore | null = null
  readonly hooks: readonly SavedHooks[]
  readonly value: unknown
  private readonly history: History | null

  constructor(hooks: readonly SavedHooks[], value: unknown, history: History | null) {
    this.hooks = hooks
    this.value = value
    this.history = history
  }

  unpack(): TensorCore {
    if (this.opened !== null) return this.opened
    const list = opened
    opened = null
    let value = this.value
    try {
      for (let i = this.hooks.length - 1; i >= 0; i--) {
        value = callHook(this.hooks[i]!.unpack as (packed: unknown) => unknown, [value])
        if (!isTensor(value)) {
          throw new ArgumentError(
            `Output of saved tensor unpack_hook expected to be a Tensor but got result of type ${value === null ? 'null' : typeof value}`,
          )
        }
      }
    } finally {
      opened = list
    }
    const t = connect(value as TensorCore, this.history)
    if (list !== null) {
      this.opened = t
      list.push(this)
    }
    return t
  }

  /** Tells the pair that holds the value. */
  release(): void {
    this.hooks.at(-1)?.release?.(this.value as never)
  }
}

/** Packs `t` by the first of these pairs, and on as long as tensors come out. */
function pack(t: TensorCore, first: SavedHooks, history: History | null): Packed {
  const before = modes.hooks
  const used: SavedHooks[] = []
  let value: unknown = t
  try {
    for (let hooks: SavedHooks | null = first; hooks !== null && isTensor(value); hooks = hooks.outer) {
      const { vc } = value
      const version = vc === null ? 0 : vc.value
      const given: TensorCore = value
      const pair: SavedHooks = hooks
      modes.hooks = pair.outer
      value = withGrad(false, () => callHook(pair.pack, [given as Tensor]))
      if ((given.vc === null ? 0 : given.vc.value) !== version) {
        throw new InPlaceError(
          'A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook can not be modified by in-place operations ' +
            `as this can lead to unexpected side-effects. ${given.vc!.op} changed the tensor of shape ${show(given.layout.shape)}; work on a clone() of it.`,
          { op: given.vc!.op, shapes: [given.layout.shape] },
        )
      }
      used.push(pair)
    }
  } finally {
    modes.hooks = before
  }
  return new Packed(used, value, history)
}

/** Who reads a saved tensor: a node, for the text of a refusal. */
interface Reader {
  name(): string
  readonly operation: string | null
}

/** `MulBackward0 of mul`. */
function called({ operation }: Reader): string {
  return operation === null ? '' : ` of ${operation}`
}

/** The storage of a saved tensor whose elements are with its hooks. */
const nowhere: Storage = /* @__PURE__ */ new Storage(RELEASED, 0, null)

/**
 * A tensor kept for the backward pass. An input is kept as the tensor it was (its identity and history); an output as its
 * storage and layout, with the node that made it re-attached when it is read, so that no cycle through tensors arises.
 */
export class SavedTensor implements ArrayLike {
  storage: Storage
  readonly layout: Layout
  readonly dt: DTypeInfo
  /** An input (or an output inside a transform); null once hooks have packed it. */
  private tensor: TensorCore | null
  /** The version counter of an output. */
  private readonly counter: VersionCounter | null
  private output: Node | null
  /** −1: an input that had no history when it was saved. */
  private readonly outputNr: number
  private readonly version: number
  private packed: Packed | null = null

  private constructor(t: TensorCore, output: Node | null) {
    this.storage = t.storage
    this.layout = t.layout
    this.dt = t.dt
    this.tensor = output === null ? t : t.wrap === null ? null : alias(t)
    this.counter = output === null ? null : versionOf(t)
    this.output = output
    this.outputNr = output === null && t.node === null ? -1 : t.outputNr
    this.version = t.vc === null ? 0 : t.vc.value
  }

  static input(t: TensorCore): SavedTensor {
    if (bornInInference(t)) throw inferenceSaved(t)
    return SavedTensor.below(t)
  }

  /** What the graph of a transform keeps, one level down: inference tensors too. */
  static below(t: TensorCore): SavedTensor {
    const saved = new SavedTensor(t, null)
    if (modes.hooks !== null) saved.pack(t, modes.hooks)
    return saved
  }

  static output(t: TensorCore, by: Node): SavedTensor {
    if (bornInInference(t)) throw inferenceSaved(t)
    const saved = new SavedTensor(t, by)
    if (modes.hooks !== null) saved.pack(saved.attached(), modes.hooks)
    return saved
  }

  private pack(t: TensorCore, hooks: SavedHooks): void {
    this.packed = pack(t, hooks, this.output === null ? historyOf(this.tensor!) : historyOf(this.attached()))
    this.tensor = null
    this.storage = nowhere
  }

  /** After an in-place operation on a view: the tensor is now an output of `by`. */
  madeBy(by: Node): SavedTensor {
    if (this.packed !== null) {
      const { hooks, value } = this.packed
      this.packed = new Packed(hooks, value, { node: by, nr: 0, rg: true, leaf: null, inner: null })
    }
    this.output = by
    return this
  }

  /** Is it hooks that hold the elements? */
  get isPacked(): boolean {
    return this.packed !== null
  }

  /** What is held: the input, or what hooks made of it (of an output without hooks, null). Shows nothing to anybody. */
  get held(): unknown {
    return this.packed === null ? this.tensor : this.packed.value
  }

  /** Refuses if the elements were changed since they were saved. What hooks hold is their own affair. */
  check(reader: Reader): void {
    if (this.packed !== null) return
    if (this.output === null && this.outputNr >= 0 && this.tensor!.node === null) {
      throw new GraphError(
        'Trying to use a saved tensor that has been detached in-place, i.e. with .detach_(). This is not supported, please use out-of-place `.detach()` instead. ' +
          `(${reader.name()}${called(reader)} saved it; shape ${show(this.layout.shape)}.)`,
        { shapes: [this.layout.shape] },
      )
    }
    const vc = this.output === null ? this.tensor!.vc : this.counter
    const now = vc === null ? 0 : vc.value
    if (now === this.version) return
    const maker = this.output ?? this.tensor!.node
    const which = maker === null ? '' : `, which is output ${Math.max(0, this.outputNr)} of ${operatorOf(maker)},`
    throw new InPlaceError(
      `one of the variables needed for gradient computation has been modified by an inplace operation: [${this.dt.torchType} ${show(this.layout.shape)}]${which} ` +
        `is at version ${now}; expected version ${this.version} instead. ${reader.name()}${called(reader)} saved it; ${vc!.op} changed it last. ` +
        `Use the out-of-place ${vc!.op.replace(/_$/, '')} there, or clone() before saving or changing it.` +
        (modes.anomaly?.conflict(reader, vc!) ??
          ' Hint: enable anomaly detection to find the operation that failed to compute its gradient, with autograd.setDetectAnomaly(true).'),
      { op: vc!.op, shapes: [this.layout.shape], dtypes: [this.dt.name] },
    )
  }

  /** The elements, for kernels: checked, and unpacked if hooks hold them. */
  read(reader: Reader): ArrayLike {
    if (this.packed !== null) return this.packed.unpack()
    this.check(reader)
    return this
  }

  /** The tensor, connected to the graph as it was when it was saved. */
  unpack(reader: Reader): TensorCore {
    if (this.packed !== null) return this.packed.unpack()
    this.check(reader)
    return this.output === null ? this.tensor! : this.attached()
  }

  /** The elements outside the graph. */
  private bare(): TensorCore {
    if (this.tensor !== null) return alias(this.tensor)
    const t = new TensorCore(this.storage, this.layout, this.dt)
    t.vc = this.counter
    return t
  }

  /** The saved output as what its node made. */
  private attached(): TensorCore {
    const t = this.bare()
    t.node = this.output
    t.outputNr = this.outputNr
    t.rg = true
    return t
  }

  /** One pair of hooks for this tensor alone; see `RawSaved`. */
  register(hooks: SavedHooks): void {
    if (this.packed !== null) {
      throw new GraphError(
        'Calling register_hooks on a saved tensor whose hooks have already been set. Hint: only one pair of hooks is allowed at a time.',
      )
    }
    this.pack(this.bare(), hooks)
  }

  /** The node lets go of it. */
  release(): void {
    this.packed?.release()
  }

  /** The unpack hook, if there is one. */
  get unpackHook(): ((packed: never) => Tensor) | null {
    return this.packed?.hooks.at(-1)?.unpack ?? null
  }
}

function inferenceSaved(t: TensorCore): GraphError {
  return new GraphError(
    'Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in computation tracked by autograd. ' +
      'To work around this, you can make a clone to get a normal tensor and use it in autograd, or use noGrad instead of inferenceMode. ' +
      `(The tensor has shape ${show(t.layout.shape)}.)`,
    { shapes: [t.layout.shape] },
  )
}

/** Another tensor object over the same elements and version counter, outside the graph. */
export function alias(t: TensorCore): TensorCore {
  const a = new TensorCore(t.storage, t.layout, t.dt)
  a.vc = versionOf(t)
  a.wrap = t.wrap
  return a
}

/** The refusal of a node whose saved tensors are gone. */
export function freed(node: Node, doing?: string): GraphError {
  return new GraphError(
    `${doing ?? 'Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). '}` +
      'Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify retainGraph: true if you need to ' +
      'backward through the graph a second time or if you need to access saved tensors after calling backward. ' +
      `The node is ${node.name()}${called(node)} (output ${show(node.shape)}); an earlier backward went through it.${modes.anomaly?.whereFreed(node) ?? ''} ` +
      'The usual cause: a tensor computed in an earlier iteration is used again in this one; detach() it between iterations.',
    { op: node.name(), shapes: [node.shape] },
  )
}

/**
 * A handle on one tensor that a node saved, by name: `x.mul(y).gradFn.rawSaved.other`.
 * @see https://docs.pytorch.org/docs/stable/notes/autograd.html#hooks-for-saved-tensors
 */
export class RawSaved {
  readonly #node: Node
  readonly #find: () => SavedTensor | null | undefined

  /** `find` gives the saved tensor: null when it was let go, undefined when there never was one. */
  constructor(node: Node, find: () => SavedTensor | null | undefined) {
    if (typeof find !== 'function') throw new ArgumentError('Trying to create a SavedTensor object from outside is forbidden.')
    this.#node = node
    this.#find = find
  }

  /**
   * Packs this tensor now and unpacks it when the node reads it. One pair only. `pack` sees the tensor outside the graph.
   * Errors: GraphError when hooks are set already, or the tensor was freed or never there; what `pack` throws.
   */
  registerHooks<P>(pack: (t: Tensor) => P, unpack: (packed: P) => Tensor): void {
    const saved = this.#find()
    if (saved === undefined) throw new GraphError('Calling register_hooks on a saved tensor with value None is forbidden')
    if (saved === null) throw freed(this.#node, 'Calling register_hooks on a saved tensor after it has been freed. ')
    if (typeof pack !== 'function' || typeof unpack !== 'function') {
      throw new ArgumentError(
        `registerHooks: incompatible function arguments: expected two functions, got ${typeof pack} and ${typeof unpack}`,
      )
    }
    saved.register({ pack, unpack, outer: null })
    this.#node.notePacked()
  }

  /** What is held now: the tensor, or what a pack hook made of it. */
  get data(): unknown {
    const saved = this.#live()
    return saved?.isPacked === false ? saved.unpack(this.#node) : (saved?.held ?? null)
  }

  /** The unpack hook; null without hooks. */
  get unpackHook(): ((packed: never) => Tensor) | null {
    return this.#live()?.unpackHook ?? null
  }

  /** The tensor, unpacked. */
  unpack(): Tensor | null {
    return (this.#live()?.unpack(this.#node) as Tensor | undefined) ?? null
  }

  #live(): SavedTensor | undefined {
    const saved = this.#find()
    if (saved === null) throw freed(this.#node)
    return saved
  }
}
