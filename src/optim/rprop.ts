/** Rprop: a step size per element that grows while the gradient keeps its sign and shrinks when it turns. */
import { constant } from '../backend/scalar.ts'
import { ArgumentError } from '../errors.ts'
import { type CommonOptions, checkCommon, commonVariant, coupled, FusedOptimizer, type StepRule } from './fused.ts'
import type { Params } from './optimizer.ts'

/** Hyper-parameters of `Rprop`; lr, the first step size, is 1e-2. */
export interface RpropOptions extends Omit<CommonOptions, 'weightDecay'> {
  /** What the step size is multiplied by where the gradient's sign changed, and where it didn't. Default [0.5, 1.2]. */
  etas: readonly [number, number]
  /** Smallest and largest step size. Default [1e-6, 50]. */
  stepSizes: readonly [number, number]
}

/**
 * s ← s·η₊ where g has the sign of the last gradient, s·η₋ where it has the other, within the limits; p ← p − s·sign(g), but where
 * the sign changed p stays and g counts as 0 next time. For gradients of the whole loss, not of batches.
 * Errors: ArgumentError for impossible hyper-parameters.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Rprop.html
 */
export class Rprop extends FusedOptimizer<RpropOptions> {
  constructor(params: Params<RpropOptions>, options: Partial<RpropOptions> = {}) {
    super(params, { lr: 1e-2, etas: [0.5, 1.2], stepSizes: [1e-6, 50], maximize: false }, options)
  }

  protected check(o: RpropOptions): void {
    checkCommon({ ...o, weightDecay: 0 })
    const [shrink, grow] = o.etas
    if (!(shrink > 0 && shrink < 1 && grow > 1)) throw new ArgumentError(`Invalid eta values: ${shrink}, ${grow}`)
  }

  protected variant(o: RpropOptions): number {
    return commonVariant({ ...o, weightDecay: 0 })
  }

  protected rule(variant: number): StepRule {
    return {
      state: ['prev', 'stepSize'],
      scalars: 4,
      next: (param, gradient, [before, size], [shrink, grow, least, most]) => {
        const [p, g] = coupled(variant, param, gradient, constant(0))
        const product = g.mul(before!)
        const turned = product.lt(0)
        const factor = grow!.where(product.gt(0), shrink!.where(turned, 1))
        const step = size!.mul(factor).maximum(least!).minimum(most!)
        const kept = constant(0).where(turned, g)
        return [p.sub(kept.sign().mul(step)), kept, step]
      },
    }
  }

  protected numbersOf(o: RpropOptions, _step: number, _fresh: boolean, out: Float64Array): void {
    out[0] = o.etas[0]
    out[1] = o.etas[1]
    out[2] = o.stepSizes[0]
    out[3] = o.stepSizes[1]
  }

  protected override initial(name: string, o: RpropOptions): number {
    return name === 'stepSize' ? o.lr : 0
  }
}
