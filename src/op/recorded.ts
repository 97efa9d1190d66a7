/** A recorded elementwise operation: what it saved, and its gradients, fused or on tensors. */
import type { Task } from '../autograd/engine.ts'
import { freed, Node, type SavedSlot, type SavedTensor } from '../autograd/node.ts'
import { unpackingOnce } from '../autograd/saved.ts'
import type { DTypeInfo } from '../dtype.ts'
import { type Kernel, run, run1, run2, type Scalars } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import type { ArrayLike, TensorCore } from '../tensor.ts'
import type { ElementwiseOp, Plan } from './elementwise.ts'

/** Where the saved output stands among what rules read: inputs 0, 1, 2, then this. */
export const Y = 3

/** A recorded elementwise operation. */
export class ElementwiseNode extends Node {
  readonly op: ElementwiseOp
  readonly s: Scalars
  readonly scalarMask: number
  a: SavedTensor | null = null
  b: SavedTensor | null = null
  c: SavedTensor | null = null
  y: SavedTensor | null = null
  /** Do hooks hold a saved tensor? */
  private hooked = false

  constructor(op: ElementwiseOp, edges: (Node | null)[], nrs: readonly number[] | null, y: TensorCore, s: Scalars, scalarMask: number) {
    super(edges, nrs, y.layout.shape, y.dt)
    this.op = op
    this.s = s
    this.scalarMask = scalarMask
  }

  name(): string {
    const { node } = this.op.record
    if (node === undefined) return `${this.op.name[0]!.toUpperCase()}${this.op.name.slice(1)}Backward0`
    return typeof node === 'string' ? node : node(this.scalarMask)
  }

  override get operation(): string {
    return this.op.name
  }

  private at(slot: number): SavedTensor | null {
    return slot === 0 ? this.a : slot === 1 ? this.b : slot === 2 ? this.c : this.y
  }

  private mustHave(slot: number): SavedTensor {
    const s = this.at(slot)
    if (s === null) throw freed(this)
    return s
  }

  keep(slot: number, s: SavedTensor): void {
    if (slot === 0) this.a = s
    else if (slot === 1) this.b = s
    else if (slot === 2) this.c = s
    else this.y = s
  }

  override notePacked(): void {
    this.hooked = true
  }

  run(g: TensorCore, _gs: null, task: Task): void {
    if (!this.hooked) {
      this.differentiate(g, task)
      return
    }
    unpackingOnce(() => {
      for (const slot of this.op.order) this.at(slot)?.read(this)
      this.differentiate(g, task)
    })
  }

  private differentiate(g: TensorCore, task: Task): void {
    const { edges, op } = this
    for (let i = 0; i < edges.length; i++) {
      const next = edges[i]!
      if (!task.wants(next)) continue
      const plan = op.plan(i, this.scalarMask)
      if (plan.identity) task.out[i] = g
      else if (task.createGraph) task.out[i] = this.rule(i, g as Tensor)
      else task.out[i] = this.fused(plan, g, this.nrs === null ? next.dt : next.meta(this.nrs[i]!).dt, task)
    }
  }

  private fused(plan: Plan, g: TensorCore, out: DTypeInfo, task: Task): TensorCore {
    const { uses } = plan
    const to = out.category === 2 ? out : g.dt
    if (uses.length === 0) {
      const key = to.code * 8 + g.dt.code
      const k = plan.key === key ? plan.last! : this.op.backward(plan, key, [g.dt], to)
      return run1(k, g, take(this.s, k), task.area)
    }
    const first = this.mustHave(uses[0]!).read(this)
    if (uses.length === 1) {
      const key = (to.code * 8 + g.dt.code) * 8 + first.dt.code
      const k = plan.key === key ? plan.last! : this.op.backward(plan, key, [g.dt, first.dt], to)
      return run2(k, g, first, take(this.s, k), task.area)
    }
    const ins: ArrayLike[] = [g, first]
    for (let j = 1; j < uses.length; j++) ins.push(this.mustHave(uses[j]!).read(this))
    const types = ins.map((x) => x.dt)
    const key = types.reduce((code, dt) => code * 8 + dt.code, to.code)
    const k = this.op.backward(plan, key, types, to)
    return run(k, ins, take(this.s, k), task.area)
  }

  private rule(i: number, g: Tensor): Tensor {
    const plan = this.op.plan(i, this.scalarMask)
    for (const slot of plan.uses) this.mustHave(slot)
    let n = 0
    const operand = (slot: number, saved: SavedTensor | null): Tensor =>
      (slot < this.op.arity && this.scalarMask & (1 << slot)
        ? this.s![n++]
        : saved === null
          ? null
          : this.op.converted(saved.unpack(this), slot, g.dt)) as Tensor
    const a = operand(0, this.a)
    const b = operand(1, this.b)
    const c = operand(2, this.c)
    const s = this.s === null ? [] : this.s.slice(n)
    return this.op.record.vjp![i]!<Tensor>(g, { a, b, c, y: this.y?.unpack(this) as Tensor, s })
  }

  override savedSlots(): readonly SavedSlot[] {
    const { op, edges, scalarMask } = this
    const wants = edges.reduce((m, e, i) => m | (e === null ? 0 : 1 << i), 0)
    const mask = op.saveMask(wants, scalarMask)
    return op.order.filter((slot) => mask & (1 << slot)).map((slot) => ({ name: op.nameOf(slot), value: this.at(slot) }))
  }

  override savedValues(): Readonly<Record<string, number>> {
    return this.op.numbersOf(this.s, this.scalarMask)
  }

  override resaveOutput(_t: TensorCore, by: Node): void {
    this.y?.madeBy(by)
  }

  override release(): void {
    if (this.hooked) for (const slot of this.op.order) this.at(slot)?.release()
    this.a = this.b = this.c = this.y = null
  }
}

function take(s: Scalars, k: Kernel): Scalars {
  const n = k.program.scalars
  return n === 0 || s === null ? null : s.length === n ? s : s.slice(0, n)
}
