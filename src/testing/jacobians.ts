/** Jacobians of functions of tensors, by finite differences, by backward passes and by forward mode: what `gradcheck` compares. */
import { grad } from '../autograd/grad.ts'
import { noGrad } from '../autograd/modes.ts'
import { tensor } from '../creation.ts'
import { AutogradError, DTypeError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { jvp } from '../func/transforms.ts'
import { sameShape } from '../shape.ts'
import { isTensor } from '../tensor.ts'

/** The failure of a check; `message` shows both Jacobians. */
export class GradcheckError extends AutogradError {
  override name = 'GradcheckError'
}

/** A function under test: tensors to a tensor, or several. */
export type Checked = (...inputs: Tensor[]) => Tensor | readonly Tensor[]

/** J[k][j] = ∂ element k of an output / ∂ element j of an input. In fast mode the one number v·J·u. */
export type Matrix = readonly Float64Array[]

/** One tensor or several, as a list. */
export const listOf = (x: Tensor | readonly Tensor[]): Tensor[] => (isTensor(x) ? [x as Tensor] : [...(x as readonly Tensor[])])
/** What a function returns, as a list. */
export const results = (f: Checked, inputs: readonly Tensor[]): Tensor[] => listOf(f(...inputs))
/** The inputs that are differentiated for. */
export const differentiable = (inputs: readonly Tensor[]): Tensor[] => inputs.filter((t) => isTensor(t) && t.requiresGrad)
/** Numbers as a tensor like `t`. */
export const like = (t: Tensor, values: ArrayLike<number>): Tensor =>
  tensor(Float64Array.from(values), { dtype: t.dtype }).reshape([...t.shape])
/** The numbers of a tensor. */
export const numbers = (t: Tensor): Float64Array => Float64Array.from(t.detach().toTypedArray())

/** |a − b| ≤ atol + rtol·|b|. */
export const near = (a: number, b: number, atol: number, rtol: number): boolean => a === b || Math.abs(a - b) <= atol + rtol * Math.abs(b)

export const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

function samePerturbed(a: Tensor, b: Tensor, eps: number): void {
  if (!sameShape(a.shape, b.shape)) {
    throw new ShapeError(
      `Expected \`func\` to return outputs with the same shape when inputs are perturbed by ${eps}, but got: shapes ${show(a.shape)} and ${show(b.shape)}.`,
      { shapes: [a.shape, b.shape] },
    )
  }
  if (a.dtype !== b.dtype) {
    throw new DTypeError(
      `Expected \`func\` to return outputs with the same dtype when inputs are perturbed by ${eps}, but got: dtypes ${a.dtype} and ${b.dtype}.`,
      { dtypes: [a.dtype, b.dtype] },
    )
  }
}

/**
 * The derivatives of all outputs along `direction` at `input`, by central differences; the input is restored. Its values change
 * behind the version counter, since graphs of other calls may have saved it.
 */
export function numericallyAlong(
  f: Checked,
  inputs: readonly Tensor[],
  input: Tensor,
  direction: ArrayLike<number>,
  eps: number,
): Float64Array[] {
  const values = numbers(input)
  const at = (step: number): Tensor[] => {
    write(
      input,
      values.map((x, j) => x + step * direction[j]!),
    )
    return noGrad(() => results(f, inputs)).map((y) => y.detach().clone())
  }
  try {
    const down = at(-eps)
    const up = at(eps)
    return up.map((y, o) => {
      samePerturbed(down[o]!, y, eps)
      const low = numbers(down[o]!)
      return numbers(y).map((v, k) => (v - low[k]!) / (2 * eps))
    })
  } finally {
    write(input, values)
  }
}

function write(input: Tensor, values: ArrayLike<number>): void {
  noGrad(() => input.data.copy_(like(input, values)))
}

/** By central differences: a Jacobian per output. */
export function numerically(f: Checked, inputs: readonly Tensor[], input: Tensor, eps: number, outputs: readonly Tensor[]): Matrix[] {
  return fromColumns(input, outputs, (unit) => numericallyAlong(f, inputs, input, unit, eps))
}

/** A Jacobian per output from what each unit vector of the input is mapped to. */
function fromColumns(input: Tensor, outputs: readonly Tensor[], column: (unit: Float64Array) => Float64Array[]): Matrix[] {
  const n = input.numel()
  const made = outputs.map((y) => Array.from({ length: y.numel() }, () => new Float64Array(n)))
  const unit = new Float64Array(n)
  for (let j = 0; j < n; j++) {
    unit[j] = 1
    column(unit).forEach((values, o) => {
      values.forEach((v, k) => {
        made[o]![k]![j] = v
      })
    })
    unit[j] = 0
  }
  return made
}

/** Options of the analytical side. */
export interface AnalyticalOptions {
  readonly nondetTol: number
  readonly checkGradDtypes: boolean
}

/** vᵀ·J per input, by one backward pass; null where no gradient flows. */
function backward(output: Tensor, wrt: readonly Tensor[], v: ArrayLike<number>, options: AnalyticalOptions): (Float64Array | null)[] {
  const made = grad(output, wrt, { gradOutputs: like(output, v), retainGraph: true, allowUnused: true }) as (Tensor | null)[]
  return made.map((g, i) => {
    if (g === null) return null
    if (g.dtype !== wrt[i]!.dtype && options.checkGradDtypes) throw new GradcheckError('Gradient has dtype mismatch')
    if (!sameShape(g.shape, wrt[i]!.shape)) throw new GradcheckError('Analytical gradient has incorrect size')
    return numbers(g)
  })
}

/** The same twice: both must agree within the tolerance. */
export function backwardTwice(output: Tensor, wrt: readonly Tensor[], v: ArrayLike<number>, options: AnalyticalOptions): Float64Array[] {
  const first = backward(output, wrt, v, options)
  const again = backward(output, wrt, v, options)
  return first.map((row, i) => {
    const made = row ?? new Float64Array(wrt[i]!.numel())
    const other = again[i] ?? new Float64Array(made.length)
    if (made.some((x, j) => Math.abs(x - other[j]!) > options.nondetTol)) {
      throw new GradcheckError(
        'Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives different values, although analytical gradient matches numerical gradient.' +
          `The tolerance for nondeterminism was ${options.nondetTol.toFixed(1)}. If the operation is random on purpose, set nondetTol.`,
      )
    }
    return made
  })
}

/** By a backward pass per output element: a Jacobian per input. */
export function byBackward(output: Tensor, wrt: readonly Tensor[], options: AnalyticalOptions): Matrix[] {
  const n = output.numel()
  const rows: Float64Array[][] = wrt.map(() => [])
  const unit = new Float64Array(n)
  for (let k = 0; k < n; k++) {
    unit[k] = 1
    backwardTwice(output, wrt, unit, options).forEach((row, i) => {
      rows[i]!.push(row)
    })
    unit[k] = 0
  }
  return rows
}

/** The tangents of all outputs for tangents of some inputs (null: that input has none). */
export function tangents(f: Checked, inputs: readonly Tensor[], given: readonly (Tensor | null)[]): Tensor[] {
  const dual = inputs.map((_, i) => i).filter((i) => given[i] !== null)
  const call = (...xs: Tensor[]): Tensor[] => {
    const all = inputs.map((x) => (x.requiresGrad ? x.detach() : x))
    dual.forEach((i, k) => {
      all[i] = xs[k]!
    })
    return results(f, all)
  }
  if (dual.length === 0) return call().map((y) => y.detach().zerosLike())
  return jvp(
    call,
    dual.map((i) => inputs[i]!.detach()),
    dual.map((i) => given[i]!),
  )[1] as Tensor[]
}

/** J·direction of all outputs with respect to input number `at`, by forward mode. */
export function alongForward(f: Checked, inputs: readonly Tensor[], at: number, direction: ArrayLike<number>): Float64Array[] {
  const given = inputs.map((x, i) => (i === at ? like(x, direction) : x.requiresGrad ? x.detach().zerosLike() : null))
  return tangents(f, inputs, given).map(numbers)
}

/** By a forward pass per element of input number `at`: a Jacobian per output. */
export function byForward(f: Checked, inputs: readonly Tensor[], at: number, outputs: readonly Tensor[]): Matrix[] {
  return fromColumns(inputs[at]!, outputs, (unit) => alongForward(f, inputs, at, unit))
}

/** A Jacobian for a message. */
export const text = (rows: Matrix): string => rows.map((r) => `[${[...r].map((v) => v.toPrecision(6)).join(', ')}]`).join('\n')
