/**
 * Operations that aren't elementwise: views, reductions, products, indexing. A record states the forward on plain arrays and
 * one gradient rule per input in public ops; recording, forward mode and batching are derived here.
 */
import type { Task } from '../autograd/engine.ts'
import { type Level, lower, topLevel, withLevel, wrap } from '../autograd/levels.ts'
import { modes, raiseTrouble } from '../autograd/modes.ts'
import { type Creation, freed, leafOf, Node, type OutputMeta, type SavedSlot, SavedTensor } from '../autograd/node.ts'
import { asView, attach, edgeOf } from '../autograd/record.ts'
import { differentiate } from '../autograd/run.ts'
import { unpackingOnce } from '../autograd/saved.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import type { Owner } from '../memory/storage.ts'
import type { Shape } from '../shape.ts'
import { empty, refuse, TensorCore } from '../tensor.ts'
import { underived } from './operands.ts'

/** In a rule's `reads`: output k of the operation, as `OUT - k`. Inputs are 0, 1, … */
export const OUT = -1

/** What a rule may read besides the gradient. Reading a tensor that the rule didn't declare throws. */
export interface Context<P> {
  /** A saved input. */
  in(i: number): Tensor
  /** A saved output. */
  out(i?: number): Tensor
  /** The parameters of the call. */
  readonly p: P
  /** The shape an input had; needs no saving. */
  shapeOf(i: number): Shape
  /** Does input i need a gradient in this pass? */
  wants(i: number): boolean
  /** Shared by the rules of one run: computed by the first that asks. */
  shared<T>(make: () => T): T
}

/** The gradient of one input, in public ops, linear in `g`. */
export interface VjpRule<P> {
  readonly reads: readonly number[]
  /** `g` is the gradient of output 0; `gs` of all outputs (null: undefined). */
  of(g: Tensor, c: Context<P>, gs: readonly (Tensor | null)[]): Tensor | null
}

/** A rule that reads the listed inputs (and outputs, as `OUT`). */
export function vjp<P>(reads: readonly number[], of: VjpRule<P>['of']): VjpRule<P> {
  return { reads, of }
}

/** In place of a rule: calls are recorded, and refused when a pass arrives at them. */
export function noRule<P>(op: string): VjpRule<P> {
  return vjp([], () => {
    throw underived(op)
  })
}

/** A batched call: values with the batch somewhere, and where (-1: not batched). */
export interface Batched<P> {
  readonly x: readonly Tensor[]
  readonly dims: readonly number[]
  readonly size: number
  readonly p: P
}

/** The declaration of an operation. P: its parameters. */
export interface GeneralRecord<P> {
  /** torch's node name. */
  readonly node: string | ((p: P) => string)
  /** The results, without recording. Allocate first, then read addresses. */
  forward(x: readonly TensorCore[], p: P, owner: Owner | null): TensorCore | TensorCore[]
  /** One rule per input (null: no gradient), or a function from the input's index; absent: not differentiable. */
  readonly vjp?: readonly (VjpRule<P> | null)[] | ((i: number) => VjpRule<P> | null)
  /**
   * Forward mode: 'linear' in all differentiable inputs together, 'multilinear' in each, or a rule of its own.
   * Absent: derived from the gradient rules.
   */
  readonly jvp?: 'linear' | 'multilinear' | ((tangents: readonly (Tensor | null)[], c: Context<P>) => Tensor)
  /** The whole batch in one call; absent: a loop over examples. The result has the batch in dim 0. */
  readonly batch?: (b: Batched<P>) => Tensor | Tensor[] | undefined
  /** The results share the first input's elements, made this way. */
  readonly view?: Creation
  /** torch's names of the inputs. Default: self, other, … */
  readonly names?: readonly string[]
  /** torch's names of the outputs. Default: result, … */
  readonly results?: readonly string[]
}

export class GeneralOp<P> {
  readonly name: string
  readonly record: GeneralRecord<P>

  constructor(name: string, record: GeneralRecord<P>) {
    this.name = name
    this.record = record
  }

  /** Runs the operation; one result or a list, as the record's forward gives. */
  call(x: readonly TensorCore[], p: P): TensorCore | TensorCore[] {
    if (modes.trouble !== null) raiseTrouble()
    let owner: Owner | null = null
    let wrapped = false
    let tracked = false
    for (let i = 0; i < x.length; i++) {
      const t = x[i]!
      if (!(t instanceof TensorCore)) throw refuse(this.name, t, `argument ${i}`)
      if (t.wrap !== null) wrapped = true
      if (t.rg || t.viewMeta !== null) tracked = true
      owner ??= t.storage.owner
    }
    if (wrapped) return this.atLevel(x, p)
    const y = modes.selection === null ? this.record.forward(x, p, owner) : this.select(x, p)
    if (this.record.view !== undefined && owner === null) this.markViews(x[0]!, y, this.record.view, p)
    if (tracked && modes.grad && this.record.vjp !== undefined) this.track(x, p, y, null)
    return y
  }

  /** The value of a call inside a selective checkpoint. */
  private select(x: readonly TensorCore[], p: P): TensorCore | TensorCore[] {
    return modes.selection!.compute<TensorCore | TensorCore[]>(this.name, x, () => this.record.forward(x, p, null))
  }

  /** `call` for records with one result. */
  one(x: readonly TensorCore[], p: P): Tensor {
    return this.call(x, p) as Tensor
  }

  private markViews(of: TensorCore, y: TensorCore | TensorCore[], creation: Creation, p: P): void {
    const kind: Creation = modes.inference ? 'inference' : modes.grad ? creation : 'noGrad'
    if (Array.isArray(y)) for (const v of y) asView(v, of, kind)
    else if (y !== of) asView(y, of, kind)
    if (modes.views !== null) {
      const { views } = modes
      ;(Array.isArray(y) ? y : [y]).forEach((v, nr) => {
        if (v !== of) views.made(v, of, this, p, nr)
      })
    }
  }

  rule(i: number): VjpRule<P> | null {
    const rules = this.record.vjp!
    return typeof rules === 'function' ? rules(i) : (rules[i] ?? null)
  }

  private track(x: readonly TensorCore[], p: P, y: TensorCore | TensorCore[], level: Level | null): void {
    const edges: (Node | null)[] = new Array(x.length)
    let nrs: number[] | null = null
    let any = false
    for (let i = 0; i < x.length; i++) {
      const t = x[i]!
      const e = t.dt.category === 2 && this.rule(i) !== null ? edgeOf(t, level) : null
      edges[i] = e
      if (e === null) continue
      any = true
      if (t.outputNr !== 0) (nrs ??= new Array<number>(x.length).fill(0))[i] = t.outputNr
    }
    if (!any) return
    const ys = Array.isArray(y) ? y : [y]
    if (!ys.some((o) => o.dt.category === 2)) return
    const node = new GeneralNode(this, edges, nrs, ys, x, p, level)
    for (let i = 0; i < ys.length; i++) if (ys[i]!.dt.category === 2) attach(ys[i]!, node, i)
  }

  // --- transforms -------------------------------------------------------------------------------------------------------

  private atLevel(x: readonly TensorCore[], p: P): TensorCore | TensorCore[] {
    const level = topLevel(x)!
    if (level.kind === 'batch') return this.batched(x, p, level)
    const inner = lower(x, level)
    const value = this.call(inner, p)
    if (level.kind === 'reverse') {
      const y = Array.isArray(value) ? value.map((v) => wrap(level, v)) : wrap(level, value)
      if (modes.grad && this.record.vjp !== undefined) this.track(x, p, y, level)
      return y
    }
    const tangents = x.map((t) => (t.wrap !== null && t.wrap.level === level ? (t.wrap.tangent as Tensor | null) : null))
    const dual = this.record.vjp !== undefined && tangents.some((t) => t !== null) ? this.tangents(inner, p, value, tangents) : null
    if (!Array.isArray(value)) return wrap(level, value, value.dt.category === 2 ? (dual?.[0] ?? null) : null)
    return value.map((v, i) => wrap(level, v, v.dt.category === 2 ? (dual?.[i] ?? null) : null))
  }

  /** The tangents of the results, one per result. */
  private tangents(x: readonly TensorCore[], p: P, y: TensorCore | TensorCore[], t: readonly (Tensor | null)[]): (Tensor | null)[] {
    const { jvp } = this.record
    const list = (r: TensorCore | TensorCore[]): Tensor[] => (Array.isArray(r) ? r : [r]) as Tensor[]
    const usable = t.map((ti, i) => (this.rule(i) === null ? null : ti))
    if (jvp === 'linear') {
      return list(
        this.call(
          x.map((xi, i) => (this.rule(i) === null ? xi : (usable[i] ?? (xi as Tensor).mul(0).detach()))),
          p,
        ),
      )
    }
    if (jvp === 'multilinear') {
      let sum: Tensor[] | null = null
      usable.forEach((ti, i) => {
        if (ti === null) return
        const term = list(
          this.call(
            x.map((xi, j) => (j === i ? ti : xi)),
            p,
          ),
        )
        sum = sum === null ? term : sum.map((s, k) => s.add(term[k]!))
      })
      return sum ?? []
    }
    const ys = list(y)
    if (jvp !== undefined) return [jvp(usable, new PlainContext(x as Tensor[], ys, p))]
    return this.doubleVjp(x as Tensor[], ys, p, usable)
  }

  /** J·t from the gradient rules alone: u ↦ Jᵀu is linear, so the gradient of ⟨Jᵀu, t⟩ with respect to u is J·t. */
  private doubleVjp(x: readonly Tensor[], ys: readonly Tensor[], p: P, t: readonly (Tensor | null)[]): (Tensor | null)[] {
    return withLevel('reverse', 0, (level) => {
      const us = ys.map((y) => {
        if (y.dt.category !== 2) return null
        const u = wrap(level, y.mul(0).detach()) as Tensor
        u.rg = true
        leafOf(u)
        return u
      })
      const c = new PlainContext(x, ys, p)
      let inner: Tensor | null = null
      t.forEach((ti, i) => {
        const g = ti === null ? null : this.rule(i)!.of(us[0]!, c, us)
        if (g === null) return
        const term = g.mul(ti!).sum()
        inner = inner === null ? term : (inner as Tensor).add(term)
      })
      const wanted = us.filter((u) => u !== null)
      const none = us.map(() => null)
      if (inner === null || (inner as TensorCore).wrap?.level !== level) return none
      const made = differentiate([inner], wanted, { gradOutputs: null, keepGraph: true, createGraph: true, level })
      let k = 0
      return us.map((u) => (u === null ? null : (made[k++] as Tensor | null)))
    })
  }

  private batched(x: readonly TensorCore[], p: P, level: Level): TensorCore | TensorCore[] {
    const values = x.map((t) => (t.wrap !== null && t.wrap.level === level ? t.wrap.value : t)) as Tensor[]
    const dims = x.map((t) => (t.wrap !== null && t.wrap.level === level ? t.wrap.dim : -1))
    const made = this.record.batch?.({ x: values, dims, size: level.size, p })
    if (made !== undefined) return Array.isArray(made) ? made.map((m) => wrap(level, m)) : wrap(level, made)
    const rows: (TensorCore | TensorCore[])[] = []
    for (let b = 0; b < level.size; b++) {
      rows.push(
        this.call(
          values.map((v, i) => (dims[i] === -1 ? v : v.select(dims[i]!, b))),
          p,
        ),
      )
    }
    const first = rows[0]!
    if (!Array.isArray(first)) return wrap(level, stackRows(rows as Tensor[]))
    return first.map((_, k) => wrap(level, stackRows(rows.map((r) => (r as Tensor[])[k]!))))
  }
}

function stackRows(rows: readonly Tensor[]): Tensor {
  return rows[0]!.unsqueeze(0).catWith(
    rows.slice(1).map((r) => r.unsqueeze(0)),
    0,
  )
}

/** Rules outside of a recorded node: everything is at hand. */
class PlainContext<P> implements Context<P> {
  readonly p: P
  private readonly x: readonly Tensor[]
  private readonly y: readonly Tensor[]
  private memo: { value: unknown } | null = null

  constructor(x: readonly Tensor[], y: readonly Tensor[], p: P) {
    this.x = x
    this.y = y
    this.p = p
  }
  in(i: number): Tensor {
    return this.x[i]!
  }
  out(i = 0): Tensor {
    return this.y[i]!
  }
  shapeOf(i: number): Shape {
    return this.x[i]!.layout.shape
  }
  wants(): boolean {
    return true
  }
  shared<T>(make: () => T): T {
    return (this.memo ??= { value: make() }).value as T
  }
}

/** Where a slot is stored: inputs and outputs in turns. */
function place(slot: number): number {
  return slot >= 0 ? 2 * slot : 2 * (OUT - slot) + 1
}

/** What nodes hold that have let go of what they saved. */
const NOTHING: (SavedTensor | undefined)[] = []

/** A recorded operation with its saved tensors by position: inputs from 0 up, outputs from OUT down. */
export class GeneralNode<P> extends Node implements Context<P> {
  readonly op: GeneralOp<P>
  readonly p: P
  private readonly shapes: readonly Shape[]
  /** By `place`. (A Map costs as much as the rest of the node.) */
  private store: (SavedTensor | undefined)[] | null = null
  /** Do hooks hold a saved tensor? */
  private hooked = false
  private live = true
  private memo: { value: unknown } | null = null
  /** The name of the node, where it isn't the record's. */
  label: string | null = null

  constructor(
    op: GeneralOp<P>,
    edges: (Node | null)[],
    nrs: readonly number[] | null,
    ys: readonly TensorCore[],
    x: readonly TensorCore[],
    p: P,
    level: Level | null,
  ) {
    super(edges, nrs, ys[0]!.layout.shape, ys[0]!.dt)
    this.op = op
    this.p = p
    this.shapes = x.map((t) => t.layout.shape)
    if (ys.length > 1) this.metas = ys.map((y): OutputMeta => ({ shape: y.layout.shape, dt: y.dt }))
    if (modes.hooks !== null) {
      this.hooked = true
      for (const slot of this.slots()) this.keep(slot, x, ys, level)
      return
    }
    for (let i = 0; i < edges.length; i++) {
      if (edges[i] === null) continue
      for (const slot of op.rule(i)!.reads) if (this.store === null || this.store[place(slot)] === undefined) this.keep(slot, x, ys, level)
    }
  }

  private keep(slot: number, x: readonly TensorCore[], ys: readonly TensorCore[], level: Level | null): void {
    const t = slot >= 0 ? x[slot] : ys[OUT - slot]
    if (t === undefined) return
    const saved =
      slot >= 0 || level !== null || t.dt.category !== 2
        ? level === null
          ? SavedTensor.input(t)
          : SavedTensor.below(lower(t, level))
        : saveOutput(t, this, OUT - slot)
    ;(this.store ??= [])[place(slot)] = saved
  }

  private nameOf(slot: number): string {
    const { names, results } = this.op.record
    if (slot < 0) return results?.[OUT - slot] ?? (slot === OUT ? 'result' : `result${OUT - slot}`)
    return names?.[slot] ?? (slot === 0 ? 'self' : slot === 1 ? 'other' : `input${slot}`)
  }

  /** What is saved, in the order in which torch packs and unpacks: inputs by name, then outputs. */
  private slots(): number[] {
    const found = new Set(this.edges.flatMap((e, i) => (e === null ? [] : this.op.rule(i)!.reads)))
    const order = (i: number, j: number): number =>
      i < 0 !== j < 0 ? Math.sign(j - i) : i < 0 ? j - i : this.nameOf(i) < this.nameOf(j) ? -1 : 1
    return [...found].sort(order)
  }

  name(): string {
    if (this.label !== null) return this.label
    const { node } = this.op.record
    return typeof node === 'string' ? node : node(this.p)
  }

  override get operation(): string {
    return this.op.name
  }

  private read(slot: number): Tensor {
    if (!this.live) throw freed(this)
    const s = this.store?.[place(slot)]
    if (s === undefined)
      throw new TypeError(
        `internal: ${this.name()} reads ${slot < 0 ? `output ${OUT - slot}` : `input ${slot}`}, which its rule doesn't declare`,
      )
    return s.unpack(this) as Tensor
  }
  in(i: number): Tensor {
    return this.read(i)
  }
  out(i = 0): Tensor {
    return this.read(OUT - i)
  }
  shapeOf(i: number): Shape {
    return this.shapes[i]!
  }
  wants(i: number): boolean {
    return this.running!.wants(this.edges[i]!)
  }
  shared<T>(make: () => T): T {
    return (this.memo ??= { value: make() }).value as T
  }

  private running: Task | null = null

  run(g: TensorCore | null, gs: readonly (TensorCore | null)[] | null, task: Task): void {
    this.running = task
    if (this.store !== null && !this.live) throw freed(this)
    try {
      if (this.hooked) {
        unpackingOnce(() => {
          for (const slot of this.slots()) this.store?.[place(slot)]?.unpack(this)
          this.differentiate(g, gs, task)
        })
      } else this.differentiate(g, gs, task)
    } finally {
      this.running = null
      this.memo = null
    }
  }

  private differentiate(g: TensorCore | null, gs: readonly (TensorCore | null)[] | null, task: Task): void {
    const all = (gs ?? [g]) as readonly (Tensor | null)[]
    for (let i = 0; i < this.edges.length; i++) {
      if (!task.wants(this.edges[i]!)) continue
      task.out[i] = this.op.rule(i)!.of(all[0]!, this, all)
    }
  }

  override notePacked(): void {
    this.hooked = true
  }

  override savedSlots(): readonly SavedSlot[] {
    return this.slots().map((slot) => ({ name: this.nameOf(slot), value: this.live ? this.store?.[place(slot)] : null }))
  }

  override savedValues(): Readonly<Record<string, unknown>> {
    return typeof this.p === 'object' && this.p !== null && !Array.isArray(this.p) ? (this.p as Record<string, unknown>) : {}
  }

  override release(): void {
    this.live = false
    if (this.store === null) return
    if (this.hooked) for (const saved of this.store) saved?.release()
    this.store = NOTHING
  }
}

/** Outputs are attached after the node exists, so their place in it is given here. */
function saveOutput(t: TensorCore, node: Node, nr: number): SavedTensor {
  t.outputNr = nr
  return SavedTensor.output(t, node)
}

/** Declares an operation. The public function wraps `one` or `call` with its own signature. */
// @__NO_SIDE_EFFECTS__
export function general<P>(name: string, record: GeneralRecord<P>): GeneralOp<P> {
  return new GeneralOp(name, record)
}

/** The declaration of a view: how the layout changes, and the gradient's way back. */
export interface ViewRecord<P> {
  readonly node: string | ((p: P) => string)
  layout(l: Layout, p: P): Layout
  /** The gradient of the viewed tensor, given that of the view. */
  vjp(g: Tensor, c: Context<P>): Tensor
  readonly batch?: (b: Batched<P>) => Tensor | undefined
}

/** Declares a view: the result shares the input's elements. */
// @__NO_SIDE_EFFECTS__
export function view<P>(name: string, record: ViewRecord<P>): GeneralOp<P> {
  return new GeneralOp<P>(name, {
    node: record.node,
    forward: (x, p) => new TensorCore(x[0]!.storage, record.layout(x[0]!.layout, p), x[0]!.dt),
    vjp: [vjp([], (g, c) => record.vjp(g, c))],
    jvp: 'linear',
    view: 'default',
    ...(record.batch === undefined ? {} : { batch: record.batch }),
  })
}

/** The value with its batch dim in front; unbatched ones get a batch dim of size 1. */
export function inFront(b: { readonly x: readonly Tensor[]; readonly dims: readonly number[] }, i: number): Tensor {
  const dim = b.dims[i]!
  return dim === -1 ? b.x[i]!.unsqueeze(0) : dim === 0 ? b.x[i]! : b.x[i]!.movedim(dim, 0)
}

/** A fresh result of the same shape and dtype as `t`. */
export function emptyLike(t: TensorCore, owner: Owner | null): TensorCore {
  return empty(t.layout.contiguous && t.layout.offset === 0 ? t.layout : Layout.of(t.layout.shape), t.dt, owner)
}
