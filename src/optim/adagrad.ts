/** Adagrad: steps divided by the root of the sum of all squared gradients. */
import { type CommonOptions, checkCommon, commonVariant, coupled, FusedOptimizer, type StepRule } from './fused.ts'
import { checkRate, type Params } from './optimizer.ts'

/** Hyper-parameters of `Adagrad`; lr is 1e-2. */
export interface AdagradOptions extends CommonOptions {
  /** The rate at step t is lr/(1 + (t − 1)·lrDecay). Default 0. */
  lrDecay: number
  /** Where the sums of squares start. Default 0. */
  initialAccumulatorValue: number
  /** Added to the denominator. Default 1e-10. */
  eps: number
}

/**
 * s ← s + g², p ← p − lr/(1 + (t − 1)·lrDecay) · g/(√s + eps).
 * Errors: ArgumentError for impossible hyper-parameters.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Adagrad.html
 */
export class Adagrad extends FusedOptimizer<AdagradOptions> {
  constructor(params: Params<AdagradOptions>, options: Partial<AdagradOptions> = {}) {
    super(params, { lr: 1e-2, lrDecay: 0, weightDecay: 0, initialAccumulatorValue: 0, eps: 1e-10, maximize: false }, options)
  }

  protected check(o: AdagradOptions): void {
    checkCommon(o)
    checkRate('lr_decay value', o.lrDecay)
    checkRate('initial_accumulator_value value', o.initialAccumulatorValue)
    checkRate('epsilon value', o.eps)
  }

  protected variant(o: AdagradOptions): number {
    return commonVariant(o)
  }

  protected rule(variant: number): StepRule {
    return {
      state: ['sum'],
      scalars: 3,
      next: (param, gradient, [sum], [rate, eps, decay]) => {
        const [p, g] = coupled(variant, param, gradient, decay!)
        const next = sum!.add(g.mul(g))
        return [p.sub(g.mul(rate!).div(next.sqrt().add(eps!))), next]
      },
    }
  }

  protected numbersOf(o: AdagradOptions, step: number, _fresh: boolean, out: Float64Array): void {
    out[0] = o.lr / (1 + (step - 1) * o.lrDecay)
    out[1] = o.eps
    out[2] = o.weightDecay
  }

  protected override initial(_name: string, o: AdagradOptions): number {
    return o.initialAccumulatorValue
  }
}
