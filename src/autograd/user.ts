/** The one door to user code: hooks and Functions are called here, with everything they see handed over for good. */
import { ArgumentError, AutogradError, GraphError, show } from '../errors.ts'
import { escape } from '../memory/area.ts'
import { sameShape } from '../shape.ts'
import { isTensor, type TensorCore } from '../tensor.ts'
import { modes } from './modes.ts'
import type { Node } from './node.ts'

function markEscaped(value: unknown): void {
  if (isTensor(value)) escape(value.storage)
  else if (Array.isArray(value)) value.forEach(markEscaped)
}

// Note [Reentrant passes]
// A backward pass that starts inside a hook or Function runs in the frames of that call, so the JavaScript stack bounds how
// deep passes nest. Each nested pass first makes sure that there is room for itself and for the tidying up of an exception:
// if not, it refuses before it has touched anything.

function probe(frames: number): number {
  return frames === 0 ? 0 : 1 + probe(frames - 1)
}

/** Refuses a nested pass for which the stack has no room. */
export function requireStack(): void {
  try {
    probe(600)
  } catch (error) {
    throw stackError(error) ?? error
  }
}

/** The typed form of the engine's stack overflow; undefined for other errors. */
function stackError(error: unknown): GraphError | undefined {
  if (!(error instanceof RangeError) || !/call stack|recursion/i.test(error.message)) return undefined
  return new GraphError(
    'reentrant backward: the call stack is exhausted. A backward pass inside a hook or Function runs in the frames of that call; ' +
      'nest fewer of them, or give the program a larger stack (node --stack-size=…, new Worker(…, { resourceLimits: { stackSizeMb } })). ' +
      'Modes, gradients and graphs are as the pass found them.',
    { cause: error },
  )
}

/** Calls user code inside a pass: its arguments escape the pass, and modes it leaves changed are put back. */
export function callHook<A extends unknown[], R>(fn: (...args: A) => R, args: A): R {
  args.forEach(markEscaped)
  const { grad, inference, hooks } = modes
  try {
    return fn(...args)
  } catch (error) {
    throw stackError(error) ?? error
  } finally {
    modes.grad = grad
    modes.inference = inference
    modes.hooks = hooks
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
