/** Adamax: Adam with the largest recent gradient in place of the root mean square. */
import { type CommonOptions, checkCommon, commonVariant, coupled, FusedOptimizer, type StepRule } from './fused.ts'
import { checkBetas, checkRate, type Params } from './optimizer.ts'

/** Hyper-parameters of `Adamax`; lr is 2e-3. */
export interface AdamaxOptions extends CommonOptions {
  /** Decay rates of the average and of the maximum. Default [0.9, 0.999]. */
  betas: readonly [number, number]
  /** Added to the size of the gradient. Default 1e-8. */
  eps: number
}

/**
 * m ← m + (1 − β₁)(g − m), u ← max(β₂u, |g| + eps), p ← p − lr/(1 − β₁ᵗ) · m/u.
 * Errors: ArgumentError for impossible hyper-parameters.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Adamax.html
 */
export class Adamax extends FusedOptimizer<AdamaxOptions> {
  constructor(params: Params<AdamaxOptions>, options: Partial<AdamaxOptions> = {}) {
    super(params, { lr: 2e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, maximize: false }, options)
  }

  protected check(o: AdamaxOptions): void {
    checkCommon(o)
    checkRate('epsilon value', o.eps)
    checkBetas(o.betas)
  }

  protected variant(o: AdamaxOptions): number {
    return commonVariant(o)
  }

  protected rule(variant: number): StepRule {
    return {
      state: ['expAvg', 'expInf'],
      scalars: 5,
      next: (param, gradient, [m0, u0], [gain, beta2, rate, eps, decay]) => {
        const [p, g] = coupled(variant, param, gradient, decay!)
        const m = m0!.add(g.sub(m0!).mul(gain!))
        const u = u0!.mul(beta2!).maximum(g.abs().add(eps!))
        return [p.sub(m.mul(rate!).div(u)), m, u]
      },
    }
  }

  protected numbersOf(o: AdamaxOptions, step: number, _fresh: boolean, out: Float64Array): void {
    const [beta1, beta2] = o.betas
    out[0] = 1 - beta1
    out[1] = beta2
    out[2] = o.lr / (1 - beta1 ** step)
    out[3] = o.eps
    out[4] = o.weightDecay
  }
}
