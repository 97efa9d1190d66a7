/** `autograd.functional`: products with Jacobians and Hessians, and these matrices themselves, of functions of tensors. */
import { ArgumentError, GraphError, ShapeError, show, UnsupportedError } from '../errors.ts'
import { full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { sameShape } from '../shape.ts'
import { expectTensor, isTensor, type TensorCore } from '../tensor.ts'
import { grad, unbatch } from './grad.ts'
import { leafOn, withLevel, wrap } from './levels.ts'
import { enableGrad, modes, withGrad } from './modes.ts'
import { differentiate } from './run.ts'

/** One tensor or several. */
export type Tensors = Tensor | readonly [Tensor, ...Tensor[]] | readonly Tensor[]
/** A function from inputs given as I (one tensor, or a list for several parameters) to O. */
export type Mapping<I extends Tensors, O extends Tensors> = (
  ...inputs: I extends readonly Tensor[] ? { -readonly [K in keyof I]: Tensor } : [Tensor]
) => O
/** Tensors in the form of T: one, or a list as long. */
export type Like<T extends Tensors> = T extends Tensor ? Tensor : { -readonly [K in keyof T]: Tensor }
/** A Jacobian per output and input, in lists where those are lists. */
export type Jacobian<O extends Tensors, I extends Tensors> = O extends Tensor ? Like<I> : { -readonly [K in keyof O]: Like<I> }

/** Options of the products. */
export interface ProductOptions {
  /** Make results differentiable with respect to the given inputs. Default false. */
  readonly createGraph?: boolean
  /** Refuse functions whose outputs don't depend on an input, instead of giving zeros. Default false. */
  readonly strict?: boolean
}

/** How a Jacobian is computed: row by row, or column by column. */
export type Strategy = 'reverse-mode' | 'forward-mode'

/** Options of `jacobian`. */
export interface JacobianOptions extends ProductOptions {
  /** All rows in one batched pass instead of a pass each. Default false. */
  readonly vectorize?: boolean
  /** `'forward-mode'` needs `vectorize`. Default `'reverse-mode'`. */
  readonly strategy?: Strategy
}

/** Options of `hessian`. */
export interface HessianOptions extends ProductOptions {
  readonly vectorize?: boolean
  /** How the gradient is differentiated. Default `'reverse-mode'`. */
  readonly outerJacobianStrategy?: Strategy
}

type Loose = (...inputs: Tensor[]) => unknown
type Grads = readonly (Tensor | null)[]

/** Tensors as a list, and whether they came as one. */
class Bundle {
  readonly list: readonly Tensor[]
  readonly isList: boolean

  constructor(value: unknown, what: string, op: string) {
    this.isList = Array.isArray(value)
    const list = (this.isList ? value : [value]) as unknown[]
    list.forEach((x, i) => {
      if (isTensor(x)) return
      const where = this.isList ? `value at index ${i}` : `given ${what}`
      throw new ArgumentError(
        `The ${what} given to ${op} must be either a Tensor or a tuple of Tensors but the ${where} has type ${x === null ? 'null' : typeof x}. Pass a tensor or an array of tensors.`,
        { op },
      )
    })
    this.list = list as Tensor[]
  }

  /** A list of results in the form the value came in. */
  form<T>(results: readonly T[]): T | readonly T[] {
    return this.isList ? results : results[0]!
  }
}

const OUTPUTS = 'outputs of the user-provided function'

/** What the function is called with: always other tensor objects, so that those it captures stay constants. */
function prepare(given: readonly Tensor[], createGraph: boolean, needGraph: boolean): Tensor[] {
  return given.map((x) => {
    if (createGraph && x.requiresGrad) return x.viewAs(x)
    const own = x.detach()
    return needGraph ? own.requiresGrad_() : own
  })
}

const finish = (results: readonly Tensor[], createGraph: boolean): Tensor[] => results.map((t) => (createGraph ? t : t.detach()))

/** v as the products use it, checked against what it multiplies; `alone` says when it may be left out. */
function vector(v: unknown, against: Bundle, createGraph: boolean, op: string, alone: string): Grads {
  const { list, isList } = against
  if (v === undefined || v === null) {
    if (list.length === 1 && list[0]!.numel() === 1) return [null]
    throw new ShapeError(`The vector v can only be None if ${alone}. Pass v, shaped like it.`, { op })
  }
  const given = new Bundle(v, 'v', op)
  const made = prepare(given.list, createGraph, false)
  if (made.length !== list.length) {
    throw new ShapeError(
      isList
        ? `v is a tuple of invalid length: should be ${list.length} but got ${made.length}.`
        : 'The given v should contain a single Tensor.',
      { op },
    )
  }
  made.forEach((x, i) => {
    const shape = list[i]!.shape
    if (sameShape(x.shape, shape)) return
    throw new ShapeError(`${isList ? `Entry ${i} in ` : ''}v has invalid size: should be ${show(shape)} but got ${show(x.shape)}.`, {
      op,
      shapes: [shape, x.shape],
    })
  })
  return made
}

const SINGLE_OUTPUT = 'the user-provided function returns a single Tensor with a single element'
const SINGLE_INPUT = 'the input to the user-provided function is a single Tensor with a single element'

/** What must depend on the inputs in strict mode, and what to say of one that doesn't. */
const INDEPENDENT = {
  outputs: (i: number) =>
    `Output ${i} of the user-provided function does not require gradients. The outputs must be computed in a differentiable manner from the input when running in strict mode.`,
  gradients: (i: number) =>
    `The gradient with respect to input ${i} is independent of the inputs of the user-provided function. This is not allowed in strict mode.`,
  jacobian: (i: number) =>
    `While computing the hessian, found that the jacobian of the user-provided function with respect to input ${i} is independent of the input. This is not allowed in strict mode. ` +
    'You should ensure that your function is twice differentiable and that the jacobian depends on the inputs (this would be violated by a linear function for example).',
} as const

function requireDependence(tensors: Grads, what: keyof typeof INDEPENDENT, strict: boolean): void {
  if (!strict) return
  tensors.forEach((t, i) => {
    if (t === null)
      throw new GraphError(`The output of the user-provided function is independent of input ${i}. This is not allowed in strict mode.`)
    if (!t.requiresGrad) throw new GraphError(INDEPENDENT[what](i))
  })
}

/** `grad` over the outputs that have a graph; null where none flows. */
function gradients(outputs: Grads, inputs: readonly Tensor[], given: Grads | null, options: PassOptions): (Tensor | null)[] {
  const live = outputs.map((y, i) => [y, given?.[i] ?? null] as const).filter(([y]) => y?.requiresGrad)
  if (live.length === 0) return inputs.map(() => null)
  return grad(
    live.map(([y]) => y!),
    inputs,
    { ...options, gradOutputs: given === null ? null : live.map(([, g]) => g), allowUnused: true },
  )
}
interface PassOptions {
  readonly createGraph: boolean
  readonly retainGraph?: boolean
  readonly isGradsBatched?: boolean
}

/** Where a missing gradient came from: the first backward pass, the second, or either as part of forward mode by two passes. */
const MISSING = {
  back: (i: number) => `The output of the user-provided function is independent of input ${i}. This is not allowed in strict mode.`,
  backTrick: (i: number) =>
    `The gradient with respect to the input is independent of entry ${i} in the grad_outputs when using the double backward trick to compute forward mode gradients. This is not allowed in strict mode.`,
  doubleBack: (i: number) => `The jacobian of the user-provided function is independent of input ${i}. This is not allowed in strict mode.`,
  doubleBackTrick: (i: number) =>
    `The hessian of the user-provided function is independent of entry ${i} in the grad_jacobian. This is not allowed in strict mode as it prevents from using the double backward trick to replace forward mode AD.`,
} as const

/** Zeros for missing gradients; in strict mode a refusal. */
function complete(grads: Grads, like: readonly Tensor[], { strict, createGraph }: Required<ProductOptions>, stage: keyof typeof MISSING) {
  return grads.map((g, i) => {
    if (g === null) {
      if (strict) throw new GraphError(MISSING[stage](i))
      return like[i]!.detach().zerosLike()
    }
    if (strict && createGraph && !g.requiresGrad) {
      const what = stage.startsWith('double') ? 'hessian' : 'jacobian'
      throw new GraphError(
        `The ${what} of the user-provided function is independent of input ${i}. This is not allowed in strict mode when createGraph: true.`,
      )
    }
    return g
  })
}

/** Runs the last pass of a product: recorded if the caller records, or asks for a graph. */
const lastly = <R>(createGraph: boolean, fn: () => R): R => withGrad(createGraph || modes.grad, fn)

/**
 * The outputs of `func` and the product of `v` with its Jacobian. Results have the form of outputs and inputs.
 * `v` (shaped like the outputs) may be left out for a single output of one element.
 * Errors: ArgumentError for what isn't a tensor, ShapeError for a `v` that doesn't fit, GraphError in strict mode.
 * @example
 * const [y, gx] = autograd.functional.vjp((x: Tensor) => x.pow(2), tensor([1, 2]), ones([2]))
 * y.tolist() // [1, 4]
 * gx.tolist() // [2, 4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.functional.vjp.html
 */
export function vjp<I extends Tensors, O extends Tensors>(
  func: Mapping<I, O>,
  inputs: I,
  v?: Like<O> | null,
  { createGraph = false, strict = false }: ProductOptions = {},
): [Like<O>, Like<I>] {
  const given = new Bundle(inputs, 'inputs', 'vjp')
  const { ins, outs, vs } = enableGrad(() => {
    const ins = prepare(given.list, createGraph, true)
    const outs = new Bundle((func as Loose)(...ins), OUTPUTS, 'vjp')
    requireDependence(outs.list, 'outputs', strict)
    return { ins, outs, vs: vector(v, outs, createGraph, 'vjp', SINGLE_OUTPUT) }
  })
  const product = lastly(createGraph, () => complete(gradients(outs.list, ins, vs, { createGraph }), ins, { strict, createGraph }, 'back'))
  return [outs.form(finish(outs.list, createGraph)) as Like<O>, given.form(finish(product, createGraph)) as Like<I>]
}

/**
 * The outputs of `func` and the product of its Jacobian with `v` (shaped like the inputs; may be left out for a single input of
 * one element), by two backward passes. `func.jvp` does it in one forward pass.
 * Errors: those of `vjp`.
 * @example
 * const [, product] = autograd.functional.jvp((x: Tensor) => x.pow(2), tensor([1, 2]), tensor([1, 1]))
 * product.tolist() // [2, 4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.functional.jvp.html
 */
export function jvp<I extends Tensors, O extends Tensors>(
  func: Mapping<I, O>,
  inputs: I,
  v?: Like<I> | null,
  { createGraph = false, strict = false }: ProductOptions = {},
): [Like<O>, Like<O>] {
  const given = new Bundle(inputs, 'inputs', 'jvp')
  const { outs, us, gs, vs } = enableGrad(() => {
    const ins = prepare(given.list, createGraph, true)
    const vs = vector(v, given, createGraph, 'jvp', SINGLE_INPUT)
    const outs = new Bundle((func as Loose)(...ins), OUTPUTS, 'jvp')
    requireDependence(outs.list, 'outputs', strict)
    // u ↦ Jᵀu is linear, so its gradient along v is J·v.
    const us = outs.list.map((y) => y.detach().zerosLike().requiresGrad_())
    const gs = gradients(outs.list, ins, us, { createGraph: true })
    requireDependence(gs, 'gradients', strict)
    return { outs, us, gs, vs }
  })
  const product = lastly(createGraph, () =>
    complete(gradients(gs, us, vs, { createGraph }), outs.list, { strict, createGraph }, 'backTrick'),
  )
  return [outs.form(finish(outs.list, createGraph)) as Like<O>, outs.form(finish(product, createGraph)) as Like<O>]
}

function checkStrategy(strategy: unknown, hint: string): void {
  if (strategy !== 'forward-mode' && strategy !== 'reverse-mode')
    throw new ArgumentError(`Expected strategy to be either "forward-mode" or "reverse-mode".${hint}`)
}

/**
 * The unit vectors of the space that the elements of some tensors span together: a tensor of shape [total, ...shape] for each of
 * them, of its dtype. Row k of all is unit vector k: what `vectorize` gives to one batched pass.
 * @example
 * const [a, b] = autograd.functional.constructStandardBasisFor([zeros([2]), zeros([])])
 * a!.tolist() // [[1, 0], [0, 1], [0, 0]]
 * b!.tolist() // [0, 0, 1]
 */
export function constructStandardBasisFor(tensors: readonly Tensor[]): Tensor[] {
  tensors.forEach((t, i) => {
    expectTensor('constructStandardBasisFor', t, `tensor ${i}`)
  })
  const total = tensors.reduce((n, t) => n + t.numel(), 0)
  let start = 0
  return tensors.map((t) => {
    const n = t.numel()
    const rows = full([total, n], 0, t.dt, null) as Tensor
    if (n > 0) rows.narrow(0, start, n).diagonal().fill_(1)
    start += n
    return rows.reshape([total, ...t.shape])
  })
}

/**
 * The Jacobian of `func`: the shape of the output followed by the shape of the input, for each output and input.
 * Errors: those of `vjp`; UnsupportedError for options that exclude each other.
 * @example
 * autograd.functional.jacobian((x: Tensor) => x.exp().sum(1), zeros([2, 2])).shape // [2, 2, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.functional.jacobian.html
 */
export function jacobian<I extends Tensors, O extends Tensors>(
  func: Mapping<I, O>,
  inputs: I,
  { createGraph = false, strict = false, vectorize = false, strategy = 'reverse-mode' }: JacobianOptions = {},
): Jacobian<O, I> {
  checkStrategy(
    strategy,
    ' Hint: If your function has more outputs than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".',
  )
  if (strategy === 'forward-mode') {
    refuseForward(createGraph, strict)
    const given = new Bundle(inputs, 'inputs', 'jacobian')
    if (given.list.some((x) => x.numel() > 0)) return byColumns(func as Loose, given, vectorize) as Jacobian<O, I>
  }
  return enableGrad(() => {
    const given = new Bundle(inputs, 'inputs', 'jacobian')
    const ins = prepare(given.list, createGraph, true)
    const outs = new Bundle((func as Loose)(...ins), OUTPUTS, 'jacobian')
    requireDependence(outs.list, 'outputs', strict)
    if (vectorize && strict) {
      throw new UnsupportedError(
        'torch.autograd.functional.jacobian: `strict: true` and `vectorize: true` are not supported together. Please either set `strict: false` or `vectorize: false`.',
      )
    }
    const rows = vectorize ? batchedRows(outs.list, ins, createGraph) : singleRows(outs.list, ins, createGraph, strict)
    const blocks = rows.map((row, i) =>
      given.form(
        finish(
          row.map((block, j) => block.reshape([...outs.list[i]!.shape, ...ins[j]!.shape])),
          createGraph,
        ),
      ),
    )
    return outs.form(blocks) as Jacobian<O, I>
  })
}

function refuseForward(createGraph: boolean, strict: boolean): void {
  const which = createGraph ? 'createGraph' : strict ? 'strict' : null
  if (which === null) return
  throw new UnsupportedError(
    `torch.autograd.functional.jacobian: \`${which}: true\` and \`strategy="forward-mode"\` are not supported together (yet). Please either set \`${which}: false\` or \`strategy="reverse-mode"\`.`,
  )
}

/** [output][input] → rows, by a backward pass per element of the outputs. */
function singleRows(outs: readonly Tensor[], ins: readonly Tensor[], createGraph: boolean, strict: boolean): Tensor[][] {
  return outs.map((y, i) => {
    const rows: Tensor[][] = ins.map(() => [])
    const flat = y.reshape([-1])
    for (let k = 0; k < y.numel(); k++) {
      const made = gradients([flat.select(0, k)], ins, null, { createGraph, retainGraph: true })
      made.forEach((g, j) => {
        if (g === null && strict)
          throw new GraphError(
            `Output ${i} of the user-provided function is independent of input ${j}. This is not allowed in strict mode.`,
          )
        if (g !== null && strict && createGraph && !g.requiresGrad) {
          throw new GraphError(
            `The jacobian of the user-provided function is independent of input ${i}. This is not allowed in strict mode when createGraph: true.`,
          )
        }
        rows[j]!.push(g ?? ins[j]!.detach().zerosLike())
      })
    }
    return rows.map((list, j) => stacked(list, y, ins[j]!))
  })
}

/** Rows of one block in one tensor. */
function stacked(rows: readonly Tensor[], output: Tensor, input: Tensor): Tensor {
  const [first, ...rest] = rows.map((r) => r.unsqueeze(0))
  if (first === undefined) return full([0, ...input.shape], 0, output.dt, null) as Tensor
  return rest.length === 0 ? first : first.catWith(rest, 0)
}

/** The same by one pass over all unit vectors at once. */
function batchedRows(outs: readonly Tensor[], ins: readonly Tensor[], createGraph: boolean): Tensor[][] {
  const units = constructStandardBasisFor(outs)
  const made = units[0]!.shape[0] === 0 ? ins.map(() => null) : gradients(outs, ins, units, { createGraph, isGradsBatched: true })
  let start = 0
  return outs.map((y) => {
    const n = y.numel()
    const blocks = made.map((g, j) => g?.narrow(0, start, n) ?? (full([n, ...ins[j]!.shape], 0, ins[j]!.dt, null) as Tensor))
    start += n
    return blocks
  })
}

/** By one forward pass over the unit vectors of all inputs. */
function byColumns(func: Loose, given: Bundle, vectorize: boolean): unknown {
  if (!vectorize) {
    throw new UnsupportedError(
      'Computing Jacobian using forward-AD or forward-over-reverse Hessian is only implemented for `vectorize: true`. Set it, or use strategy "reverse-mode".',
    )
  }
  const ins = given.list
  const units = constructStandardBasisFor(ins)
  const total = units[0]!.shape[0]!
  return withLevel('batch', total, (batch) =>
    withLevel('forward', 0, (level) => {
      const outs = new Bundle(func(...ins.map((x, i) => wrap(level, x, wrap(batch, units[i]!)) as Tensor)), 'outputs', 'jacobian')
      const blocks = outs.list.map((y) => {
        const tangent = y.wrap?.level === level ? y.wrap.tangent : null
        const columns = unbatch(tangent ?? full(y.shape, 0, y.dt, null), batch.depth, total)
        let start = 0
        return given.form(
          ins.map((x) => {
            const n = x.numel()
            const block = columns.narrow(0, start, n).movedim(0, -1)
            start += n
            return block.reshape([...y.shape, ...x.shape])
          }),
        )
      })
      return outs.form(blocks)
    }),
  )
}

/** The single element that `func` returned. */
function scalar(value: unknown, op: string, strict: boolean): Tensor {
  const { list, isList } = new Bundle(value, OUTPUTS, op)
  requireDependence(list, 'outputs', strict)
  if (isList) throw new ArgumentError(`The function given to ${op} should return a single Tensor`, { op })
  const [y] = list
  if (y!.numel() !== 1) {
    throw new ShapeError(
      `The Tensor returned by the function given to ${op} should contain a single element, but it has shape ${show(y!.shape)}`,
      { op, shapes: [y!.shape] },
    )
  }
  return y!
}

/**
 * The Hessian of a function with one output element: for inputs i and j the shape of i followed by the shape of j, in lists of
 * lists if the inputs are a list.
 * Errors: those of `jacobian`; ShapeError for more than one output element.
 * @example
 * autograd.functional.hessian((x: Tensor) => x.pow(3).sum(), tensor([1, 2])).tolist() // [[6, 0], [0, 12]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.functional.hessian.html
 */
export function hessian<I extends Tensors>(
  func: Mapping<I, Tensor>,
  inputs: I,
  { createGraph = false, strict = false, vectorize = false, outerJacobianStrategy = 'reverse-mode' }: HessianOptions = {},
): Jacobian<I, I> {
  const given = new Bundle(inputs, 'inputs', 'hessian')
  checkStrategy(outerJacobianStrategy, '')
  const value = (...xs: Tensor[]): Tensor => scalar((func as Loose)(...xs), 'hessian', strict).squeeze()
  const gradient = (...xs: Tensor[]): Tensor[] => {
    if (outerJacobianStrategy === 'forward-mode') return gradientInside(value, xs)
    const made = jacobian(value as Mapping<readonly Tensor[], Tensor>, xs, { createGraph: true })
    requireDependence(made, 'jacobian', strict)
    return made
  }
  const options = { createGraph, strict, vectorize, strategy: outerJacobianStrategy }
  const blocks = jacobian(gradient as Mapping<readonly Tensor[], readonly Tensor[]>, given.list, options)
  return given.form(blocks.map((row) => given.form(row))) as Jacobian<I, I>
}

/** The gradient of a scalar function inside a transform. */
function gradientInside(value: (...xs: Tensor[]) => Tensor, xs: readonly Tensor[]): Tensor[] {
  return withLevel('reverse', 0, (level) =>
    withGrad(true, () => {
      const leaves = xs.map((x) => leafOn(level, x) as Tensor)
      const y = value(...leaves)
      const made: (TensorCore | null)[] =
        y.wrap?.level === level && y.rg
          ? differentiate([y], leaves, { gradOutputs: null, keepGraph: false, createGraph: true, level })
          : xs.map(() => null)
      return made.map((g, i) => (g as Tensor | null) ?? xs[i]!.zerosLike())
    }),
  )
}

/** What `vhp` and `hvp` have in common: the gradient at prepared inputs, recorded. */
function gradientOf(
  func: Loose,
  inputs: Bundle,
  v: unknown,
  op: string,
  { createGraph, strict }: Required<ProductOptions>,
): { ins: Tensor[]; vs: Grads; y: Tensor; gs: Grads } {
  const ins = prepare(inputs.list, createGraph, true)
  const vs = vector(v, inputs, createGraph, op, SINGLE_INPUT)
  const y = scalar(func(...ins), op, strict)
  const gs = gradients([y], ins, null, { createGraph: true })
  requireDependence(gs, 'jacobian', strict)
  return { ins, vs, y, gs }
}

/**
 * The output of `func` (of one element) and the product of `v` (shaped like the inputs) with its Hessian.
 * Errors: those of `vjp`; ShapeError for more than one output element.
 * @example
 * const [, product] = autograd.functional.vhp((x: Tensor) => x.pow(3).sum(), tensor([1, 2]), tensor([1, 1]))
 * product.tolist() // [6, 12]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.functional.vhp.html
 */
export function vhp<I extends Tensors>(
  func: Mapping<I, Tensor>,
  inputs: I,
  v?: Like<I> | null,
  { createGraph = false, strict = false }: ProductOptions = {},
): [Tensor, Like<I>] {
  const options = { createGraph, strict }
  const given = new Bundle(inputs, 'inputs', 'vhp')
  const { ins, vs, y, gs } = enableGrad(() => gradientOf(func as Loose, given, v, 'vhp', options))
  const product = lastly(createGraph, () => complete(gradients(gs, ins, vs, { createGraph }), ins, options, 'doubleBack'))
  return [finish([y], createGraph)[0]!, given.form(finish(product, createGraph)) as Like<I>]
}

/**
 * The output of `func` (of one element) and the product of its Hessian with `v` (shaped like the inputs). For functions with a
 * symmetric Hessian `vhp` gives the same with one pass less.
 * Errors: those of `vhp`.
 * @example
 * const [, product] = autograd.functional.hvp((x: Tensor) => x.pow(3).sum(), tensor([1, 2]), tensor([1, 1]))
 * product.tolist() // [6, 12]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.functional.hvp.html
 */
export function hvp<I extends Tensors>(
  func: Mapping<I, Tensor>,
  inputs: I,
  v?: Like<I> | null,
  { createGraph = false, strict = false }: ProductOptions = {},
): [Tensor, Like<I>] {
  const options = { createGraph, strict }
  const given = new Bundle(inputs, 'inputs', 'hvp')
  const { ins, vs, y, us, ggs } = enableGrad(() => {
    const { ins, vs, y, gs } = gradientOf(func as Loose, given, v, 'hvp', options)
    const us = ins.map((x) => x.detach().zerosLike().requiresGrad_())
    return { ins, vs, y, us, ggs: gradients(gs, ins, us, { createGraph: true }) }
  })
  const product = lastly(createGraph, () => complete(gradients(ggs, us, vs, { createGraph }), ins, options, 'doubleBackTrick'))
  return [finish([y], createGraph)[0]!, given.form(finish(product, createGraph)) as Like<I>]
}
