/** How an operation enters the graph: edges to what made its inputs, in-place rules, views that follow their base. */
import { InPlaceError } from '../errors.ts'
import { cloneContiguous, copyInto, fillWith } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { empty, TensorCore } from '../tensor.ts'
import type { Task } from './engine.ts'
import type { Level } from './levels.ts'
import { modes } from './modes.ts'
import { type Creation, leafOf, Node, NodeHooks, type Saved, ViewMeta, versionOf } from './node.ts'
import { bornInInference, INFERENCE } from './version.ts'

/** Does `t` require gradients at this level (null: the plain tape)? Views follow their base. */
export function needs(t: TensorCore, level: Level | null): boolean {
  if (level !== null) return t.rg && t.wrap !== null && t.wrap.level === level
  return t.rg || (t.viewMeta !== null && t.viewMeta.base.rg && refresh(t))
}

/** The node that made `t`: its operation's, or the one that accumulates into it as a leaf. Null without gradients. */
export function edgeOf(t: TensorCore, level: Level | null): Node | null {
  if (!needs(t, level)) return null
  if (t.viewMeta !== null) refresh(t)
  return t.node ?? leafOf(t).node
}

/** Connects a fresh result to its node. */
export function attach(y: TensorCore, node: Node, nr = 0): void {
  y.node = node
  y.outputNr = nr
  y.rg = true
}

/** Connects a changed tensor to its new node. What it wants kept follows it there; its hooks stay with what they were put on. */
function reattach(t: TensorCore, node: Node): void {
  const kept = t.node?.hooks?.retain
  if (kept?.get(t.outputNr) === t) {
    kept.delete(t.outputNr)
    ;(node.hooks ??= new NodeHooks()).retain.set(0, t)
  }
  attach(t, node)
}

/** Makes passes keep the gradient of `t` in its `.grad`; leaves do so anyway. */
export function keepGradient(t: TensorCore): void {
  const node = edgeOf(t, null)
  if (node === null || t.node === null) return
  leafOf(t)
  ;(node.hooks ??= new NodeHooks()).retain.set(t.outputNr, t)
}

// Note [Views and in-place operations]
// A view shares elements with its base, so changing either changes the history of both. An in-place operation on a view
// gives the base a CopySlices node (its gradient, with the view's window routed through the operation). Views whose
// remembered version is old derive their node again from the base, when next asked: that node reads the view's window
// out of the base's gradient, by geometry.

/** Makes `t` a view: of `of`, or of what that is a view of. */
export function asView(t: TensorCore, of: TensorCore, creation: Creation): TensorCore {
  const vc = versionOf(of)
  t.vc = vc
  const parent = of.viewMeta
  const strict = parent !== null && parent.creation !== 'default' ? parent.creation : creation
  t.viewMeta = new ViewMeta(parent === null ? of : parent.base, vc.value, strict)
  return t
}

/** Brings the node of a view up to date with in-place changes of its base. Returns whether it requires gradients. */
export function refresh(t: TensorCore): boolean {
  const view = t.viewMeta!
  const vc = t.vc!
  if (view.version === vc.value) return t.rg
  const { base } = view
  if (base.rg) {
    if (view.creation !== 'default' && modes.grad) throw staleView(t)
    reattach(t, new WindowNode(base, t.layout))
  }
  view.version = vc.value
  return t.rg
}

/** What each mode is called, and what its opposite is. */
const MODES: Readonly<Record<'noGrad' | 'inference', readonly [mode: string, ours: string, outside: string]>> = {
  noGrad: ['no_grad mode', 'noGrad', 'with grad mode enabled'],
  inference: ['inference mode', 'inferenceMode', 'in normal mode'],
}

/** The refusal of a view made in one mode that is changed in another; `what` says what was changed. */
function ambiguous(t: TensorCore, creation: 'noGrad' | 'inference', what: string): string {
  const [mode, ours, outside] = MODES[creation]
  const of =
    t.node === null ? 'A view was' : `Output ${t.outputNr} of ${t.node.name().replace(/Backward\d*$/, '')} is a view of a view which was`
  return (
    `${of} created in ${mode} and ${what} modified inplace ${outside}. Given that this use case is ambiguous and error-prone, it is forbidden. ` +
    `You can clarify your code by moving both the view and the inplace either both inside the ${ours} block (if you don't want the inplace to be tracked) or both outside (if you want the inplace to be tracked).`
  )
}

function overridden(): string {
  return (
    'This view was created inside a custom Function (or because an input was returned as-is) and the autograd logic to handle view+inplace would override ' +
    'the custom backward associated with the custom Function, leading to incorrect gradients. This behavior is forbidden. You can fix this by cloning the ' +
    'output of the custom Function.'
  )
}

function staleView(t: TensorCore): InPlaceError {
  const creation = t.viewMeta!.creation
  if (creation === 'noGrad' || creation === 'inference') {
    return new InPlaceError(ambiguous(t, creation, 'its base or another view of its base has been'))
  }
  if (creation === 'function') {
    return new InPlaceError(
      `Output ${t.outputNr} of ${t.node?.name() ?? 'a custom Function'} is a view and its base or another view of its base has been modified inplace. ${overridden()}`,
    )
  }
  return new InPlaceError(
    `${t.node?.name() ?? 'a function'} made this view together with others, and its base has been modified inplace; clone() the view`,
  )
}

/** Refuses an in-place operation that autograd can't follow, before anything is changed. */
export function checkInPlace(op: string, t: TensorCore, willRecord: boolean): void {
  refuseInPlace(op, t, willRecord)
  if (modes.mutation !== null) modes.mutation.before(t)
}

function refuseInPlace(op: string, t: TensorCore, willRecord: boolean): void {
  if (modes.grad && t.viewMeta === null && t.rg && t.node === null) {
    throw new InPlaceError(
      `a leaf Variable that requires grad is being used in an in-place operation. ${op} would change it behind the graph's back: use ${op.replace(/_$/, '')}, or run it inside noGrad(() => …)`,
      { op },
    )
  }
  if (bornInInference(t) && !modes.inference) {
    throw new InPlaceError(
      `Inplace update to inference tensor outside InferenceMode is not allowed. You can make a clone to get a normal tensor before doing inplace update. (${op})`,
      { op, shapes: [t.layout.shape] },
    )
  }
  if (!modes.grad || t.viewMeta === null) return
  refresh(t)
  const { base, creation } = t.viewMeta
  if (creation === 'default' || !(willRecord || t.rg || base.rg)) {
    if (!base.rg || base.node !== null) return
    throw new InPlaceError(
      `a view of a leaf Variable that requires grad is being used in an in-place operation. ${op} would change the leaf behind the graph's back; run it inside noGrad(() => …)`,
      { op },
    )
  }
  const maker = t.node?.name() ?? 'its function'
  if (creation === 'noGrad' || creation === 'inference') throw new InPlaceError(ambiguous(t, creation, 'is being'), { op })
  if (creation === 'multiOutput') {
    throw new InPlaceError(
      `Output ${t.outputNr} of ${maker} is a view and is being modified inplace. This view is the output of a function that returns multiple views. ` +
        'Such functions do not allow the output views to be modified inplace. You should replace the inplace operation by an out-of-place one.',
      { op },
    )
  }
  throw new InPlaceError(`Output ${t.outputNr} of ${maker} is a view and is being modified inplace. ${overridden()}`, { op })
}

/** Counts an in-place change. */
export function bump(t: TensorCore, op: string): void {
  const vc = versionOf(t)
  if (vc === INFERENCE) return
  vc.value++
  vc.op = op
  if (modes.anomaly !== null) modes.anomaly.changed(vc)
}

/** After an in-place operation recorded as `node` (whose edge `slot` is the old history of `t`): the new history. */
export function rebase(t: TensorCore, node: Node, slot = 0): void {
  if (t.viewMeta === null) {
    reattach(t, node)
    return
  }
  const { base } = t.viewMeta
  const slices = new CopySlices(base, t.layout, node, slot)
  reattach(base, slices)
  const window = new WindowNode(base, t.layout)
  reattach(t, window)
  node.resaveOutput(t, window)
  t.viewMeta.version = t.vc!.value
}

/** The place of a view's elements inside a gradient that is laid out like `base`, made dense. */
function window(view: Layout, base: Layout, grad: Layout): Layout {
  // Strides of the base decompose offsets into base indices; a dense gradient has strides of its own, dim by dim.
  if (grad.contiguous && base.contiguous) return new Layout(view.shape, view.strides, grad.offset + view.offset - base.offset)
  return new Layout(view.shape, view.strides, view.offset - base.offset + grad.offset)
}

/** A buffer laid out like `base` (which must be dense to be addressed by views' strides). */
function like(base: Layout): Layout {
  return base.dense ? base.at(0) : new Layout([base.end - base.offset], [1], 0)
}

/** The order of dims in which a dense base is row-major: there, a view's strides address its elements. */
function arrangement(base: Layout, view: Layout): { order: number[]; inverse: number[]; offset: number } {
  const order = base.shape.map((_, d) => d)
  order.sort((a, b) => base.strides[b]! - base.strides[a]! || base.shape[b]! - base.shape[a]!)
  return { order, inverse: order.map((_, d) => order.indexOf(d)), offset: view.offset - base.offset }
}

/** Reads the window of a view out of its base: the derived history of a view after in-place changes. */
export class WindowNode extends Node {
  private readonly base: Layout
  private readonly view: Layout

  constructor(base: TensorCore, view: Layout) {
    super([edgeOf(base, null)], base.outputNr === 0 ? null : [base.outputNr], view.shape, base.dt)
    this.base = base.layout
    this.view = view
  }

  name(): string {
    return 'AsStridedBackward0'
  }

  run(g: TensorCore, _gs: null, task: Task): void {
    if (task.createGraph) {
      const { order, inverse, offset } = arrangement(this.base, this.view)
      const zeros = (g as Tensor)
        .sum()
        .zerosLike()
        .expand(order.map((d) => this.base.shape[d]!))
      task.out[0] = zeros.asStridedScatter(g as Tensor, this.view.shape, this.view.strides, offset).permute(inverse)
      return
    }
    const zeros = empty(like(this.base), g.dt, task.area)
    fillWith(zeros, 0)
    const target = window(this.view, this.base, zeros.layout)
    copyInto({ storage: zeros.storage, dt: zeros.dt, layout: target }, g)
    task.out[0] = zeros
  }
}

/** The history of a base after an in-place operation on one of its views. */
export class CopySlices extends Node {
  private readonly base: Layout
  private readonly view: Layout
  private readonly inner: Node
  private readonly place: number

  constructor(base: TensorCore, view: Layout, inner: Node, slot: number) {
    super(
      inner.edges.with(slot, edgeOf(base, null)),
      inner.edges.map((_, i) => (i === slot ? base.outputNr : (inner.nrs?.[i] ?? 0))),
      base.layout.shape,
      base.dt,
    )
    this.base = base.layout
    this.view = view
    this.inner = inner
    this.place = slot
    // The operation's own slot for the view: its gradient is written into the window here.
    if (this.edges[slot] !== null) inner.edges[slot] = this.edges[slot]!
  }

  name(): string {
    return 'torch::autograd::CopySlices'
  }

  run(g: TensorCore, _gs: null, task: Task): void {
    if (task.createGraph) {
      const { order, inverse, offset } = arrangement(this.base, this.view)
      const { shape, strides } = this.view
      const whole = (g as Tensor).permute(order).contiguous()
      const part = whole.asStrided(shape, strides, offset)
      this.inner.run(part, null, task)
      const made = task.out[this.place]
      task.out[this.place] = whole.asStridedScatter((made ?? part.zerosLike()) as Tensor, shape, strides, offset).permute(inverse)
      return
    }
    const owner = task.area
    const target = window(this.view, this.base, like(this.base))
    const whole = g.layout.contiguous && this.base.contiguous ? cloneContiguous(g, owner) : empty(like(this.base), g.dt, owner)
    if (!(g.layout.contiguous && this.base.contiguous)) copyInto(whole, g)
    task.area.use(whole.storage)
    const part = new TensorCore(whole.storage, target, whole.dt)
    const input = cloneContiguous(part, owner)
    this.inner.run(input, null, task)
    const made = task.out[this.place]
    if (made === null || made === undefined) fillWith(part, 0)
    else copyInto(part, made)
    task.out[this.place] = whole
    if (whole.storage.owner === task.area) whole.storage.uses--
  }

  override get operation(): string | null {
    return this.inner.operation
  }

  override release(): void {
    this.inner.release()
  }

  override kept(): readonly Saved[] {
    return this.inner.kept()
  }
}
