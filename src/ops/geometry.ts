/** Windows into a storage by strides: their gradients add up where elements share a place. */
import { cloneContiguous, copyInto, full } from '../execute.ts'
import { Layout } from '../layout.ts'
import { type GeneralOp, general, inFront, vjp } from '../op/general.ts'
import { dataView, eachIndex, readAll, TensorCore } from '../tensor.ts'

export interface Geometry {
  /** The node's name. */
  readonly node: string
  /** Where the elements of x lie in its storage, and where those of the window. */
  readonly base: Layout
  readonly window: Layout
}

/** Both layouts in a buffer of their own that holds just them. */
function inBuffer({ base, window }: Geometry): { readonly base: Layout; readonly window: Layout; readonly length: number } {
  const start = Math.min(base.offset, window.offset)
  return { base: base.at(base.offset - start), window: window.at(window.offset - start), length: Math.max(base.end, window.end) - start }
}

/** The same for examples that lie one behind the other. */
function batched(p: Geometry, size: number): Geometry {
  const { base, window, length } = inBuffer(p)
  const repeat = (l: Layout): Layout => new Layout([size, ...l.shape], [length, ...l.strides], l.offset)
  return { node: p.node, base: repeat(base), window: repeat(window) }
}

/** How many elements of a layout lie in each place. */
function sharers(layout: Layout, length: number): Float64Array {
  const shares = new Float64Array(length)
  eachIndex(layout, (k) => {
    shares[k]! += 1
  })
  return shares
}

/** A window's gradient added up in a buffer of the storage's geometry, and read back where x lies. */
export const stridedBackward: GeneralOp<Geometry> = /* @__PURE__ */ general('stridedBackward', {
  node: ({ node }) => node,
  forward: (x, p, owner) => {
    const { base, window, length } = inBuffer(p)
    const buffer = full([length], 0, x[0]!.dt, owner)
    if (window.overlapping) {
      const g = readAll(x[0]!)
      const data = dataView(buffer)
      let i = 0
      eachIndex(window, (k) => {
        data[k]! += g[i++]!
      })
    } else copyInto({ storage: buffer.storage, dt: buffer.dt, layout: window }, x[0]!)
    const out = cloneContiguous({ storage: buffer.storage, dt: buffer.dt, layout: base }, owner)
    if (!base.overlapping) return out
    // Elements of x that share a place share its gradient.
    const shares = sharers(base, length)
    const data = dataView(out)
    let i = 0
    eachIndex(base, (k) => {
      data[i++]! /= shares[k]!
    })
    return out
  },
  vjp: [vjp([], (g, { p }) => stridedAgain.one([g], p))],
  jvp: 'linear',
  batch: (b) => stridedBackward.one([inFront(b, 0)], batched(b.p, b.size)),
})

/** The transpose: the window's elements of an array that lies as x did. */
const stridedAgain: GeneralOp<Geometry> = /* @__PURE__ */ general('stridedAgain', {
  node: 'AsStridedBackward0',
  forward: (x, p, owner) => {
    const { base, window, length } = inBuffer(p)
    const buffer = full([length], 0, x[0]!.dt, owner)
    if (base.overlapping) {
      const values = readAll(x[0]!)
      const shares = sharers(base, length)
      const data = dataView(buffer)
      let i = 0
      eachIndex(base, (k) => {
        data[k]! += values[i++]! / shares[k]!
      })
    } else copyInto({ storage: buffer.storage, dt: buffer.dt, layout: base }, x[0]!)
    return new TensorCore(buffer.storage, window, buffer.dt)
  },
  vjp: [vjp([], (g, { p }) => stridedBackward.one([g], p))],
  jvp: 'linear',
  batch: (b) => stridedAgain.one([inFront(b, 0)], batched(b.p, b.size)),
})
