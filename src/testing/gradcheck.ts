/** `gradcheck` and `gradgradcheck`: analytical gradients against finite differences. */
import { grad } from '../autograd/grad.ts'
import { enableGrad, noGrad } from '../autograd/modes.ts'
import { tensor } from '../creation.ts'
import { ArgumentError, AutogradError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { Generator } from '../random.ts'
import { isTensor } from '../tensor.ts'
import { warn } from '../warnings.ts'

/** The failure of a check; `message` shows both Jacobians. */
export class GradcheckError extends AutogradError {
  override name = 'GradcheckError'
}

/** Options of `gradcheck`, torch's defaults. */
export interface GradcheckOptions {
  /** Step of the central differences. Default 1e-6. */
  readonly eps?: number
  /** Absolute tolerance. Default 1e-5. */
  readonly atol?: number
  /** Relative tolerance. Default 1e-3. */
  readonly rtol?: number
  /** Throw on failure (default), or return false. */
  readonly raiseException?: boolean
  /** Largest difference of two backward passes. Default 0. */
  readonly nondetTol?: number
}

/** A function under test: tensors to a tensor, or several. */
export type Checked = (...inputs: Tensor[]) => Tensor | readonly Tensor[]

const outputsOf = (f: Checked, inputs: readonly Tensor[]): Tensor[] => {
  const y = f(...inputs)
  return (isTensor(y) ? [y] : [...(y as readonly Tensor[])]).filter((t) => t.dt.floating)
}

const differentiable = (inputs: readonly Tensor[]): Tensor[] => inputs.filter((t) => isTensor(t) && t.requiresGrad)

/** J[k][j] = ∂ output element k / ∂ input element j, by central differences; the input is restored. */
function numerical(f: Checked, inputs: readonly Tensor[], input: Tensor, output: number, eps: number): Float64Array[] {
  const rows: Float64Array[] = []
  const n = input.numel()
  const values = input.toTypedArray()
  const shape = [...input.shape]
  const write = (v: ArrayLike<number>): void => {
    noGrad(() => {
      input.data.copy_(tensor(Float64Array.from(v), { dtype: input.dtype }).reshape(shape))
    })
  }
  for (let j = 0; j < n; j++) {
    const at = (delta: number): ArrayLike<number> => {
      const moved = Float64Array.from(values)
      moved[j]! += delta
      write(moved)
      return noGrad(() => outputsOf(f, inputs)[output]!.toTypedArray())
    }
    const up = at(eps)
    const down = at(-eps)
    for (let k = 0; k < up.length; k++) {
      const row = (rows[k] ??= new Float64Array(n))
      row[j] = (up[k]! - down[k]!) / (2 * eps)
    }
  }
  write(values)
  return rows
}

/** The same by one backward pass per output element. */
function analytical(f: Checked, inputs: readonly Tensor[], input: Tensor, output: number): Float64Array[] {
  const y = outputsOf(f, inputs)[output]!
  const n = y.numel()
  if (!y.requiresGrad) return Array.from({ length: n }, () => new Float64Array(input.numel()))
  return Array.from({ length: n }, (_, k) => {
    const seed = new Float64Array(n)
    seed[k] = 1
    const g = grad(y, input, {
      gradOutputs: tensor(seed, { dtype: y.dtype }).reshape([...y.shape]),
      retainGraph: true,
      allowUnused: true,
    })[0] as Tensor | null
    return g === null ? new Float64Array(input.numel()) : Float64Array.from(g.toTypedArray())
  })
}

const text = (rows: readonly Float64Array[]): string => rows.map((r) => `[${[...r].map((v) => v.toPrecision(6)).join(', ')}]`).join('\n')

/**
 * Checks the gradients of `f` at `inputs` (float64 leaves that require gradients) against central differences: the full
 * Jacobian of each output with respect to each input, that backward gives the same twice, and that it is linear in its argument.
 * Errors: GradcheckError on a mismatch, ArgumentError without a differentiable input or with an overlapping one.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html
 */
export function gradcheck(f: Checked, inputs: Tensor | readonly Tensor[], options: GradcheckOptions = {}): boolean {
  const { eps = 1e-6, atol = 1e-5, rtol = 1e-3, raiseException = true, nondetTol = 0 } = options
  const all = isTensor(inputs) ? [inputs as Tensor] : [...(inputs as readonly Tensor[])]
  const wrt = differentiable(all)
  if (wrt.length === 0)
    throw new ArgumentError(
      'gradcheck expects at least one input tensor to require gradient, but none of the them have requires_grad=True.',
    )
  wrt.forEach((t, i) => {
    if (t.layout.strides.some((s, d) => s === 0 && t.shape[d]! > 1)) {
      throw new ArgumentError(
        `The ${i}th input has a dimension with stride 0. gradcheck only supports inputs that are non-overlapping to be able to compute the numerical gradients correctly. You should call .contiguous on the input before passing it to gradcheck.`,
      )
    }
    if (t.dtype !== 'float64')
      warn(
        `Input #${i} requires gradient and is not a double precision floating point or complex. This check will likely fail if all the inputs are not of double precision floating point or complex. `,
      )
  })
  try {
    const count = outputsOf(f, all).length
    for (let o = 0; o < count; o++) {
      for (const [i, t] of wrt.entries()) {
        const expected = numerical(f, all, t, o, eps)
        const got = analytical(f, all, t, o)
        const again = analytical(f, all, t, o)
        for (const [k, row] of got.entries()) {
          for (let j = 0; j < row.length; j++) {
            const e = expected[k]?.[j] ?? 0
            if (!(Math.abs(row[j]! - e) <= atol + rtol * Math.abs(e))) {
              throw new GradcheckError(
                `Jacobian mismatch for output ${o} with respect to input ${i},\nnumerical:\n${text(expected)}\nanalytical:\n${text(got)}\n`,
              )
            }
            if (Math.abs(row[j]! - again[k]![j]!) > nondetTol) {
              throw new GradcheckError(
                'Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives different values, although analytical gradient matches numerical gradient.',
              )
            }
          }
        }
        checkLinear(f, all, t, o)
      }
    }
    return true
  } catch (error) {
    if (error instanceof GradcheckError && !raiseException) return false
    throw error
  }
}

function checkLinear(f: Checked, all: readonly Tensor[], t: Tensor, o: number): void {
  const y = outputsOf(f, all)[o]!
  if (!y.requiresGrad) return
  const g = grad(y, t, { gradOutputs: y.detach().mul(0).where(y.detach().eq(y.detach()), 0), allowUnused: true })[0] as Tensor | null
  if (g !== null && !g.eq(0).all().item()) throw new GradcheckError('backward not multiplied by grad_output')
}

/**
 * Checks second derivatives: `gradcheck` of the gradient of `f`, with respect to the inputs and the incoming gradients.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradgradcheck.html
 */
export function gradgradcheck(
  f: Checked,
  inputs: Tensor | readonly Tensor[],
  gradOutputs?: Tensor | readonly Tensor[] | null,
  options: GradcheckOptions = {},
): boolean {
  const all = isTensor(inputs) ? [inputs as Tensor] : [...(inputs as readonly Tensor[])]
  const outs = outputsOf(f, all)
  const generator = new Generator(0)
  const vs =
    gradOutputs === undefined || gradOutputs === null
      ? outs.map((y) => {
          const v = new Float64Array(y.numel())
          generator.normal(v)
          return tensor(v, { dtype: y.dtype })
            .reshape([...y.shape])
            .requiresGrad_()
        })
      : isTensor(gradOutputs)
        ? [gradOutputs as Tensor]
        : [...(gradOutputs as readonly Tensor[])]
  const count = all.length
  // The gradient is the function under test, so it is taken also where that is evaluated without recording.
  const first = (...args: Tensor[]): Tensor[] =>
    enableGrad(() => {
      const ins = args.slice(0, count)
      const given = args.slice(count)
      const ys = outputsOf(f, ins)
      const live = ys.map((y, i) => [y, given[i]!] as const).filter(([y]) => y.requiresGrad)
      const made = grad(
        live.map(([y]) => y),
        differentiable(ins),
        { gradOutputs: live.map(([, g]) => g), createGraph: true, allowUnused: true },
      ) as (Tensor | null)[]
      return made.filter((g) => g !== null)
    })
  return gradcheck(first, [...all, ...vs], options)
}
