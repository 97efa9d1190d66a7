/** RMSprop: steps divided by a running root mean square of the gradient. */
import { type CommonOptions, checkCommon, commonVariant, coupled, FusedOptimizer, type StepRule } from './fused.ts'
import { checkRate, type Params } from './optimizer.ts'

/** Hyper-parameters of `RMSprop`; lr is 1e-2. */
export interface RMSpropOptions extends CommonOptions {
  /** Decay rate of the average. Default 0.99. */
  alpha: number
  /** Added to the denominator. Default 1e-8. */
  eps: number
  /** Share of the last direction that is kept. Default 0. */
  momentum: number
  /** Divides by the standard deviation instead of the root mean square. */
  centered: boolean
}

const MOMENTUM = 4
const CENTERED = 8

/**
 * v ← αv + (1 − α)g², p ← p − lr·g/(√v + eps); centered: √(v − a²) with a the running average of g; with momentum the
 * quotient is gathered first. Errors: ArgumentError for impossible hyper-parameters.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html
 */
export class RMSprop extends FusedOptimizer<RMSpropOptions> {
  constructor(params: Params<RMSpropOptions>, options: Partial<RMSpropOptions> = {}) {
    super(params, { lr: 1e-2, alpha: 0.99, eps: 1e-8, weightDecay: 0, momentum: 0, centered: false, maximize: false }, options)
  }

  protected check(o: RMSpropOptions): void {
    checkCommon(o)
    checkRate('epsilon value', o.eps)
    checkRate('momentum value', o.momentum)
    checkRate('alpha value', o.alpha)
  }

  protected variant(o: RMSpropOptions): number {
    return commonVariant(o) | (o.momentum === 0 ? 0 : MOMENTUM) | (o.centered ? CENTERED : 0)
  }

  protected rule(variant: number): StepRule {
    const centered = (variant & CENTERED) !== 0
    const momentum = (variant & MOMENTUM) !== 0
    return {
      state: ['squareAvg', ...(centered ? ['gradAvg'] : []), ...(momentum ? ['momentumBuffer'] : [])],
      scalars: 6,
      next: (param, gradient, state, [lr, alpha, gain, eps, decay, kept]) => {
        const [p, g] = coupled(variant, param, gradient, decay!)
        const square = state[0]!.mul(alpha!).add(g.mul(g).mul(gain!))
        const next = [square]
        let spread = square
        if (centered) {
          const mean = state[1]!.add(g.sub(state[1]!).mul(gain!))
          next.push(mean)
          spread = square.sub(mean.mul(mean))
        }
        const root = spread.sqrt().add(eps!)
        if (!momentum) return [p.sub(g.mul(lr!).div(root)), ...next]
        const buffer = state[next.length]!.mul(kept!).add(g.div(root))
        return [p.sub(buffer.mul(lr!)), ...next, buffer]
      },
    }
  }

  protected numbersOf(o: RMSpropOptions, _step: number, _fresh: boolean, out: Float64Array): void {
    out[0] = o.lr
    out[1] = o.alpha
    out[2] = 1 - o.alpha
    out[3] = o.eps
    out[4] = o.weightDecay
    out[5] = o.momentum
  }
}
