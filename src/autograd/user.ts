/** The one door to user code: hooks and Functions are called here, with everything they see handed over for good. */
import { ArgumentError, AutogradError, show } from '../errors.ts'
import { escape } from '../memory/area.ts'
import { sameShape } from '../shape.ts'
import { isTensor, type TensorCore } from '../tensor.ts'
import { modes } from './modes.ts'
import type { Node } from './node.ts'

function markEscaped(value: unknown): void {
  if (isTensor(value)) escape(value.storage)
  else if (Array.isArray(value)) value.forEach(markEscaped)
}

/** Calls user code inside a pass: its arguments escape the pass, and modes it leaves changed are put back. */
export function callHook<A extends unknown[], R>(fn: (...args: A) => R, args: A): R {
  args.forEach(markEscaped)
  const { grad, inference } = modes
  try {
    return fn(...args)
  } finally {
    modes.grad = grad
    modes.inference = inference
  }
}

/** Puts what a hook returned (a gradient or a list of them) in place of what it was given, after checking that it fits. */
export function checkHooked(list: (TensorCore | null)[], returned: unknown, node: Node, at = -1): void {
  if (returned === undefined || returned === null) return
  if (!Array.isArray(returned))
    throw new ArgumentError(`expected a list of gradients or nothing, but a hook of ${node.name()} returned ${typeof returned}`)
  if (at < 0 && returned.length !== list.length) {
    throw new ArgumentError(`a hook of ${node.name()} returned ${returned.length} gradients, expected ${list.length}`)
  }
  returned.forEach((g: unknown, i) => {
    const slot = at < 0 ? i : at
    if (g === null || g === undefined) {
      list[slot] = null
      return
    }
    if (!isTensor(g)) throw new ArgumentError(`expected a tensor, but a hook of ${node.name()} returned ${typeof g}`)
    const old = list[slot]
    if (old !== null && old !== undefined) {
      if (!sameShape(old.layout.shape, g.layout.shape)) {
        throw new AutogradError(
          `a hook of ${node.name()} has changed the size of value: ${show(old.layout.shape)} became ${show(g.layout.shape)}`,
          { shapes: [old.layout.shape, g.layout.shape] },
        )
      }
      if (old.dt !== g.dt)
        throw new AutogradError(`a hook of ${node.name()} has changed the type of value (was ${old.dt.torchType} got ${g.dt.torchType})`, {
          dtypes: [old.dt.name, g.dt.name],
        })
    }
    list[slot] = g
  })
}
