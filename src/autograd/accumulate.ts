/** What happens to a gradient at a leaf: it becomes `.grad`, or is added to it. */
import { addArrays, addInto, cast, cloneContiguous, copyInto } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type Area, escape } from '../memory/area.ts'
import { collector, SMALL_BYTES } from '../memory/collector.ts'
import { allocatePersistent, currentScope } from '../memory/scope.ts'
import { UNTRACKED } from '../memory/storage.ts'
import { TensorCore } from '../tensor.ts'
import type { LeafMeta } from './node.ts'
import { bump } from './record.ts'

// Note [Gradients nobody has seen]
// Training loops never look at `.grad`; the optimizer reads it through `peekGrad`. Such buffers need no collector: when
// the gradient is cleared the tensor waits as a spare, its block (if it has one of its own) is free for others, and the next
// gradient's block moves in. Once user code has seen the tensor (`shown`), its memory is left alone and the collector's.

/**
 * Adds `g` to the leaf's gradient. `record` is grad mode inside the pass: then the sum is part of the graph. `mayTake`:
 * nobody else needs `g` after this, so its memory can become the gradient's.
 */
export function accumulate(leaf: LeafMeta, g: TensorCore, area: Area, record: boolean, mayTake: boolean): void {
  const old = leaf.grad
  if (record) {
    const sum = leaf.has ? ((old as Tensor).add(g as Tensor) as TensorCore) : g
    escape(sum.storage)
    currentScope()?.keep(sum.storage, sum.node !== null)
    leaf.grad = sum
    leaf.has = true
    leaf.shown = true
    return
  }
  if (leaf.has) {
    const term = g.dt === old!.dt ? g : cast(g, old!.dt, area)
    if (old!.layout.overlapping) {
      const sum = addArrays(old!, term, null)
      currentScope()?.keep(sum.storage, false)
      leaf.grad = sum
    } else {
      addInto(old!, term)
      bump(old!, 'accumulateGrad')
    }
    return
  }
  leaf.has = true
  const layout = contract(leaf.node.variable.layout)
  const takeable = mayTake && area.sole(g.storage) && sameLayout(g.layout, layout) && g.storage.bytes === g.layout.numel * g.dt.bytes
  if (old !== null && old.storage.bytes === g.storage.bytes && old.dt === g.dt && sameLayout(old.layout, layout)) {
    const c = collector()
    const hollow = c.isHollow(old.storage)
    if (hollow) c.refill(old.storage, takeable ? g.storage : c.block(g.storage.bytes))
    if (!takeable) copyInto(old, g)
    else if (!hollow) c.heap.memory.u8.copyWithin(old.storage.ptr, g.storage.ptr, g.storage.ptr + g.storage.bytes)
    return
  }
  leaf.shown = false
  // Tracking a block costs more than copying a small one to where a region is tracked as a whole.
  if (takeable && g.storage.bytes > SMALL_BYTES) {
    escape(g.storage)
    leaf.grad = new TensorCore(g.storage, g.layout, g.dt)
  } else {
    const fresh = new TensorCore(allocatePersistent(g.layout.numel * g.dt.bytes), layout, g.dt)
    copyInto(fresh, g)
    leaf.grad = fresh
  }
}

/** How a gradient is laid out: as its tensor, if that fills its memory without gaps or overlaps, else row by row. */
function contract(layout: Layout): Layout {
  if (layout.contiguous) return layout.offset === 0 ? layout : Layout.of(layout.shape)
  return layout.dense ? layout.at(0) : Layout.of(layout.shape)
}

function sameLayout(a: Layout, b: Layout): boolean {
  return a === b || (a.offset === b.offset && ((a.contiguous && b.contiguous) || a.strides.every((s, d) => s === b.strides[d])))
}

/** The gradient for library code that neither keeps nor returns it: doesn't count as shown. */
export function peekGrad(t: TensorCore): TensorCore | null {
  return t.leaf !== null && t.leaf.has ? t.leaf.grad : null
}

/** The gradient as user code gets it. */
export function showGrad(t: TensorCore): TensorCore | null {
  const leaf = t.leaf
  if (leaf === null || !leaf.has) return null
  leaf.shown = true
  return leaf.grad
}

/** Forgets the gradient; a buffer nobody has seen is kept for the next one. */
export function clearGrad(t: TensorCore): void {
  const leaf = t.leaf
  if (leaf === null) return
  const { grad } = leaf
  if (leaf.shown) leaf.grad = null
  else if (leaf.has && grad !== null && grad.storage.track !== UNTRACKED) collector().hollow(grad.storage)
  leaf.has = false
  leaf.shown = false
}

/** A gradient that leaves the engine: nobody recycles it any more, and it never aliases what the engine still uses. */
export function handOut(g: TensorCore, area: Area): TensorCore {
  if (g.storage.owner === area && g.storage.uses > 1) return cloneContiguous(g, null)
  escape(g.storage)
  return g
}
