/** Adadelta: steps as large as the last ones were, in units that the gradient doesn't have. */
import { ArgumentError } from '../errors.ts'
import { type CommonOptions, checkCommon, commonVariant, coupled, FusedOptimizer, type StepRule } from './fused.ts'
import { checkRate, type Params } from './optimizer.ts'

/** Hyper-parameters of `Adadelta`; lr is 1. */
export interface AdadeltaOptions extends CommonOptions {
  /** Decay rate of both averages. Default 0.9. */
  rho: number
  /** Added to both averages of squares. Default 1e-6. */
  eps: number
}

/**
 * v ← ρv + (1 − ρ)g², δ = g·√(u + eps)/√(v + eps), u ← ρu + (1 − ρ)δ², p ← p − lr·δ.
 * Errors: ArgumentError for impossible hyper-parameters.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Adadelta.html
 */
export class Adadelta extends FusedOptimizer<AdadeltaOptions> {
  constructor(params: Params<AdadeltaOptions>, options: Partial<AdadeltaOptions> = {}) {
    super(params, { lr: 1, rho: 0.9, eps: 1e-6, weightDecay: 0, maximize: false }, options)
  }

  protected check(o: AdadeltaOptions): void {
    checkCommon(o)
    checkRate('epsilon value', o.eps)
    if (!(o.rho >= 0 && o.rho <= 1)) throw new ArgumentError(`Invalid rho value: ${o.rho}`)
  }

  protected variant(o: AdadeltaOptions): number {
    return commonVariant(o)
  }

  protected rule(variant: number): StepRule {
    return {
      state: ['squareAvg', 'accDelta'],
      scalars: 5,
      next: (param, gradient, [square, gathered], [lr, rho, gain, eps, decay]) => {
        const [p, g] = coupled(variant, param, gradient, decay!)
        const v = square!.mul(rho!).add(g.mul(g).mul(gain!))
        const delta = gathered!.add(eps!).sqrt().div(v.add(eps!).sqrt()).mul(g)
        return [p.sub(delta.mul(lr!)), v, gathered!.mul(rho!).add(delta.mul(delta).mul(gain!))]
      },
    }
  }

  protected numbersOf(o: AdadeltaOptions, _step: number, _fresh: boolean, out: Float64Array): void {
    out[0] = o.lr
    out[1] = o.rho
    out[2] = 1 - o.rho
    out[3] = o.eps
    out[4] = o.weightDecay
  }
}
