/** The one door to user code: hooks and Functions are called here, with everything they see handed over for good. */
import { ArgumentError, DTypeError, GraphError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { escape } from '../memory/area.ts'
import { sameShape } from '../shape.ts'
import { isTensor, type TensorCore } from '../tensor.ts'
import { isPlainObject } from '../tree.ts'
import { modes, type SavedHooks, switchInference } from './modes.ts'
import type { GradHook, Node } from './node.ts'

function markEscaped(value: unknown): void {
  if (isTensor(value)) escape(value.storage)
  else if (Array.isArray(value)) value.forEach(markEscaped)
  else if (isPlainObject(value)) Object.values(value).forEach(markEscaped)
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
  // No regular expression: compiling one takes stack, of which there is none.
  if (!(error instanceof RangeError) || !error.message.includes('call stack')) return undefined
  return new GraphError(
    'reentrant backward: the call stack is exhausted. A backward pass inside a hook or Function runs in the frames of that call; ' +
      'nest fewer of them, or give the program a larger stack (node --stack-size=…, new Worker(…, { resourceLimits: { stackSizeMb } })). ' +
      'Modes, gradients and graphs are as the pass found them.',
    { cause: error },
  )
}

/** The innermost of these pairs whose block hasn't ended. */
function open(hooks: SavedHooks | null): SavedHooks | null {
  let h = hooks
  while (h?.closed) h = h.outer
  return h
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
    switchInference(inference)
    modes.hooks = open(hooks)
  }
}

/** What a hook returned for a gradient, after checking that it can stand in its place. */
function replacement(value: unknown, old: TensorCore | null, hook: { readonly name: string }, node: Node): TensorCore | null {
  if (value === null || value === undefined) return null
  const who = `hook '${hook.name}'`
  if (!isTensor(value)) {
    throw new ArgumentError(
      `expected Variable, but hook returned '${typeName(value)}': ${who} of ${node.name()} must return a tensor or nothing`,
    )
  }
  if (old === null) return value
  if (!sameShape(old.layout.shape, value.layout.shape)) {
    throw new ShapeError(
      `${who} has changed the size of value: the gradient at ${node.name()} has shape ${show(old.layout.shape)}, the hook returned ${show(value.layout.shape)}`,
      { shapes: [old.layout.shape, value.layout.shape] },
    )
  }
  if (old.dt !== value.dt) {
    throw new DTypeError(`${who} has changed the type of value (was ${old.dt.torchType} got ${value.dt.torchType}) at ${node.name()}`, {
      dtypes: [old.dt.name, value.dt.name],
    })
  }
  return value
}

function typeName(value: unknown): string {
  return isTensor(value) ? 'Tensor' : Array.isArray(value) ? 'array' : typeof value
}

/** Runs a tensor hook on the gradient in `list[nr]` and puts what it returns in its place. */
export function runTensorHook(hook: GradHook, list: (TensorCore | null)[], nr: number, node: Node): void {
  const old = list[nr]
  if (old === null || old === undefined) return
  const returned: unknown = callHook(hook, [old as Tensor])
  if (returned !== null && returned !== undefined) list[nr] = replacement(returned, old, hook, node)
}

/** Puts the list of gradients that a node's hook returned (if it did) in place of what it was given. */
export function takeReturned(list: (TensorCore | null)[], returned: unknown, hook: { readonly name: string }, node: Node): void {
  if (returned === undefined || returned === null) return
  if (!Array.isArray(returned)) {
    throw new ArgumentError(
      `expected tuple, but hook returned '${typeName(returned)}': hook '${hook.name}' of ${node.name()} must return a list of gradients or nothing`,
    )
  }
  if (returned.length !== list.length) {
    throw new ArgumentError(
      `hook '${hook.name}' has returned an incorrect number of values (got ${returned.length}, but expected ${list.length}) at ${node.name()}`,
    )
  }
  returned.forEach((g: unknown, i) => {
    list[i] = replacement(g, list[i] ?? null, hook, node)
  })
}
