/** How an operation enters the graph: edges to what made its inputs, in-place rules, views that follow their base. */
import { dtypes } from '../dtype.ts'
import { InPlaceError } from '../errors.ts'
import { cloneContiguous, copyInto, fillWith } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { dataView, eachIndex, empty, readAll, TensorCore, writeAll } from '../tensor.ts'
import type { Task } from './engine.ts'
import type { Level } from './levels.ts'
import { modes } from './modes.ts'
import { operatorOf } from './names.ts'
import { type Creation, leafOf, Node, NodeHooks, type Saved, ViewMeta, versionOf } from './node.ts'
import { bornInInference, INFERENCE } from './version.ts'

/** Does `t` require gradients at this level (null: the plain tape)? Views follow their base. */
export function needs(t: TensorCore, level: Level | null): boolean {
  if (level !== null) return t.rg && t.wrap !== null && t.wrap.level === level
  return t.rg || (t.viewMeta !== null && t.viewMeta.base.rg)
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
  // Among themselves, in their mode, inference tensors have no history that could have to be followed.
  if (vc === INFERENCE && creation === 'inference') return t
  const parent = of.viewMeta
  const strict = parent !== null && creation === 'default' ? parent.creation : creation
  t.viewMeta = new ViewMeta(parent === null ? of : parent.base, vc.value, strict)
  return t
}

/** Brings the node of a view up to date with in-place changes of its base. Errors: InPlaceError where it can't follow. */
export function refresh(t: TensorCore): void {
  const view = t.viewMeta!
  const vc = t.vc!
  if (view.version === vc.value) return
  const { base } = view
  if (base.rg) {
    if (view.creation !== 'default' && modes.grad) throw unfollowed(t, null)
    reattach(t, nodeOfView(t, base))
  }
  view.version = vc.value
}

/** The history of a view as its base is now: its operations, if it knows them, otherwise its window. */
function nodeOfView(t: TensorCore, base: TensorCore): Node {
  const again = modes.views === null ? null : modes.views.again(t)
  return again !== null && again.node !== null && again.outputNr === 0 ? again.node : new WindowNode(base, t.layout)
}

/** What each mode is called, and what its opposite is. */
const MODES: Readonly<Record<'noGrad' | 'inference', readonly [mode: string, ours: string, outside: string]>> = {
  noGrad: ['no_grad mode', 'noGrad', 'with grad mode enabled'],
  inference: ['inference mode', 'inferenceMode', 'in normal mode'],
}

/** Why views of each kind can't follow a change. */
const REASONS: Readonly<Record<'multiOutput' | 'function', string>> = {
  multiOutput:
    'This view is the output of a function that returns multiple views. Such functions do not allow the output views to be modified inplace. ' +
    'You should replace the inplace operation by an out-of-place one.',
  function:
    'This view was created inside a custom Function (or because an input was returned as-is) and the autograd logic to handle view+inplace would override ' +
    'the custom backward associated with the custom Function, leading to incorrect gradients. This behavior is forbidden. You can fix this by cloning the ' +
    'output of the custom Function.',
}

/** The refusal of a change that the history of view `t` can't follow: of itself by `op`, or (null) of its base. */
function unfollowed(t: TensorCore, op: string | null): InPlaceError {
  const { creation } = t.viewMeta!
  const [mode, ours, outside] = MODES[creation === 'inference' ? 'inference' : 'noGrad']
  const changed = `${op === null ? 'its base or another view of its base has been' : 'is being'} modified inplace`
  const made = `created in ${mode} and ${changed} ${outside}.`
  const ofMode = creation === 'noGrad' || creation === 'inference'
  const output = t.node === null ? '' : `Output ${t.outputNr} of ${operatorOf(t.node)}`
  const what =
    t.node === null
      ? `A view was ${made}`
      : ofMode
        ? `${output} is a view of a view which was ${made}`
        : `${output} is a view and ${changed}.`
  const why = ofMode
    ? 'Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both the view and the inplace either both ' +
      `inside the ${ours} block (if you don't want the inplace to be tracked) or both outside (if you want the inplace to be tracked).`
    : REASONS[creation as 'multiOutput' | 'function']
  return new InPlaceError(`${what} ${why}`, op === null ? {} : { op })
}

/** Refuses an in-place operation that autograd can't follow, before anything is changed. */
export function checkInPlace(op: string, t: TensorCore, willRecord: boolean): void {
  refuseInPlace(op, t, willRecord)
  if (modes.mutation !== null) modes.mutation.before(t)
}

function refuseInPlace(op: string, t: TensorCore, willRecord: boolean): void {
  const needed = needs(t, null)
  if (modes.grad && (willRecord || needed)) {
    if (t.viewMeta !== null) {
      if (t.viewMeta.creation !== 'default') throw unfollowed(t, op)
      refresh(t)
      if (needed && t.viewMeta.base.node === null) {
        throw new InPlaceError(
          `a view of a leaf Variable that requires grad is being used in an in-place operation. ${op} would change the leaf behind the graph's back; run it inside noGrad(() => …)`,
          { op },
        )
      }
    }
    if (needed && t.node === null) {
      throw new InPlaceError(
        `a leaf Variable that requires grad is being used in an in-place operation. ${op} would change it behind the graph's back: use ${op.replace(/_$/, '')}, or run it inside noGrad(() => …)`,
        { op },
      )
    }
  }
  if (bornInInference(t) && !modes.inference) {
    throw new InPlaceError(
      `Inplace update to inference tensor outside InferenceMode is not allowed. You can make a clone to get a normal tensor before doing inplace update. (${op})`,
      { op, shapes: [t.layout.shape] },
    )
  }
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
  const again = nodeOfView(t, base)
  reattach(t, again)
  node.resaveOutput(t, again)
  t.viewMeta.version = t.vc!.value
}

/** After an operation that changed no elements, only what `t` is to its base: its own new history. */
export function changeHistory(t: TensorCore, node: Node): void {
  reattach(t, node)
  if (t.viewMeta !== null) t.viewMeta.version = t.vc!.value
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

/** Where the elements of a layout lie, as indices. */
function places(layout: Layout): Tensor {
  const found: number[] = []
  eachIndex(layout, (k) => found.push(k))
  const indices = empty(Layout.of([found.length]), dtypes.int32, null)
  writeAll(indices, found)
  return indices as Tensor
}

/** Adds `g` into the elements of `buffer` that `target` names, some of them several times. */
function addUp(buffer: TensorCore, target: Layout, g: TensorCore): void {
  const values = readAll(g)
  const data = dataView(buffer)
  let i = 0
  eachIndex(target, (k) => {
    data[k]! += values[i++]!
  })
}

/** Reads the window of a view out of its base: the derived history of a view after in-place changes. */
class WindowNode extends Node {
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
    const { base, view } = this
    if (task.createGraph) {
      const { order, inverse, offset } = arrangement(base, view)
      const sizes = order.map((d) => base.shape[d]!)
      const zeros = (g as Tensor).sum().zerosLike()
      const filled = view.overlapping
        ? zeros
            .expand([base.numel])
            .scatterAdd(0, places(view.at(offset)), (g as Tensor).reshape([-1]))
            .reshape(sizes)
        : zeros.expand(sizes).asStridedScatter(g as Tensor, view.shape, view.strides, offset)
      task.out[0] = filled.permute(inverse)
      return
    }
    const zeros = empty(like(base), g.dt, task.area)
    fillWith(zeros, 0)
    const target = window(view, base, zeros.layout)
    if (view.overlapping) addUp(zeros, target, g)
    else copyInto({ storage: zeros.storage, dt: zeros.dt, layout: target }, g)
    task.out[0] = zeros
  }
}

/** The history of a base after an in-place operation on one of its views. */
class CopySlices extends Node {
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
