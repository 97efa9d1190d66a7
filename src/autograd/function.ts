/** Custom operations with gradients of their own: classes whose static methods are the forward and the derivative rules. */
import { AutogradError, GraphError, InPlaceError, ModeError, ShapeError, show, UnsupportedError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { sameShape } from '../shape.ts'
import { TensorCore } from '../tensor.ts'
import { mapTensors } from '../tree.ts'
import { warn } from '../warnings.ts'
import { applyBatched } from './batched.ts'
import { type FunctionClass, FunctionContext, FunctionNode, stateOf } from './context.ts'
import { type Level, lower, topLevel, wrap } from './levels.ts'
import { modes, raiseTrouble, withGrad } from './modes.ts'
import { alias, Node, SavedTensor, ViewMeta, versionOf } from './node.ts'
import { asView, attach, bump, checkInPlace, edgeOf, needs, rebase } from './record.ts'
import { distribute, fill, type Slots, slotsOf, slotsOfResult, someSlot } from './slots.ts'
import { callHook } from './user.ts'

/** The arguments of `apply`: those of `forward`, without the context unless `setupContext` takes it. */
export type ApplyArguments<F extends WithForward> = F extends { setupContext(...args: never[]): unknown }
  ? Parameters<F['forward']>
  : Parameters<F['forward']> extends [unknown, ...infer Rest]
    ? Rest
    : []

/** A class with a static `forward`. */
export interface WithForward {
  forward(...args: never[]): unknown
}

/**
 * The base of custom operations. A subclass has static methods:
 *
 * - `forward(ctx, ...args)`, or `forward(...args)` together with `setupContext(ctx, inputs, output)`, which works under
 *   `func` transforms too. Runs without recording. Arguments and results are any values; tensors may stand in arrays and plain
 *   objects.
 * - `backward(ctx, ...grads)` (or `vjp`): from a gradient per result, a gradient (or null) per argument, nested like it. One alone
 *   may be returned without the list around it. Gradients that were broadcast are summed, dtypes are converted. Runs recorded
 *   under `createGraph`, so it is differentiable itself if it is written in differentiable operations.
 * - `jvp(ctx, ...tangents)`: for `func.jvp`, from a tangent per argument a tangent per result.
 * - `vmap(info, inDims, ...args)`: for `func.vmap`, returns `[results, outDims]`; or `static generateVmapRule = true`, if the
 *   other methods are written in tensor operations.
 * - `static clearSavedTensorsOnAccess = true`: saved tensors are let go when `backward` reads them.
 *
 * Errors: those of the methods, unchanged; GraphError, ArgumentError and InPlaceError for results that break these promises.
 * @example
 * class Exp extends autograd.Function {
 *   static forward(ctx: autograd.FunctionCtx<object, [Tensor]>, x: Tensor): Tensor {
 *     const y = x.exp()
 *     ctx.saveForBackward(y)
 *     return y
 *   }
 *   static backward(ctx: autograd.FunctionCtx<object, [Tensor]>, g: Tensor): Tensor {
 *     const [y] = ctx.savedTensors
 *     return g.mul(y)
 *   }
 * }
 * const x = tensor(0, { requiresGrad: true })
 * Exp.apply(x).backward()
 * x.grad.item() // 1
 * @see https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.Function
 */
export abstract class Function {
  constructor() {
    throw new AutogradError(
      `${new.target.name} should not be instantiated. Methods on autograd functions are all static, so you should invoke them on the class itself: ${new.target.name}.apply(…)`,
    )
  }

  /** Runs the operation and records it with its own rules. */
  static apply<F extends WithForward>(this: F, ...args: ApplyArguments<F>): ReturnType<F['forward']> {
    return applyFunction(this as unknown as FunctionClass, args) as ReturnType<F['forward']>
  }
}

function applyFunction(fn: FunctionClass, args: readonly unknown[]): unknown {
  if (modes.trouble !== null) raiseTrouble()
  if (typeof fn.forward !== 'function') throw missingForward(fn)
  const tensors: TensorCore[] = []
  const slots = args.map((a) => slotsOf(a, tensors))
  const level = topLevel(tensors)
  if (level === null) return onTape(fn, args, slots, tensors)
  if (fn.setupContext === undefined && level.kind !== 'batch') throw missingSetup(fn)
  if (level.kind === 'batch') return applyBatched(fn, args, slots, tensors, level, applyFunction)
  return level.kind === 'reverse' ? onReverse(fn, args, slots, tensors, level) : onForward(fn, args, slots, tensors, level)
}

function missingForward(fn: FunctionClass): AutogradError {
  const { prototype } = fn as { prototype?: { forward?: unknown } }
  if (prototype?.forward !== undefined) {
    return new AutogradError(
      'Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd function with static forward method. ' +
        `(Write "static forward(ctx, …)" in ${fn.name}.)`,
    )
  }
  return new UnsupportedError(`You must implement the forward function for custom autograd.Function. (${fn.name})`)
}

function missingSetup(fn: FunctionClass): AutogradError {
  return new UnsupportedError(
    'In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, jacrev, ...), it must override the setupContext staticmethod. ' +
      `Split ${fn.name}.forward(ctx, …) into forward(…) and setupContext(ctx, inputs, output).`,
  )
}

/** Calls one of the user's methods without recording. */
function quietly<A extends unknown[], R>(method: (...args: A) => R, args: A): R {
  return withGrad(false, () => callHook(method, args))
}

/** A context for a call, knowing which arguments need gradients at `level`. */
function contextFor(slots: readonly Slots[], tensors: readonly TensorCore[], level: Level | null): FunctionContext {
  const ctx = new FunctionContext()
  stateOf(ctx).needs = slots.map((s) => someSlot(s, (i) => needs(tensors[i]!, level)))
  return ctx
}

/** Where the gradients of the tensors go; null if none of them needs one, or recording is off. */
function edgesOf(tensors: readonly TensorCore[], level: Level | null): { edges: (Node | null)[]; nrs: number[] } | null {
  if (!modes.grad) return null
  const edges = tensors.map((t) => (t.dt.category === 2 ? edgeOf(t, level) : null))
  if (edges.every((e) => e === null)) return null
  return { edges, nrs: tensors.map((t) => (t.node === null ? 0 : t.outputNr)) }
}

const FLOAT = 2

// --- the plain tape -------------------------------------------------------------------------------------------------------

function onTape(fn: FunctionClass, args: readonly unknown[], slots: readonly Slots[], tensors: readonly TensorCore[]): unknown {
  const ctx = contextFor(slots, tensors, null)
  // Before forward runs: it may change the history of what it changes in place.
  const into = edgesOf(tensors, null)
  const raw = fn.setupContext === undefined ? quietly(fn.forward!, [ctx, ...args]) : quietly(fn.forward!, [...args])
  if (typeof raw === 'object' && raw !== null && typeof (raw as { then?: unknown }).then === 'function')
    throw new ModeError(`${fn.name}.forward is async, but an operation can't cross an await. Await its inputs, then apply it.`)
  if (fn.setupContext !== undefined) quietly(fn.setupContext, [ctx, args, raw])

  const state = stateOf(ctx)
  const made: TensorCore[] = []
  const { list } = slotsOfResult(raw, made)
  for (const t of state.dirty) bump(t, fn.name)
  const differentiable = made.map((y) => y.dt.category === FLOAT && !state.nonDifferentiable.includes(y as Tensor))
  const node =
    into !== null && differentiable.includes(true)
      ? new FunctionNode(
          fn,
          ctx,
          into.edges,
          into.nrs,
          made.map((y) => ({ shape: y.layout.shape, dt: y.dt })),
          slots,
          list,
        )
      : null
  const several = differentiable.filter((d) => d).length > 1
  let changed = false
  const results = made.map((y, nr) => {
    const from = tensors.indexOf(y)
    const dirty = state.dirty.includes(y as Tensor)
    const result = dirty
      ? changedInput(fn, y, from, differentiable[nr]! ? node : null, nr, made.length)
      : connect(y, from >= 0, differentiable[nr]! ? node : null, nr, several && node !== null)
    if (result !== y) changed = true
    return result
  })
  if (state.dirty.some((t) => !made.includes(t))) {
    throw new InPlaceError(
      `Some elements marked as dirty during the forward method were not returned as output. The inputs that are modified inplace must all be outputs of the Function. (${fn.name})`,
    )
  }
  if (node !== null) node.keep(state.backward.map((t) => (t === null ? null : save(t, node, state.dirty))))
  if (!changed) return raw
  let k = 0
  return mapTensors(raw, () => results[k++])
}

/** Puts a result of forward into the graph: as output `nr` of `node`, or as a constant. */
function connect(y: TensorCore, isInput: boolean, node: FunctionNode | null, nr: number, several: boolean): TensorCore {
  let out = y
  if (node !== null) {
    // An input returned as it is gets a history of its own as a view. So does a leaf from elsewhere, which must stay one.
    if (isInput || (y.rg && y.node === null && y.viewMeta === null)) out = asView(new TensorCore(y.storage, y.layout, y.dt), y, 'function')
    attach(out, node, nr)
  } else if (y.rg) {
    if (isInput) return alias(y)
    if (y.viewMeta === null && y.node !== null) {
      y.node = null
      y.outputNr = 0
      y.rg = false
    }
  } else if (isInput) out = asView(new TensorCore(y.storage, y.layout, y.dt), y, 'function')
  if (out.viewMeta !== null) out.viewMeta = new ViewMeta(out.viewMeta.base, versionOf(out).value, several ? 'multiOutput' : 'function')
  return out
}

/** An input that forward has changed in place goes on under its new history. */
function changedInput(fn: FunctionClass, y: TensorCore, from: number, node: FunctionNode | null, nr: number, count: number): TensorCore {
  const op = fn.name
  if (from < 0) {
    const text =
      'Only input Tensors should be given to ctx.markDirty(). If a Tensor is not an input, there is no need to pass it to markDirty()'
    if (y.viewMeta !== null) throw new InPlaceError(`${text}: ${op} received a tensor that was not an input.`, { op })
    warn(`${text}. (${op})`)
    if (node !== null) attach(y, node, nr)
    return y
  }
  if (node === null) return y
  if (y.viewMeta === null) {
    if (y.rg && y.node === null) {
      throw new InPlaceError(
        `a leaf Variable that requires grad has been used in an in-place operation. ${op} changed it: clone() it before, or run ${op} inside noGrad(() => …)`,
        { op },
      )
    }
  } else {
    // forward's own change is this operation: the view's history is the one from before it.
    y.viewMeta.version = versionOf(y).value
    checkInPlace(op, y, true)
    if (count > 1) {
      throw new InPlaceError(
        'If your Function modifies inplace an input that is a view of another Tensor, your Function cannot return more than one Tensor. This is not supported by ' +
          'the current autograd engine. You should either make sure the input is not a view (using .clone() for example) or make your Function only return one Tensor ' +
          `(potentially splitting it into two Functions: one doing the inplace that returns a single Tensor and a second one that does the other operations). (${op})`,
        { op },
      )
    }
  }
  rebase(y, node, from)
  if (y.viewMeta === null) y.outputNr = nr
  return y
}

/** Results are kept without holding the tensor that is returned, so that no cycle arises. */
function save(t: Tensor, node: FunctionNode, dirty: readonly Tensor[]): SavedTensor {
  const ours = t.node !== null && (t.node === node || dirty.includes(t))
  return ours ? SavedTensor.output(t, t.node!) : SavedTensor.input(t)
}

// --- transforms -----------------------------------------------------------------------------------------------------------

/** A call seen from a level: made one level down, with a context that knows only what lies there. */
interface LowerCall {
  readonly ctx: FunctionContext
  readonly raw: unknown
  readonly inner: readonly TensorCore[]
  readonly values: readonly TensorCore[]
  readonly results: readonly Slots[]
}

function callBelow(
  fn: FunctionClass,
  args: readonly unknown[],
  slots: readonly Slots[],
  tensors: readonly TensorCore[],
  level: Level,
): LowerCall {
  const below = args.map((a) => mapTensors(a, (t) => lower(t, level)))
  const inner = tensors.map((t) => lower(t, level))
  const raw = applyFunction(fn, below)
  const ctx = contextFor(slots, tensors, level)
  quietly(fn.setupContext!, [ctx, below, raw])
  const values: TensorCore[] = []
  const { list } = slotsOfResult(raw, values)
  if (stateOf(ctx).dirty.length > 0)
    throw new InPlaceError(`${fn.name}: in-place operations on tensors inside a transform are not supported; return a new tensor`, {
      op: fn.name,
    })
  return { ctx, raw, inner, values, results: list }
}

const differs = (ctx: FunctionContext, value: TensorCore): boolean =>
  value.dt.category === FLOAT && !stateOf(ctx).nonDifferentiable.includes(value as Tensor)

function onReverse(
  fn: FunctionClass,
  args: readonly unknown[],
  slots: readonly Slots[],
  tensors: readonly TensorCore[],
  level: Level,
): unknown {
  const into = edgesOf(tensors, level)
  const { ctx, raw, values, results } = callBelow(fn, args, slots, tensors, level)
  const made = values.map((v) => wrap(level, v))
  if (into !== null && values.some((v) => differs(ctx, v))) {
    const metas = made.map((y) => ({ shape: y.layout.shape, dt: y.dt }))
    const node = new FunctionNode(fn, ctx, into.edges, into.nrs, metas, slots, results)
    node.keep(stateOf(ctx).backward.map((t) => (t === null ? null : SavedTensor.below(t))))
    made.forEach((y, nr) => {
      if (differs(ctx, values[nr]!)) attach(y, node, nr)
    })
  }
  let k = 0
  return mapTensors(raw, () => made[k++])
}

function onForward(
  fn: FunctionClass,
  args: readonly unknown[],
  slots: readonly Slots[],
  tensors: readonly TensorCore[],
  level: Level,
): unknown {
  const { ctx, raw, inner, values, results } = callBelow(fn, args, slots, tensors, level)
  const state = stateOf(ctx)
  const given = tensors.map((t) => (t.wrap !== null && t.wrap.level === level ? t.wrap.tangent : null))
  const made: (TensorCore | null)[] = values.map(() => null)
  if (given.some((t) => t !== null)) {
    if (fn.jvp === undefined) {
      throw new UnsupportedError(
        `You must implement the jvp function for custom autograd.Function to use it with forward mode AD. (${fn.name} has no static jvp(ctx, ...tangents).)`,
      )
    }
    state.shown = state.forward
    const tangents = slots.map((s) => fill(s, (i) => given[i] ?? (state.materialize ? (inner[i] as Tensor).zerosLike() : null)))
    const returned = callHook(fn.jvp, [ctx, ...tangents])
    const list: unknown[] = Array.isArray(raw) ? (Array.isArray(returned) ? returned : [returned]) : [returned]
    const who = `${fn.name}.jvp`
    if (list.length !== results.length)
      throw new GraphError(
        `Function's jvp returned an invalid number of forward gradients (expected ${results.length} but got ${list.length}): ${who}`,
      )
    const refusal = (i: number): GraphError =>
      new GraphError(
        `Function's jvp returned a gradient at position ${i}, but the corresponding forward output is not a differentiable Tensor. You should return None at that position instead. (${who})`,
      )
    results.forEach((s, i) => {
      distribute(s, list[i], made, { who, extra: () => refusal(i) })
      if (someSlot(s, (k) => made[k]! !== null && !differs(ctx, values[k]!))) throw refusal(i)
    })
    made.forEach((t, k) => checkTangent(t, values[k]!, who))
  }
  let k = 0
  return mapTensors(raw, (v) => wrap(level, v, made[k++] ?? null))
}

function checkTangent(tangent: TensorCore | null, value: TensorCore, who: string): void {
  if (tangent === null || sameShape(tangent.layout.shape, value.layout.shape)) return
  const [shape, other] = [value.layout.shape, tangent.layout.shape]
  throw new ShapeError(
    `Trying to set a forward gradient that has a different size than that of the original Tensor, this is not supported. Tensor is of size ${show(shape)} while the given forward gradient is of size ${show(other)}. (${who})`,
    { shapes: [shape, other] },
  )
}

// --- gradients that can't be differentiated -------------------------------------------------------------------------------

/** In the place of a history that isn't there. */
class ErrorNode extends Node {
  name(): string {
    return 'torch::autograd::Error'
  }
  run(): void {
    throw new GraphError(
      'trying to differentiate twice a function that was marked with @onceDifferentiable: its backward is not recorded. Write it in differentiable operations and take the mark off.',
    )
  }
}

/**
 * Marks a `backward` that can be run but not differentiated: recording is off inside, and a second derivative is refused. As it
 * stands, a standard method decorator.
 * @example
 * class Double extends autograd.Function {
 *   static forward(_: autograd.FunctionCtx, x: Tensor): Tensor {
 *     return x.mul(2)
 *   }
 *   static backward = autograd.onceDifferentiable((_: autograd.FunctionCtx, g: Tensor) => g.mul(2))
 * }
 * const x = tensor(1, { requiresGrad: true })
 * Double.apply(x).backward()
 * x.grad!.item() // 2
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.function.once_differentiable.html
 */
export function onceDifferentiable<F extends (...args: never[]) => unknown>(backward: F, _context?: ClassMethodDecoratorContext): F {
  const wrapped = function (this: unknown, ...args: never[]): unknown {
    const recording = modes.grad
    const made = withGrad(false, () => backward.apply(this, args))
    if (!recording) return made
    const [ctx, ...grads] = args as unknown[]
    const tensors: TensorCore[] = []
    slotsOf(grads, tensors)
    const level = topLevel(tensors)
    const edges = tensors.map((t) => edgeOf(t, level))
    if (edges.every((e) => e === null)) return made
    if (ctx instanceof FunctionContext) edges.push(...(stateOf(ctx).node?.edges ?? []))
    return mapTensors(made, (t) => {
      const result = level === null ? alias(t) : wrap(level, lower(t, level))
      attach(result, new ErrorNode(edges, null, t.layout.shape, t.dt))
      return result
    })
  }
  return wrapped as unknown as F
}
