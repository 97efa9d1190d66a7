/** L-BFGS: quasi-Newton steps from the last few changes of the gradient. */
import { peekGrad } from '../autograd/accumulate.ts'
import { enableGrad, noGrad } from '../autograd/modes.ts'
import { zeros } from '../creation.ts'
import { ArgumentError } from '../errors.ts'
import { copyInto } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { parametersToVector } from '../nn/collection.ts'
import { emptyPersistent, isTensor } from '../tensor.ts'
import { type Probe, strongWolfe } from './linesearch.ts'
import { checkRate, Optimizer, type ParamState, type Params } from './optimizer.ts'

/** Hyper-parameters of `LBFGS`. */
export interface LBFGSOptions {
  /** Length of a step, or where the line search begins. Default 1. */
  lr: number
  /** Most iterations of one `step`. Default 20. */
  maxIter: number
  /** Most evaluations of the closure in one `step`. Default 1.25 · maxIter. */
  maxEval: number
  /** Ends where no element of the gradient is larger. Default 1e-7. */
  toleranceGrad: number
  /** Ends where neither the loss nor any parameter changes by more. Default 1e-9. */
  toleranceChange: number
  /** How many changes are remembered. Default 100. */
  historySize: number
  /** How steps are lengthened or shortened; null takes them as they come. Default null. */
  lineSearchFn: 'strongWolfe' | null
}

/** What is remembered from iteration to iteration, of all parameters as one vector. */
interface Memory extends ParamState {
  /** How often the closure ran. */
  funcEvals: number
  nIter: number
  /** The last direction, how far along it the last step went, and the gradient and the loss before. */
  d: Tensor
  t: number
  prevFlatGrad: Tensor
  prevLoss: number
  /** Changes of the gradient, the steps that made them, and the reciprocals of their products, oldest first. */
  oldDirs: readonly Tensor[]
  oldStps: readonly Tensor[]
  ro: readonly number[]
  /** The inverse of the Hessian before anything is known of it, a multiple of the identity. */
  HDiag: number
}

const largest = (x: Tensor): number => (x.numel() === 0 ? 0 : x.abs().amax().item())

function valueOf(loss: unknown): number {
  if (isTensor(loss)) return (loss as Tensor).item()
  if (typeof loss === 'number') return loss
  throw new ArgumentError(`LBFGS: the closure must return the loss, a tensor of one element or a number; got ${typeof loss}`)
}

/** A copy that no scope releases. */
function lasting(x: Tensor): Tensor {
  const t = emptyPersistent(x.layout.at(0), x.dt)
  copyInto(t, x)
  return t as Tensor
}

/** The gradient times the inverse Hessian that fits the remembered changes, negated: the two loops over them. */
function direction(gradient: Tensor, { oldDirs, oldStps, ro, HDiag }: Memory): Tensor {
  const q = gradient.neg()
  const shares = new Float64Array(ro.length)
  for (let i = ro.length - 1; i >= 0; i--) {
    shares[i] = oldStps[i]!.dot(q).item() * ro[i]!
    q.add_(oldDirs[i]!, { alpha: -shares[i]! })
  }
  q.mul_(HDiag)
  for (let i = 0; i < ro.length; i++) q.add_(oldStps[i]!, { alpha: shares[i]! - oldDirs[i]!.dot(q).item() * ro[i]! })
  return q
}

/** Takes the last step, and the change of the gradient it made, into the memory; if they curve upwards. */
function remember(m: Memory, gradient: Tensor, size: number): void {
  const y = gradient.sub(m.prevFlatGrad)
  const s = m.d.mul(m.t)
  const ys = y.dot(s).item()
  if (!(ys > 1e-10)) return
  const from = m.ro.length === size ? 1 : 0
  m.oldDirs = [...m.oldDirs.slice(from), lasting(y)]
  m.oldStps = [...m.oldStps.slice(from), lasting(s)]
  m.ro = [...m.ro.slice(from), 1 / ys]
  m.HDiag = ys / y.dot(y).item()
}

/**
 * Newton's method with a Hessian guessed from the last `historySize` steps: for curve fits and inverse problems whose whole loss is evaluated
 * at once, far fewer evaluations than by descent. Each `step` makes up to `maxIter` iterations, for which it runs the closure
 * several times. All parameters are one group. State: 2·historySize + 2 vectors as long as all parameters together.
 * Errors: ArgumentError for several groups, for impossible hyper-parameters, and for a step without closure.
 * @example
 * const x = tensor([-1.5, 2], { dtype: 'float64', requiresGrad: true })
 * const optimizer = new optim.LBFGS([x], { lineSearchFn: 'strongWolfe' })
 * const closure = () => {
 *   optimizer.zeroGrad()
 *   const [a, b] = x.unbind()
 *   const loss = a.sub(1).pow(2).add(b.sub(a.pow(2)).pow(2).mul(100))
 *   loss.backward()
 *   return loss
 * }
 * for (let i = 0; i < 3; i++) optimizer.step(closure)
 * x.detach().round({ decimals: 6 }).tolist() // [1, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.LBFGS.html
 */
export class LBFGS extends Optimizer<LBFGSOptions> {
  constructor(params: Params<LBFGSOptions>, options: Partial<LBFGSOptions> = {}) {
    const maxIter = options.maxIter ?? 20
    super(
      params,
      {
        lr: 1,
        maxIter,
        maxEval: Math.floor((maxIter * 5) / 4),
        toleranceGrad: 1e-7,
        toleranceChange: 1e-9,
        historySize: 100,
        lineSearchFn: null,
      },
      options,
    )
    this.onlyGroup()
  }

  protected check(o: LBFGSOptions): void {
    checkRate('learning rate', o.lr)
    if (!(Number.isInteger(o.historySize) && o.historySize > 0))
      throw new ArgumentError(`Invalid history_size value: ${o.historySize}; at least one change must be remembered`)
    if (o.lineSearchFn !== null && o.lineSearchFn !== 'strongWolfe')
      throw new ArgumentError(`only 'strongWolfe' is supported as lineSearchFn, or null; got ${String(o.lineSearchFn)}`)
  }

  private onlyGroup(): LBFGSOptions & { params: Tensor[] } {
    const [group, ...others] = this.paramGroups
    if (others.length > 0)
      throw new ArgumentError("LBFGS doesn't support per-parameter options (parameter groups): give it one list of parameters")
    return group!
  }

  /** Parameters are moved together, never one by one. */
  protected update(): void {}

  /** State belongs to all parameters as one vector; it is kept under the first. */
  protected override stateShape(): readonly number[] {
    return [this.onlyGroup().params.reduce((n, p) => n + p.numel(), 0)]
  }

  private gradient(params: readonly Tensor[]): Tensor {
    return parametersToVector(params.map((p) => (peekGrad(p) as Tensor | null) ?? zeros(p.shape, { dtype: p.dtype })))
  }

  private move(params: readonly Tensor[], t: number, d: Tensor): void {
    let at = 0
    for (const p of params) {
      p.add_(d.narrow(0, at, p.numel()).reshape(p.shape), { alpha: t })
      at += p.numel()
    }
  }

  /**
   * Up to `maxIter` iterations. The closure clears the gradients, computes the loss and its gradients, and returns the loss; it runs
   * once and then as often as the iterations need. Returns the first loss.
   */
  override step(): never
  override step<R>(closure: () => R): R
  override step<R>(closure?: () => R): R {
    if (typeof closure !== 'function')
      throw new ArgumentError("step() missing 1 required positional argument: 'closure': LBFGS evaluates the loss several times per step")
    this.onlyGroup()
    let first!: { readonly loss: R }
    const evaluate = (): number => {
      const loss = enableGrad(closure)
      first ??= { loss }
      return valueOf(loss)
    }
    noGrad(() => this.iterate(evaluate))
    this.stepCount++
    return first.loss
  }

  private iterate(evaluate: () => number): void {
    const { params, lr, maxIter, maxEval, toleranceGrad, toleranceChange, historySize, lineSearchFn } = this.onlyGroup()
    let state = this.state.get(params[0]!)
    if (state === undefined) this.state.set(params[0]!, (state = { step: 0, funcEvals: 0, nIter: 0 }))
    const m = state as Memory
    m.step++
    let loss = evaluate()
    let evaluations = 1
    m.funcEvals++
    let gradient = this.gradient(params)
    if (largest(gradient) <= toleranceGrad) return
    for (let i = 1; i <= maxIter; i++) {
      m.nIter++
      if (m.nIter === 1) {
        m.d = gradient.neg()
        m.oldDirs = m.oldStps = m.ro = []
        m.HDiag = 1
        m.t = Math.min(1, 1 / gradient.abs().sum().item()) * lr
      } else {
        remember(m, gradient, historySize)
        m.d = direction(gradient, m)
        m.t = lr
      }
      const before = loss
      m.prevFlatGrad = gradient
      m.prevLoss = before
      const slope = gradient.dot(m.d).item()
      if (slope > -toleranceChange) break
      let ran = 0
      if (lineSearchFn !== null) {
        const { d } = m
        const origin = params.map((p) => p.clone())
        const probe = (t: number): Probe => {
          this.move(params, t, d)
          const value = evaluate()
          const g = this.gradient(params)
          params.forEach((p, k) => p.copy_(origin[k]!))
          return { t, loss: value, gradient: g, slope: g.dot(d).item() }
        }
        const limits = { limit: maxEval - evaluations, largest: largest(d), tolerance: toleranceChange }
        const found = strongWolfe(probe, { t: 0, loss, gradient, slope }, m.t, limits)
        ;({ t: m.t, loss, gradient } = found.probe)
        ran = found.evaluations
        this.move(params, m.t, d)
      } else {
        this.move(params, m.t, m.d)
        // What the last iteration would learn is learned at the beginning of the next step, perhaps from other data.
        if (i < maxIter) {
          loss = evaluate()
          gradient = this.gradient(params)
          ran = 1
        }
      }
      evaluations += ran
      m.funcEvals += ran
      if (i === maxIter || evaluations >= maxEval || largest(gradient) <= toleranceGrad) break
      if (largest(m.d) * Math.abs(m.t) <= toleranceChange || Math.abs(loss - before) < toleranceChange) break
    }
    m.d = lasting(m.d)
    m.prevFlatGrad = lasting(m.prevFlatGrad)
  }
}
