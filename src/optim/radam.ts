/** RAdam: Adam that doesn't trust its average of squares before it has seen enough of them. */
import { type CommonOptions, checkCommon, commonVariant, coupled, decoupled, FusedOptimizer, type StepRule } from './fused.ts'
import { checkBetas, checkRate, type Params } from './optimizer.ts'

/** Hyper-parameters of `RAdam`; lr is 1e-3. */
export interface RAdamOptions extends CommonOptions {
  /** Decay rates of the two averages. Default [0.9, 0.999]. */
  betas: readonly [number, number]
  /** Added to the denominator. Default 1e-8. */
  eps: number
  /** Shrinks the parameter by lr · weightDecay times it, as `AdamW`, instead of adding to the gradient. */
  decoupledWeightDecay: boolean
}

const DECOUPLED = 4

/**
 * m, v as in Adam. With n = 2/(1 − β₂) − 1 and nₜ = n − 2t·β₂ᵗ/(1 − β₂ᵗ), the number of gradients that v averages:
 * p ← p − lr·m/(1 − β₁ᵗ) while nₜ ≤ 5, then that times r·√(1 − β₂ᵗ)/(√v + eps), r² = (nₜ − 4)(nₜ − 2)n/((n − 4)(n − 2)nₜ).
 * Errors: ArgumentError for impossible hyper-parameters.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.RAdam.html
 */
export class RAdam extends FusedOptimizer<RAdamOptions> {
  constructor(params: Params<RAdamOptions>, options: Partial<RAdamOptions> = {}) {
    super(params, { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, decoupledWeightDecay: false, maximize: false }, options)
  }

  protected check(o: RAdamOptions): void {
    checkCommon(o)
    checkRate('epsilon value', o.eps)
    checkBetas(o.betas)
  }

  protected variant(o: RAdamOptions): number {
    return commonVariant(o) | (o.decoupledWeightDecay ? DECOUPLED : 0)
  }

  protected rule(variant: number): StepRule {
    return {
      state: ['expAvg', 'expAvgSq'],
      scalars: 7,
      next: (param, gradient, [m0, v0], [decay, gain1, beta2, gain2, rate, adaptive, eps]) => {
        const [p, g] = ((variant & DECOUPLED) === 0 ? coupled : decoupled)(variant, param, gradient, decay!)
        const m = m0!.add(g.sub(m0!).mul(gain1!))
        const v = v0!.mul(beta2!).add(g.mul(g).mul(gain2!))
        return [p.sub(m.mul(rate!).div(v.sqrt().add(eps!).where(adaptive!.ne(0), 1))), m, v]
      },
    }
  }

  protected numbersOf(o: RAdamOptions, step: number, _fresh: boolean, out: Float64Array): void {
    const [beta1, beta2] = o.betas
    const share = 1 - beta2 ** step
    const most = 2 / (1 - beta2) - 1
    const length = most - (2 * step * beta2 ** step) / share
    const adaptive = length > 5
    const rectification = Math.sqrt(((length - 4) * (length - 2) * most) / ((most - 4) * (most - 2) * length))
    out[0] = o.decoupledWeightDecay ? 1 - o.lr * o.weightDecay : o.weightDecay
    out[1] = 1 - beta1
    out[2] = beta2
    out[3] = 1 - beta2
    out[4] = (o.lr / (1 - beta1 ** step)) * (adaptive ? Math.sqrt(share) * rectification : 1)
    out[5] = adaptive ? 1 : 0
    out[6] = o.eps
  }
}
