/** The backward pass: walks the graph from the roots, newest node first, without recursion. Knows nodes and edges, no ops. */
import { addArrays, addInto } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Area } from '../memory/area.ts'
import type { TensorCore } from '../tensor.ts'
import { handOut } from './accumulate.ts'
import { Claims } from './claims.ts'
import { fit } from './fit.ts'
import { atLeaf, postHooks, preHooks, tensorHooks } from './hooks.ts'
import { modes, type ProfileWatch } from './modes.ts'
import { AccumulateGrad, type Node } from './node.ts'
import { executionOrder, markNeeded, ReadyQueue } from './queue.ts'
import { requireStack } from './user.ts'

/** Where a pass starts, or what it is asked for: output `nr` of `node`. */
export interface Edge {
  readonly node: Node
  readonly nr: number
}

export interface PassOptions {
  /** Keep what nodes saved, for another pass. */
  readonly keepGraph: boolean
  /** Rules run on tensors instead of fused kernels: for recording them, and for transforms. */
  readonly createGraph: boolean
  /** Grad mode while they run. */
  readonly record: boolean
  /** Compute only what leads here, and return the gradients here; null: fill `.grad` of all leaves. */
  readonly inputs: readonly Edge[] | null
  /** With `inputs`: they accumulate (or retain) their gradients instead of having them returned. */
  readonly accumulate: boolean
}

/** An output of a node that was asked for, and its place among the results. */
type Slot = { readonly nr: number; readonly slot: number }

let nextTask = 0
let running: Task | null = null

/** The innermost pass that is running. */
export function runningTask(): Task | null {
  return running
}

export class Task {
  readonly id: number = nextTask++
  readonly area: Area = new Area()
  readonly keepGraph: boolean
  readonly createGraph: boolean
  private readonly record: boolean
  /** Where a node writes the gradients of its inputs. */
  readonly out: (TensorCore | null)[] = []
  /** Runs when the pass is over. */
  readonly callbacks: (() => void)[] = []
  /** The node that is running. */
  node: Node | null = null
  readonly outer: Task | null = running
  private held: TensorCore | null = null
  private heldAll: (TensorCore | null)[] | null = null
  private readonly claims: Claims = new Claims(this)
  private readonly ready = new ReadyQueue()
  private readonly captures: Map<Node, Slot[]> | null = null
  private readonly captured: (TensorCore | null)[] = []
  private readonly restrict: boolean
  private readonly accumulates: boolean

  constructor(options: PassOptions) {
    this.keepGraph = options.keepGraph
    this.createGraph = options.createGraph
    this.record = options.record
    this.restrict = options.inputs !== null
    this.accumulates = options.accumulate
    if (options.inputs === null) return
    this.captures = new Map()
    for (const [slot, { node, nr }] of options.inputs.entries()) {
      if (!options.accumulate) this.captured.push(null)
      let slots = this.captures.get(node)
      if (slots === undefined) this.captures.set(node, (slots = []))
      slots.push({ nr, slot })
    }
  }

  /** Runs from `roots` with their gradients. Returns one gradient (or null) per input asked for. */
  execute(roots: readonly Edge[], grads: readonly TensorCore[]): (TensorCore | null)[] {
    const before = modes.grad
    const previous = running
    if (previous !== null) requireStack()
    running = this
    modes.grad = this.record
    try {
      this.start(roots, grads)
      if (modes.profile !== null) this.profiled(modes.profile)
      for (let node = this.ready.pop(); node !== undefined; node = this.ready.pop()) this.evaluate(node)
      this.conclude()
      return this.captured
    } catch (error) {
      if (modes.anomaly !== null && this.node !== null) modes.anomaly.failed(this.node)
      throw error
    } finally {
      running = previous
      modes.grad = before
      this.claims.release()
      this.letGo()
      this.area.settle()
    }
  }

  // Note [Small frames]
  // `execute`, `evaluate` and what lies between them and a hook stand on the stack once for each pass inside a pass: their
  // loops that call no user code are functions of their own, which leaves room for more of them.

  private start(roots: readonly Edge[], grads: readonly TensorCore[]): void {
    this.claims.count(roots)
    if (this.captures !== null) markNeeded(this.claims.nodes, this.captures.keys(), this.accumulates)
    for (const [i, { node, nr }] of roots.entries()) this.put(node, nr, grads[i]!)
    for (const { node } of roots) {
      if (node.pending !== 0) continue
      node.pending = -1
      this.ready.push(node)
    }
  }

  private profiled(profile: ProfileWatch): void {
    for (let node = this.ready.pop(); node !== undefined; node = this.ready.pop()) {
      const current = node
      profile.node(current, this.out, () => this.evaluate(current))
    }
  }

  private conclude(): void {
    for (const callback of this.callbacks) callback()
  }

  /** Must a gradient for this edge be computed? Nodes ask before they spend work on it. */
  wants(next: Node | null): next is Node {
    return next !== null && (!this.restrict || next.needed || this.captures!.has(next))
  }

  /** Adds a gradient to an input slot of a node; never writes into what somebody else can see. */
  private put(node: Node, nr: number, g: TensorCore): void {
    const { area } = this
    const old = nr === 0 && node.metas === null ? node.buffer : ((node.buffers ??= node.metas?.map(() => null) ?? [null])[nr] ?? null)
    let sum = g
    if (old !== null) {
      if (this.createGraph) sum = (old as Tensor).add(g as Tensor)
      else if (area.sole(old.storage) && old.layout.contiguous) {
        addInto(old, g)
        return
      } else sum = addArrays(old, g, area)
      area.use(sum.storage)
      area.drop(old.storage)
    } else area.use(g.storage)
    if (node.metas === null) node.buffer = sum
    else node.buffers![nr] = sum
  }

  private evaluate(node: Node): void {
    let g = node.buffer
    const gs = node.buffers
    if (gs === null) this.held = g
    else this.heldAll = gs.slice()
    node.buffer = null
    node.buffers = null
    // What is asked for of a node that also runs is what arrived there; of one that doesn't, what its tensor's hooks made of it.
    const needed = !this.restrict || node.needed
    if (!needed && node.hooks !== null) g = tensorHooks(node, g, gs, this)
    const slots = this.accumulates ? undefined : this.captures?.get(node)
    if (slots !== undefined) this.capture(slots, g, gs)
    if (needed) {
      this.node = node
      if (node.hooks !== null) g = tensorHooks(node, g, gs, this)
      if (node instanceof AccumulateGrad) atLeaf(node, g, this)
      else this.apply(node, g, gs)
      this.node = null
    }
    this.letGo()
  }

  /** The gradients that the node which is running (or threw) was given are over. */
  private letGo(): void {
    const { held, heldAll } = this
    this.held = null
    this.heldAll = null
    if (held !== null) this.area.drop(held.storage)
    if (heldAll !== null) for (const g of heldAll) if (g !== null) this.area.drop(g.storage)
  }

  private apply(node: Node, first: TensorCore | null, gs: (TensorCore | null)[] | null): void {
    const { out, area } = this
    const { edges, nrs } = node
    let g = first
    if (node.hooks !== null) g = preHooks(node, g, gs)
    for (let i = 0; i < edges.length; i++) out[i] = null
    if (g !== null || gs?.some((x) => x !== null) || node.runsOnNothing) node.run(g, gs, this)
    if (!this.keepGraph) node.release()
    if (node.hooks !== null) postHooks(node, out, gs ?? [g])
    if (modes.anomaly !== null) {
      modes.anomaly.check(node, out)
      if (!this.keepGraph) modes.anomaly.freed(node)
    }
    for (let i = 0; i < edges.length; i++) {
      const next = edges[i]!
      if (next === null || !this.wants(next)) continue
      const nr = nrs === null ? 0 : nrs[i]!
      let made = out[i]!
      if (made !== null) {
        const meta = next.metas === null ? next : next.metas[nr]!
        if (made.layout.shape !== meta.shape || made.dt !== meta.dt) made = fit(made, next.meta(nr), node, i, this)
        this.put(next, nr, made)
      }
      if (--next.pending === 0) this.ready.push(next)
    }
    area.settle()
  }

  private capture(slots: readonly Slot[], g: TensorCore | null, gs: (TensorCore | null)[] | null): void {
    for (const { nr, slot } of slots) {
      const found = gs === null ? g : gs[nr]!
      this.captured[slot] = found === null ? null : handOut(found, this.area)
    }
  }

  /** Will this node run (or hand out what it gets) in this pass? */
  executes(node: Node): boolean {
    return node.task === this && (!this.restrict || node.needed || this.captures!.has(node))
  }

  /** Is this a pass that returns the gradient of this leaf instead of accumulating it? */
  returns(node: Node): boolean {
    return !this.accumulates && this.captures !== null && this.captures.has(node)
  }

  /** The nodes that run, in their order (as it stood when the pass began). */
  order(): Node[] {
    return executionOrder(this.claims.nodes).filter((node) => this.executes(node))
  }
}
