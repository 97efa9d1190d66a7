/** NAdam: Adam that looks one step ahead along its momentum. */
import { type CommonOptions, checkCommon, commonVariant, coupled, decoupled, FusedOptimizer, type StepRule } from './fused.ts'
import { checkBetas, checkRate, type ParamState, type Params } from './optimizer.ts'

/** Hyper-parameters of `NAdam`; lr is 2e-3. */
export interface NAdamOptions extends CommonOptions {
  /** Decay rates of the two averages. Default [0.9, 0.999]. */
  betas: readonly [number, number]
  /** Added to the denominator. Default 1e-8. */
  eps: number
  /** How fast the momentum grows to β₁. Default 4e-3. */
  momentumDecay: number
  /** Shrinks the parameter by lr · weightDecay times it, as `AdamW`, instead of adding to the gradient. */
  decoupledWeightDecay: boolean
}

const DECOUPLED = 4

/** The momentum of a step: β₁(1 − 0.96^(step·momentumDecay)/2). */
const momentum = (o: NAdamOptions, step: number): number => o.betas[0] * (1 - 0.5 * 0.96 ** (step * o.momentumDecay))

/**
 * m, v as in Adam; with μₜ = β₁(1 − 0.96^(t·momentumDecay)/2) and Πₜ the product of all μ so far,
 * p ← p − lr·(g·(1 − μₜ)/(1 − Πₜ) + m·μₜ₊₁/(1 − Πₜ₊₁))/(√(v/(1 − β₂ᵗ)) + eps).
 * Errors: ArgumentError for impossible hyper-parameters.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.NAdam.html
 */
export class NAdam extends FusedOptimizer<NAdamOptions> {
  constructor(params: Params<NAdamOptions>, options: Partial<NAdamOptions> = {}) {
    super(
      params,
      {
        lr: 2e-3,
        betas: [0.9, 0.999],
        eps: 1e-8,
        weightDecay: 0,
        momentumDecay: 4e-3,
        decoupledWeightDecay: false,
        maximize: false,
      },
      options,
    )
  }

  protected check(o: NAdamOptions): void {
    checkCommon(o)
    checkRate('epsilon value', o.eps)
    checkBetas(o.betas)
    checkRate('momentum_decay value', o.momentumDecay)
  }

  protected variant(o: NAdamOptions): number {
    return commonVariant(o) | (o.decoupledWeightDecay ? DECOUPLED : 0)
  }

  protected rule(variant: number): StepRule {
    return {
      state: ['expAvg', 'expAvgSq'],
      scalars: 8,
      own: true,
      next: (param, gradient, [m0, v0], [decay, gain1, beta2, gain2, correction, eps, rate, ahead]) => {
        const [p, g] = ((variant & DECOUPLED) === 0 ? coupled : decoupled)(variant, param, gradient, decay!)
        const m = m0!.add(g.sub(m0!).mul(gain1!))
        const v = v0!.mul(beta2!).add(g.mul(g).mul(gain2!))
        const root = v.sqrt().mul(correction!).add(eps!)
        return [p.sub(g.mul(rate!).add(m.mul(ahead!)).div(root)), m, v]
      },
    }
  }

  protected numbersOf(o: NAdamOptions, step: number, _fresh: boolean, out: Float64Array, state: ParamState): void {
    const [beta1, beta2] = o.betas
    const [now, next] = [momentum(o, step), momentum(o, step + 1)]
    const product = ((state['muProduct'] as number | undefined) ?? 1) * now
    state['muProduct'] = product
    out[0] = o.decoupledWeightDecay ? 1 - o.lr * o.weightDecay : o.weightDecay
    out[1] = 1 - beta1
    out[2] = beta2
    out[3] = 1 - beta2
    out[4] = 1 / Math.sqrt(1 - beta2 ** step)
    out[5] = o.eps
    out[6] = (o.lr * (1 - now)) / (1 - product)
    out[7] = (o.lr * next) / (1 - product * next)
  }
}
