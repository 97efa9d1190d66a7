/** The tensor users hold: the core with every operation installed as a method, in-place forms derived. */
import * as autograd from './autograd/methods.ts'
import type { Node } from './autograd/node.ts'
import type { Backend } from './backend/backend.ts'
import { createDefaultBackend } from './backend/default.ts'
import type { DType } from './dtype.ts'
import { ArgumentError } from './errors.ts'
import { setDefaultBackend } from './execute.ts'
import { ElementwiseOp } from './op/elementwise.ts'
import type { HasOp } from './op/kinds.ts'
import * as ops from './ops/methods.ts'
import type { FluentOverrides } from './overrides.ts'
import { reading } from './reading.ts'
import { conversions, transposes } from './shorthand.ts'
import { BRAND, TensorCore } from './tensor.ts'

type Ops = typeof ops & Omit<typeof autograd, 'accessors' | 'inputList'> & typeof reading & typeof conversions

/** Functions of a tensor, seen as methods. (Keys must not depend on `Tensor`, which is being defined.) */
type Methods = {
  [K in keyof Ops]: Ops[K] extends (x: never, ...rest: infer R) => infer T ? (...rest: R) => T : never
}
/** In-place forms of elementwise operations: `mul_`, `exp_`, … overwrite the tensor and return it. */
type InPlace = {
  [K in keyof Ops as Ops[K] extends HasOp ? `${K & string}_` : never]: Ops[K] extends (x: never, ...rest: infer R) => unknown
    ? (...rest: R) => Tensor
    : never
}

/** Properties that need the graph. */
interface GraphProperties {
  /** Does this tensor take part in differentiation? Settable on leaves. */
  requiresGrad: boolean
  /** The accumulated gradient, or null. Assigning null forgets it. */
  grad: Tensor | null
  /** The dtype of `grad`; by default the tensor's own. Null: whatever arrives. Leaves only. */
  gradDtype: DType | null
  /** What made this tensor, or null for leaves. */
  readonly gradFn: Node | null
  /** Made by the user rather than by a recorded operation? */
  readonly isLeaf: boolean
  readonly retainsGrad: boolean
  /** The same elements outside the graph and outside version tracking. */
  data: Tensor
  /** How often the elements were changed in place. */
  readonly _version: number
  /** The tensor this one is a view of. */
  readonly _base: Tensor | null
}

/** Functions of a tensor, seen as properties. */
type Transposes = { readonly [K in keyof typeof transposes]: Tensor }

/** A multi-dimensional array that can be differentiated. */
export interface Tensor
  extends TensorCore,
    GraphProperties,
    Transposes,
    Omit<Methods, keyof FluentOverrides>,
    InPlace,
    FluentOverrides,
    Iterable<Tensor> {}

type Callable = (...args: unknown[]) => unknown

function method(fn: Callable, arity: number): Callable {
  // Closures of fixed arity: rest arguments cost more than the call itself.
  if (arity === 1) {
    return function (this: unknown) {
      return fn(this)
    }
  }
  if (arity === 2) {
    return function (this: unknown, a: unknown) {
      return fn(this, a)
    }
  }
  return function (this: unknown, ...args: unknown[]) {
    return fn(this, ...args)
  }
}

/**
 * What tensors inherit. An object of its own, made without a prototype, because V8 keeps such objects as hash tables: adding
 * these hundreds of methods one by one to the prototype of a class, whose layout it copies each time, takes ten times as long.
 */
const inherited: object = /* @__PURE__ */ Object.create(null)

function define(name: string, value: Callable): void {
  Object.defineProperty(inherited, name, { value, writable: true, configurable: true, enumerable: false })
}

/** Makes `operations` (functions of a tensor) methods of the tensors of this package, with their in-place forms. */
function extend(operations: object): void {
  for (const [name, fn] of Object.entries(operations) as [string, Callable & { op?: unknown; inPlace?: Callable }][]) {
    if (typeof fn !== 'function') continue
    const op = fn.op instanceof ElementwiseOp ? fn.op : null
    const variadic = fn.inPlace !== undefined || op === null
    define(name, method(fn, variadic ? 5 : op.arity))
    if (op === null) continue
    const inPlace = (fn.inPlace ?? ((x: TensorCore, ...rest: TensorCore[]) => op.inPlace(x, rest.slice(0, op.arity - 1), null))) as Callable
    define(`${name}_`, method(inPlace, variadic ? 5 : op.arity))
  }
}

function property(name: string, get: (x: never) => unknown, set?: (x: TensorCore, value: unknown) => void): void {
  Object.defineProperty(inherited, name, {
    configurable: true,
    get(this: never) {
      return get(this)
    },
    ...(set === undefined
      ? {}
      : {
          set(this: TensorCore, value: unknown) {
            set(this, value)
          },
        }),
  })
}

function install(make: () => Backend): typeof TensorCore {
  setDefaultBackend(make)
  Object.defineProperty(TensorCore.prototype, BRAND, { value: true })
  extend(ops)
  const { accessors, inputList: _inputList, ...graph } = autograd
  extend(graph)
  extend(reading)
  extend(conversions)
  for (const [name, { get, set }] of Object.entries(accessors)) property(name, get, set)
  for (const [name, get] of Object.entries(transposes)) property(name, get)
  Object.defineProperties(inherited, {
    [Symbol.toPrimitive]: { value: primitive, configurable: true },
    [Symbol.iterator]: { value: rows, configurable: true },
    [Symbol.for('nodejs.util.inspect.custom')]: { value: inspect, configurable: true },
  })
  Object.setPrototypeOf(inherited, Object.prototype)
  Object.setPrototypeOf(TensorCore.prototype, inherited)
  return TensorCore
}

/** `${t}` prints; t + 1 and t < 1 would silently make strings and NaNs, so they are refused. */
function primitive(this: Tensor, hint: string): string {
  if (hint === 'string') return this.toString()
  throw new ArgumentError(
    'tensors have no operators in JavaScript: use methods such as add, sub, mul, div, lt, gt, eq (x.add(1), x.lt(y)), or item() for the number',
  )
}

function* rows(this: Tensor): IterableIterator<Tensor> {
  if (this.layout.rank === 0) throw new ArgumentError('iteration over a 0-d tensor')
  for (let i = 0; i < this.layout.shape[0]!; i++) yield this.select(0, i)
}

function inspect(this: Tensor): string {
  return this.toString()
}

/**
 * The class of all tensors, for `instanceof`. Tensors are made by functions (`tensor`, `zeros`, …), never by `new`.
 */
export const Tensor: { readonly prototype: Tensor; [Symbol.hasInstance](value: unknown): boolean } = /* @__PURE__ */ install(
  createDefaultBackend,
) as unknown as {
  readonly prototype: Tensor
  [Symbol.hasInstance](value: unknown): boolean
}
