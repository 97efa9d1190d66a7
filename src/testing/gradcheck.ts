/** `gradcheck` and `gradgradcheck`: analytical gradients against finite differences. */
import { grad } from '../autograd/grad.ts'
import { enableGrad } from '../autograd/modes.ts'
import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { vjp } from '../func/transforms.ts'
import { Generator } from '../random.ts'
import { isTensor } from '../tensor.ts'
import {
  type AnalyticalOptions,
  alongForward,
  backwardTwice,
  byBackward,
  byForward,
  type Checked,
  differentiable,
  dot,
  GradcheckError,
  like,
  listOf,
  type Matrix,
  near,
  numerically,
  numericallyAlong,
  results,
  text,
} from './jacobians.ts'
import {
  checkBatched,
  checkBatchedForward,
  checkInputs,
  checkLinear,
  checkUndefined,
  checkUndefinedTangents,
  unitVector,
} from './properties.ts'

/** What both checks take, with torch's defaults. */
interface CheckOptions {
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
  /** Are missing gradients (and tangents) treated as zeros? Default true. */
  readonly checkUndefinedGrad?: boolean
  /** Do gradients have the dtypes of their inputs? Default false. */
  readonly checkGradDtypes?: boolean
  /** Are gradients under `vmap` those one by one? Default false. */
  readonly checkBatchedGrad?: boolean
  /** Compare v·J·u for random u and v instead of the whole of J: quick, and a little less certain. Default false. */
  readonly fastMode?: boolean
}

/** Options of `gradcheck`. */
export interface GradcheckOptions extends CheckOptions {
  /** Check tangents. Default false. */
  readonly checkForwardAd?: boolean
  /** Check gradients. Default true. */
  readonly checkBackwardAd?: boolean
  /** Are tangents under `vmap` those one by one? Default false. */
  readonly checkBatchedForwardGrad?: boolean
}

/** Options of `gradgradcheck`. */
export interface GradgradcheckOptions extends CheckOptions {
  /** Make the gradients of the outputs, where they aren't given, strided ones. Default false. */
  readonly genNonContigGradOutputs?: boolean
  /** Check tangents of gradients. Default false. */
  readonly checkFwdOverRev?: boolean
  /** Check gradients of gradients. Default true. */
  readonly checkRevOverRev?: boolean
}

interface Settings extends AnalyticalOptions {
  readonly eps: number
  readonly atol: number
  readonly rtol: number
}

/**
 * Checks the gradients of `f` at `inputs` (float64 leaves that require gradients) against central differences: the Jacobian
 * of each output with respect to each input, that backward gives the same twice, that it is linear in its argument, and what the
 * options ask for. Returns true.
 * Errors: GradcheckError on a mismatch, unless `raiseException` is false; ArgumentError without a differentiable input or with an
 * overlapping one.
 * @example
 * gradcheck((x) => x.pow(3), tensor([1, 2], { dtype: 'float64', requiresGrad: true })) // true
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html
 */
export function gradcheck(f: Checked, inputs: Tensor | readonly Tensor[], options: GradcheckOptions = {}): boolean {
  const { checkForwardAd = false, checkBackwardAd = true, checkBatchedGrad = false, checkBatchedForwardGrad = false } = options
  if (!checkForwardAd && !checkBackwardAd) throw new ArgumentError('Expected at least one of checkForwardAd or checkBackwardAd to be true')
  if (checkBatchedGrad && !checkBackwardAd) throw new ArgumentError('Setting checkBatchedGrad: true requires checkBackwardAd to be true')
  if (checkBatchedForwardGrad && !checkForwardAd)
    throw new ArgumentError('Setting checkBatchedForwardGrad: true requires checkForwardAd to be true')
  try {
    check(f, listOf(inputs), options)
    return true
  } catch (error) {
    if (error instanceof GradcheckError && !(options.raiseException ?? true)) return false
    throw error
  }
}

function check(f: Checked, inputs: readonly Tensor[], options: GradcheckOptions): void {
  const { eps = 1e-6, atol = 1e-5, rtol = 1e-3, nondetTol = 0, checkGradDtypes = false, fastMode = false } = options
  const { checkForwardAd = false, checkBackwardAd = true, checkUndefinedGrad = true } = options
  checkInputs(inputs)
  const generator = new Generator(0)
  const wrt = differentiable(inputs)
  const outputs = results(f, inputs)
  const live = outputs.filter((y) => y.requiresGrad)
  const settings = { eps, atol, rtol, nondetTol, checkGradDtypes }
  const values = fastMode ? fastValues : slowValues
  if (checkBackwardAd) values(f, inputs, outputs, settings, generator, false)
  if (checkForwardAd) {
    values(f, inputs, outputs, settings, generator, true)
    if (checkUndefinedGrad) checkUndefinedTangents(f, inputs, generator)
  }
  if (options.checkBatchedForwardGrad) checkBatchedForward(f, inputs, generator)
  if (!checkBackwardAd) return
  if (options.checkBatchedGrad) for (const [i, y] of live.entries()) checkBatched(y, i, wrt, generator)
  checkLinear(live, wrt)
  if (checkUndefinedGrad) checkUndefined(f, inputs, live.length)
}

type ValueCheck = (
  f: Checked,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  settings: Settings,
  generator: Generator,
  forward: boolean,
) => void

const ZERO_EXPECTED = 'Numerical gradient for function expected to be zero'

const mismatch = (o: number, i: number, numerical: string, analytical: string, forward: boolean): string =>
  `Jacobian ${forward ? 'computed with forward mode ' : ''}mismatch for output ${o} with respect to input ${i},\nnumerical:\n${numerical}\nanalytical:\n${analytical}\n`

/** Whole Jacobians. */
const slowValues: ValueCheck = (f, inputs, outputs, settings, _generator, forward) => {
  const wrt = differentiable(inputs)
  const numerical = wrt.map((x) => numerically(f, inputs, x, settings.eps, outputs))
  const live = outputs.map((_, o) => o).filter((o) => outputs[o]!.requiresGrad)
  if (live.length === 0) {
    if (numerical.flat(2).some((row) => row.some((v) => v !== 0))) throw new GradcheckError(ZERO_EXPECTED)
    return
  }
  const byInput = forward ? wrt.map((x) => byForward(f, inputs, inputs.indexOf(x), outputs)) : null
  live.forEach((o, k) => {
    const byOutput = forward ? null : byBackward(outputs[o]!, wrt, settings)
    wrt.forEach((_, i) => {
      const analytical = byInput?.[i]?.[o] ?? byOutput![i]!
      if (!allNear(analytical, numerical[i]![o]!, settings.atol, settings.rtol))
        throw new GradcheckError(mismatch(k, i, text(numerical[i]![o]!), text(analytical), forward))
    })
  })
}

const allNear = (a: Matrix, b: Matrix, atol: number, rtol: number): boolean =>
  a.every((row, k) => row.every((v, j) => near(v, b[k]![j]!, atol, rtol)))

/** v·J·u for random unit vectors (J·u alone in forward mode). */
const fastValues: ValueCheck = (f, inputs, outputs, settings, generator, forward) => {
  const wrt = differentiable(inputs)
  const live = outputs.map((_, o) => o).filter((o) => outputs[o]!.requiresGrad)
  const us = wrt.map((x) => unitVector(x.numel(), generator))
  const vs = live.map((o) => unitVector(outputs[o]!.numel(), generator))
  const numerical = wrt.map((x, i) => numericallyAlong(f, inputs, x, us[i]!, settings.eps))
  if (live.length === 0) {
    const limit = settings.nondetTol
    if (numerical.flat().some((y) => y.some((v) => Math.abs(v) > limit))) throw new GradcheckError(ZERO_EXPECTED)
    return
  }
  const sum = (v: Float64Array): number => v.reduce((a, b) => a + b, 0)
  const columns = forward ? wrt.map((x, i) => alongForward(f, inputs, inputs.indexOf(x), us[i]!)) : null
  live.forEach((o, k) => {
    const rows = forward ? null : backwardTwice(outputs[o]!, wrt, vs[k]!, settings)
    wrt.forEach((x, i) => {
      const [got, expected] =
        columns === null ? [[dot(rows![i]!, us[i]!)], [dot(numerical[i]![o]!, vs[k]!)]] : [[...columns[i]![o]!], [...numerical[i]![o]!]]
      const atol = settings.atol * sum(us[i]!) * (forward ? 1 : sum(vs[k]!))
      if (got.every((v, j) => near(v, expected[j]!, atol, settings.rtol))) return
      const whole = numerically(f, inputs, x, settings.eps, outputs)[o]!
      const analytical = forward ? byForward(f, inputs, inputs.indexOf(x), outputs)[o]! : byBackward(outputs[o]!, [x], settings)[0]!
      throw new GradcheckError(
        `${mismatch(k, i, expected.join(', '), got.join(', '), forward)}The above quantities relating the numerical and analytical jacobians are computed in fast mode. ` +
          `Below, we recompute numerical and analytical jacobians in slow mode:\n\nNumerical:\n${text(whole)}\nAnalytical:\n${text(analytical)}\n` +
          (allNear(analytical, whole, settings.atol, settings.rtol)
            ? 'Fast gradcheck failed but element-wise differences are small. This means that the test might have passed with fastMode: false.'
            : ''),
      )
    })
  })
}

/**
 * Checks second derivatives: `gradcheck` of the gradient of `f`, with respect to the inputs and the incoming gradients
 * (`gradOutputs`: random ones, if left out).
 * Errors: those of `gradcheck`.
 * @example
 * gradgradcheck((x) => x.pow(3), tensor([1, 2], { dtype: 'float64', requiresGrad: true })) // true
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradgradcheck.html
 */
export function gradgradcheck(
  f: Checked,
  inputs: Tensor | readonly Tensor[],
  gradOutputs?: Tensor | readonly Tensor[] | null,
  options: GradgradcheckOptions = {},
): boolean {
  const { checkFwdOverRev = false, checkRevOverRev = true, genNonContigGradOutputs = false, ...shared } = options
  if (!checkFwdOverRev && !checkRevOverRev)
    throw new ArgumentError('Expected at least one of checkFwdOverRev or checkRevOverRev to be true')
  if ((shared.checkUndefinedGrad ?? true) && !checkRevOverRev)
    throw new ArgumentError('Setting checkUndefinedGrad: true requires checkRevOverRev to be true')
  if (shared.checkBatchedGrad && !checkRevOverRev)
    throw new ArgumentError('Setting checkBatchedGrad: true requires checkRevOverRev to be true')
  const all = listOf(inputs)
  const given =
    gradOutputs === undefined || gradOutputs === null
      ? results(f, all)
          .filter((y) => y.requiresGrad)
          .map((y) => randomGradient(y, genNonContigGradOutputs))
      : listOf(gradOutputs)
  const wrt = all.map((x, i) => (isTensor(x) && x.requiresGrad ? i : -1)).filter((i) => i >= 0)
  // A transform gives zeros where `grad` gives nothing: only what that gives is compared.
  const used = checkFwdOverRev ? recorded(f, all, given, wrt).map((g) => g !== null) : []
  const gradients = (...args: Tensor[]): Tensor[] => {
    const ins = args.slice(0, all.length)
    const vs = args.slice(all.length)
    if (args.some((x) => x.wrap !== null)) return insideTransform(f, ins, vs, wrt).filter((_, k) => used[k])
    return recorded(f, ins, vs, wrt).filter((g) => g !== null)
  }
  return gradcheck(gradients, [...all, ...given], { ...shared, checkForwardAd: checkFwdOverRev, checkBackwardAd: checkRevOverRev })
}

/** The gradient is the function under test, so it is taken also where that is evaluated without recording. */
function recorded(f: Checked, ins: readonly Tensor[], vs: readonly Tensor[], wrt: readonly number[]): (Tensor | null)[] {
  return enableGrad(() => {
    const live = results(f, ins).filter((y) => y.requiresGrad)
    const inputs = wrt.map((i) => ins[i]!)
    return grad(live, inputs, { gradOutputs: vs, createGraph: true, allowUnused: true })
  })
}

function insideTransform(f: Checked, ins: readonly Tensor[], vs: readonly Tensor[], wrt: readonly number[]): Tensor[] {
  const call = (...xs: Tensor[]): Tensor[] => {
    const args = [...ins]
    wrt.forEach((i, k) => {
      args[i] = xs[k]!
    })
    return results(f, args).filter((y) => y.wrap !== null && y.dt.floating)
  }
  const [, pull] = vjp(call, ...wrt.map((i) => ins[i]!))
  return pull([...vs]) as Tensor[]
}

/** Numbers in [−1, 1) shaped like y. */
function randomGradient(y: Tensor, strided: boolean): Tensor {
  const values = new Float64Array(y.numel())
  new Generator(0).uniform(values, -1, 1)
  const g = like(y, values)
  if (!strided || y.numel() < 2) return g.requiresGrad_()
  const pairs = g
    .unsqueeze(-1)
    .expand([...y.shape, 2])
    .clone()
  return pairs.select(-1, 0).requiresGrad_()
}
