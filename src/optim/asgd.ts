/** ASGD: descent with falling steps, and the average of the parameters along the way. */
import { type CommonOptions, checkCommon, commonVariant, coupled, FusedOptimizer, type StepRule } from './fused.ts'
import type { ParamState, Params } from './optimizer.ts'

/** Hyper-parameters of `ASGD`; lr is 1e-2. */
export interface ASGDOptions extends CommonOptions {
  /** Share of the parameter that each step takes away, times the rate. Default 1e-4. */
  lambd: number
  /** Power with which the rate falls. Default 0.75. */
  alpha: number
  /** The step after which averaging begins. Default 1e6. */
  t0: number
}

/**
 * p ← (1 − λη)p − η·g, a ← a + μ(p − a), then η ← lr/(1 + λ·lr·t)^α and μ ← 1/max(1, t − t0). The average is `state.get(p)!.ax`.
 * Errors: ArgumentError for impossible hyper-parameters.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.ASGD.html
 */
export class ASGD extends FusedOptimizer<ASGDOptions> {
  constructor(params: Params<ASGDOptions>, options: Partial<ASGDOptions> = {}) {
    super(params, { lr: 1e-2, lambd: 1e-4, alpha: 0.75, t0: 1e6, weightDecay: 0, maximize: false }, options)
  }

  protected check(o: ASGDOptions): void {
    checkCommon(o)
  }

  protected variant(o: ASGDOptions): number {
    return commonVariant(o)
  }

  protected rule(variant: number): StepRule {
    return {
      state: ['ax'],
      scalars: 4,
      own: true,
      next: (param, gradient, [average], [left, eta, mu, decay]) => {
        const [p, g] = coupled(variant, param, gradient, decay!)
        const next = p.mul(left!).sub(g.mul(eta!))
        return [next, next.where(mu!.eq(1), average!.add(next.sub(average!).mul(mu!)))]
      },
    }
  }

  protected numbersOf(o: ASGDOptions, step: number, _fresh: boolean, out: Float64Array, state: ParamState): void {
    const { eta = o.lr, mu = 1 } = state as { readonly eta?: number; readonly mu?: number }
    out[0] = 1 - o.lambd * eta
    out[1] = eta
    out[2] = mu
    out[3] = o.weightDecay
    state['eta'] = o.lr / (1 + o.lambd * o.lr * step) ** o.alpha
    state['mu'] = 1 / Math.max(1, step - o.t0)
  }
}
