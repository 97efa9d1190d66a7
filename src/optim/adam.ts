/** Adam and AdamW: steps scaled by running averages of the gradient and of its square. */
import { type CommonOptions, checkCommon, commonVariant, coupled, decoupled, FusedOptimizer, type StepRule } from './fused.ts'
import { checkBetas, checkRate, type Params } from './optimizer.ts'

/** Hyper-parameters of `Adam` and `AdamW`; lr is 1e-3, and `AdamW` shrinks the parameter by lr · weightDecay (0.01) times it. */
export interface AdamOptions extends CommonOptions {
  /** Decay rates of the two averages. Default [0.9, 0.999]. */
  betas: readonly [number, number]
  /** Added to the denominator. Default 1e-8. */
  eps: number
  /** Divides by the largest average of squares so far. */
  amsgrad: boolean
}

const AMSGRAD = 4
const DECOUPLED = 8

/**
 * m ← m + (1 − β₁)(g − m), v ← β₂v + (1 − β₂)g², p ← p − lr/(1 − β₁ᵗ) · m/(√v/√(1 − β₂ᵗ) + eps); with AMSGrad √ of the
 * largest v. Errors: ArgumentError for impossible hyper-parameters.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html
 */
export class Adam extends FusedOptimizer<AdamOptions> {
  constructor(params: Params<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super(params, { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, amsgrad: false, maximize: false }, options)
  }

  protected check(o: AdamOptions): void {
    checkCommon(o)
    checkRate('epsilon value', o.eps)
    checkBetas(o.betas)
  }

  protected variant(o: AdamOptions): number {
    return commonVariant(o) | (o.amsgrad ? AMSGRAD : 0)
  }

  protected rule(variant: number): StepRule {
    return {
      state: (variant & AMSGRAD) === 0 ? ['expAvg', 'expAvgSq'] : ['expAvg', 'expAvgSq', 'maxExpAvgSq'],
      scalars: 7,
      next: (param, gradient, [m0, v0, top0], [decay, gain1, beta2, gain2, rate, correction, eps]) => {
        const [p, g] = ((variant & DECOUPLED) === 0 ? coupled : decoupled)(variant, param, gradient, decay!)
        const m = m0!.add(g.sub(m0!).mul(gain1!))
        const v = v0!.mul(beta2!).add(g.mul(g).mul(gain2!))
        const top = top0 === undefined ? v : top0.maximum(v)
        const next = p.sub(m.mul(rate!).div(top.sqrt().mul(correction!).add(eps!)))
        return top0 === undefined ? [next, m, v] : [next, m, v, top]
      },
    }
  }

  protected numbersOf(o: AdamOptions, step: number, _fresh: boolean, out: Float64Array): void {
    const [beta1, beta2] = o.betas
    out[0] = this.decayOf(o)
    out[1] = 1 - beta1
    out[2] = beta2
    out[3] = 1 - beta2
    out[4] = o.lr / (1 - beta1 ** step)
    // A factor instead of torch's divisor: one division less per element, the same to an ulp.
    out[5] = 1 / Math.sqrt(1 - beta2 ** step)
    out[6] = o.eps
  }

  /** The scalar of weight decay. */
  protected decayOf(o: AdamOptions): number {
    return o.weightDecay
  }
}

/**
 * Adam whose weight decay shrinks the parameter by itself, p ← (1 − lr·weightDecay)·p before the step.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html
 */
export class AdamW extends Adam {
  constructor(params: Params<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super(params, typeof options === 'object' ? { weightDecay: 1e-2, ...options } : options)
  }

  protected override variant(o: AdamOptions): number {
    return super.variant(o) | DECOUPLED
  }

  protected override decayOf(o: AdamOptions): number {
    return 1 - o.lr * o.weightDecay
  }
}
