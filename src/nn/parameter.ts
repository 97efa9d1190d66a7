/** Parameters and buffers: tensors that modules own, in memory that no scope releases. */
import { peekGrad } from '../autograd/accumulate.ts'
import { bump } from '../autograd/record.ts'
import { ArgumentError, DTypeError } from '../errors.ts'
import { copyInto, fillWith } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { checkKind, checkOptions } from '../options.ts'
import { emptyPersistent, expectTensor, type TensorCore } from '../tensor.ts'

declare const PARAMETER: unique symbol

/** A tensor that modules train. TypeScript refuses a plain tensor in its place. */
export interface Parameter extends Tensor {
  readonly [PARAMETER]: true
}

/** Options of `Buffer`. */
export interface BufferOptions {
  /** Saved with the module's state? Default true. */
  readonly persistent?: boolean
}

const parameters = new WeakSet<TensorCore>()
/** Buffers, and whether they are saved. */
const buffers = new WeakMap<TensorCore, boolean>()

/**
 * Was this made by `Parameter`?
 * @example
 * nn.isParameter(zeros([2])) // false
 */
export function isParameter(x: unknown): x is Parameter {
  return typeof x === 'object' && x !== null && parameters.has(x as TensorCore)
}

/**
 * Was this made by `Buffer`?
 * @example
 * nn.isBuffer(new nn.Buffer(zeros([2]))) // true
 */
export function isBuffer(x: unknown): x is Tensor {
  return typeof x === 'object' && x !== null && buffers.has(x as TensorCore)
}

/** Does this buffer belong to the saved state? */
export function isSaved(buffer: Tensor): boolean {
  return buffers.get(buffer) === true
}

function persistent(op: string, data: Tensor): Tensor {
  expectTensor(op, data, 'argument 0')
  if (data.wrap !== null) throw new ArgumentError(`${op}: make it outside of func transforms; this tensor lives inside one`)
  const t = emptyPersistent(Layout.of(data.shape), data.dt)
  copyInto(t, data)
  return t as Tensor
}

function makeParameter(data: Tensor, requiresGrad = true): Parameter {
  expectTensor('Parameter', data, 'argument 0')
  checkKind('Parameter', 'requiresGrad', requiresGrad, 'boolean')
  if (requiresGrad && !data.dt.floating)
    throw new DTypeError(
      `Only Tensors of floating point and complex dtype can require gradients, got ${data.dtype} (Parameter); pass false as second argument`,
      {
        op: 'Parameter',
        dtypes: [data.dtype],
      },
    )
  const t = persistent('Parameter', data) as Parameter
  if (requiresGrad) t.requiresGrad_()
  parameters.add(t)
  return t
}

function makeBuffer(data: Tensor, options: BufferOptions = {}): Tensor {
  expectTensor('Buffer', data, 'argument 0')
  checkOptions('Buffer', options, { persistent: 'boolean' })
  if (data.requiresGrad) throw new ArgumentError('Buffer: detach() the tensor first: buffers are not trained')
  const t = persistent('Buffer', data)
  buffers.set(t, options.persistent ?? true)
  return t
}

/** A function that makes tensors, in the form of a class: `new` and `instanceof` work. */
function asClass<T>(name: string, make: (data: Tensor, ...rest: never[]) => Tensor, is: (x: unknown) => boolean): T {
  function construct(data: Tensor, ...rest: never[]): Tensor {
    return make(data, ...rest)
  }
  Object.defineProperties(construct, { name: { value: name }, [Symbol.hasInstance]: { value: is } })
  return construct as unknown as T
}

/**
 * `new Parameter(data)`: a copy of `data` as a leaf that requires gradients (unless the second argument is false) and that
 * modules list among their parameters. Errors: DTypeError for integers.
 * @example
 * this.weight = new nn.Parameter(torch.randn([3, 4]))
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Parameter.html
 */
export const Parameter: {
  new (data: Tensor, requiresGrad?: boolean): Parameter
  [Symbol.hasInstance](value: unknown): value is Parameter
} = /* @__PURE__ */ asClass('Parameter', makeParameter, isParameter)

/**
 * `new Buffer(data)`: a copy of `data` that modules save in their state (unless `persistent` is false) but don't train.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Buffer.html
 */
export const Buffer: {
  new (data: Tensor, options?: BufferOptions): Tensor
  [Symbol.hasInstance](value: unknown): boolean
} = /* @__PURE__ */ asClass('Buffer', makeBuffer, isBuffer)

/** The gradient filled with zeros, outside of any graph. */
export function zeroGradient(p: Tensor): void {
  const g = peekGrad(p)
  if (g === null) return
  g.node = null
  g.rg = false
  fillWith(g, 0)
  bump(g, 'zero_')
}
