/** Schedulers: the base, and those that fall by a rule. */
import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkFunction, checkKind, checkOptions, checkSizes, describe, expectIterable, type Known } from '../options.ts'
import { warn } from '../warnings.ts'
import type { Optimizer, ParamGroup } from './optimizer.ts'

/** The hyper-parameter that schedulers change. */
export interface HasRate {
  lr: number
}

/** What a scheduler needs to go on: all but the optimizer and functions. */
export interface SchedulerState {
  readonly lastEpoch: number
  readonly stepCount: number
  readonly baseLrs: readonly number[]
  readonly lastLr: readonly number[]
  /** Of `CosineAnnealingWarmRestarts`: the epoch with its fraction. */
  readonly at?: number
}

/** What steps once per epoch: a scheduler, or several made into one. */
export interface Schedule {
  readonly optimizer: Optimizer<HasRate>
  step(): void
  getLastLr(): number[]
}

/** A factor of the rate by epoch. */
type Factor = (epoch: number) => number

/** Options of all schedulers. */
export interface SchedulerOptions {
  /** The epoch to go on from; −1, the default, begins anew. */
  readonly lastEpoch?: number
}

const SCHEDULER: Known<SchedulerOptions> = { lastEpoch: 'integer' }
const WITH_GAMMA: Known<SchedulerOptions & { readonly gamma?: number }> = { lastEpoch: 'integer', gamma: 'number' }

function expectOptimizer(op: string, optimizer: Optimizer<HasRate>): void {
  if (!Array.isArray((optimizer as Partial<Optimizer<HasRate>> | null | undefined)?.paramGroups))
    throw new ArgumentError(`${describe(optimizer)} is not an Optimizer: ${op} changes the learning rates of one`, { op })
}

/**
 * The base of schedulers: a subclass gives the rate of each group for `this.lastEpoch`. Call `step()` once per epoch,
 * after the optimizer's.
 * @see https://docs.pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate
 */
export abstract class LRScheduler implements Schedule {
  readonly optimizer: Optimizer<HasRate>
  /** The rates of the groups at the start. */
  baseLrs: number[]
  lastEpoch: number
  private stepCount = 0
  private last: number[] = []

  /** `known`: the options a subclass has; absent: it looks at them itself. */
  constructor(optimizer: Optimizer<HasRate>, options: SchedulerOptions = {}, known?: Known<SchedulerOptions>) {
    const op = this.constructor.name
    expectOptimizer(op, optimizer)
    if (known !== undefined) checkOptions(op, options, known)
    this.optimizer = optimizer
    this.lastEpoch = options.lastEpoch ?? -1
    optimizer.paramGroups.forEach((group, i) => {
      if (this.lastEpoch === -1) group.initialLr ??= group.lr
      else if (group.initialLr === undefined)
        throw new ArgumentError(
          `param 'initial_lr' is not specified in param_groups[${i}] when resuming an optimizer; load its state first (${op})`,
        )
    })
    this.baseLrs = optimizer.paramGroups.map((group) => group.initialLr!)
  }

  /** The first rates; subclasses call it when their fields stand. */
  protected start(): void {
    this.advance()
  }

  /** The rate of a group for `this.lastEpoch`, given what it is now and what it was at the start. */
  protected abstract rate(group: ParamGroup<HasRate>, base: number, index: number): number

  /** The rates set last. */
  getLastLr(): number[] {
    return [...this.last]
  }

  /** Goes to the next epoch and sets the rates of all groups. */
  step(): void {
    if (this.stepCount === 1 && this.optimizer.stepCount === 0) {
      warn(
        'Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, you should call them in the opposite order: ' +
          '`optimizer.step()` before `lr_scheduler.step()`. Failure to do this will result in skipping the first value of the learning rate schedule.',
      )
    }
    this.advance()
  }

  private advance(): void {
    this.stepCount++
    this.lastEpoch++
    this.apply()
  }

  /** Sets the rates of this epoch. */
  protected apply(): void {
    const { paramGroups } = this.optimizer
    const rates = paramGroups.map((group, i) => this.rate(group, this.baseLrs[i] ?? group.initialLr ?? group.lr, i))
    paramGroups.forEach((group, i) => {
      group.lr = rates[i]!
    })
    this.last = rates
  }

  /**
   * Begins anew at epoch 0, from the rates of the start: what `SequentialLR` does with the schedule whose turn it is. `first`: as if made now.
   */
  restart(first: boolean): void {
    this.stepCount = first ? 1 : 2
    this.lastEpoch = 0
    if (first || !this.relative) {
      this.optimizer.paramGroups.forEach((group, i) => {
        group.lr = this.baseLrs[i] ?? group.lr
      })
    }
    this.apply()
  }

  /** Does the schedule know only how rates change, not where they start? */
  protected get relative(): boolean {
    return false
  }

  /** Is this the rate set by the constructor? */
  protected get initial(): boolean {
    return this.stepCount === 1
  }

  /** Is this the rate set by the constructor, of a schedule that resumes? */
  protected get resuming(): boolean {
    return this.initial && this.lastEpoch > 0
  }

  /** What is needed to go on later. */
  stateDict(): SchedulerState {
    return { lastEpoch: this.lastEpoch, stepCount: this.stepCount, baseLrs: [...this.baseLrs], lastLr: [...this.last] }
  }

  /** Goes on from a saved state. The rates of the groups are the optimizer's to restore. */
  loadStateDict(state: SchedulerState): void {
    this.lastEpoch = state.lastEpoch
    this.stepCount = state.stepCount
    this.baseLrs = [...state.baseLrs]
    this.last = [...state.lastLr]
  }
}

/**
 * Multiplies the rate by gamma every `stepSize` epochs.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.StepLR.html
 */
export class StepLR extends LRScheduler {
  readonly stepSize: number
  readonly gamma: number
  constructor(optimizer: Optimizer<HasRate>, stepSize: number, options: SchedulerOptions & { readonly gamma?: number } = {}) {
    checkSizes('StepLR', { stepSize }, 1)
    super(optimizer, options, WITH_GAMMA)
    this.stepSize = stepSize
    this.gamma = options.gamma ?? 0.1
    this.start()
  }
  protected rate(group: ParamGroup<HasRate>): number {
    return this.lastEpoch === 0 || this.lastEpoch % this.stepSize !== 0 ? group.lr : group.lr * this.gamma
  }
}

/**
 * Multiplies the rate by gamma at each of the `milestones`.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.MultiStepLR.html
 */
export class MultiStepLR extends LRScheduler {
  readonly milestones: readonly number[]
  readonly gamma: number
  constructor(optimizer: Optimizer<HasRate>, milestones: readonly number[], options: SchedulerOptions & { readonly gamma?: number } = {}) {
    for (const milestone of expectIterable('MultiStepLR', milestones, 'epochs')) checkSizes('MultiStepLR', { milestone })
    super(optimizer, options, WITH_GAMMA)
    this.milestones = [...milestones]
    this.gamma = options.gamma ?? 0.1
    this.start()
  }
  protected rate(group: ParamGroup<HasRate>): number {
    return group.lr * this.gamma ** this.milestones.filter((m) => m === this.lastEpoch).length
  }
}

/**
 * Multiplies the rate by gamma every epoch.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ExponentialLR.html
 */
export class ExponentialLR extends LRScheduler {
  readonly gamma: number
  constructor(optimizer: Optimizer<HasRate>, gamma: number, options: SchedulerOptions = {}) {
    checkKind('ExponentialLR', 'gamma', gamma, 'number')
    super(optimizer, options, SCHEDULER)
    this.gamma = gamma
    this.start()
  }
  protected rate(group: ParamGroup<HasRate>): number {
    return this.lastEpoch === 0 ? group.lr : group.lr * this.gamma
  }
}

/** Options of `LinearLR`. */
export interface LinearOptions extends SchedulerOptions {
  /** Default 1/3. */
  readonly startFactor?: number
  /** Default 1. */
  readonly endFactor?: number
  /** How many epochs it takes. Default 5. */
  readonly totalIters?: number
}
const LINEAR: Known<LinearOptions> = { lastEpoch: 'integer', startFactor: 'number', endFactor: 'number', totalIters: 'integer' }
const COSINE: Known<SchedulerOptions & { readonly etaMin?: number }> = { lastEpoch: 'integer', etaMin: 'number' }
const CONSTANT: Known<SchedulerOptions & { readonly factor?: number; readonly totalIters?: number }> = {
  lastEpoch: 'integer',
  factor: 'number',
  totalIters: 'integer',
}
const POLYNOMIAL: Known<SchedulerOptions & { readonly totalIters?: number; readonly power?: number }> = {
  lastEpoch: 'integer',
  totalIters: 'integer',
  power: 'number',
}

/**
 * From a factor of the rate to another in equal steps.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LinearLR.html
 */
export class LinearLR extends LRScheduler {
  readonly startFactor: number
  readonly endFactor: number
  readonly totalIters: number
  constructor(optimizer: Optimizer<HasRate>, options: LinearOptions = {}) {
    super(optimizer, options, LINEAR)
    this.startFactor = options.startFactor ?? 1 / 3
    this.endFactor = options.endFactor ?? 1
    this.totalIters = options.totalIters ?? 5
    if (!(this.startFactor > 0 && this.startFactor <= 1))
      throw new ArgumentError('Starting multiplicative factor expected to be greater than 0 and less or equal to 1. (LinearLR)')
    if (!(this.endFactor >= 0 && this.endFactor <= 1))
      throw new ArgumentError('Ending multiplicative factor expected to be between 0 and 1. (LinearLR)')
    checkSizes('LinearLR', { totalIters: this.totalIters }, 1)
    this.start()
  }
  /** The factor of the starting rate at an epoch. */
  private factor(epoch: number): number {
    return this.startFactor + ((this.endFactor - this.startFactor) * Math.min(epoch, this.totalIters)) / this.totalIters
  }
  protected rate(group: ParamGroup<HasRate>): number {
    if (this.lastEpoch === 0) return group.lr * this.startFactor
    if (this.resuming || this.lastEpoch > this.totalIters) return group.lr
    return group.lr * (this.factor(this.lastEpoch) / this.factor(this.lastEpoch - 1))
  }
}

/**
 * Half a cosine from the rate down to `etaMin` in `tMax` epochs, and up again:
 * etaMin + (base − etaMin)·(1 + cos(π·epoch/tMax))/2.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html
 */
export class CosineAnnealingLR extends LRScheduler {
  readonly tMax: number
  readonly etaMin: number
  constructor(optimizer: Optimizer<HasRate>, tMax: number, options: SchedulerOptions & { readonly etaMin?: number } = {}) {
    checkKind('CosineAnnealingLR', 'tMax', tMax, 'number')
    super(optimizer, options, COSINE)
    this.tMax = tMax
    this.etaMin = options.etaMin ?? 0
    this.start()
  }
  /** 1 + cos at an epoch. */
  private height(epoch: number): number {
    return 1 + Math.cos((Math.PI * epoch) / this.tMax)
  }
  protected rate(group: ParamGroup<HasRate>, base: number): number {
    const { etaMin, lastEpoch, tMax } = this
    if (lastEpoch === 0) return group.lr
    if (this.resuming) return etaMin + ((base - etaMin) * this.height(lastEpoch)) / 2
    // From the last rate, so that changes made by hand last. At the bottom that is 0/0: the first step up is taken from the base.
    if ((lastEpoch - 1 - tMax) % (2 * tMax) === 0) return group.lr + ((base - etaMin) * (1 - Math.cos(Math.PI / tMax))) / 2
    return (this.height(lastEpoch) / this.height(lastEpoch - 1)) * (group.lr - etaMin) + etaMin
  }
}

/**
 * The starting rate times a function of the epoch (one for all groups, or one for each).
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LambdaLR.html
 */
export class LambdaLR extends LRScheduler {
  private readonly factors: readonly Factor[]
  constructor(optimizer: Optimizer<HasRate>, factor: Factor | readonly Factor[], options: SchedulerOptions = {}) {
    super(optimizer, options, SCHEDULER)
    this.factors = factorsOf('LambdaLR', optimizer, factor)
    this.start()
  }
  protected rate(_group: ParamGroup<HasRate>, base: number, index: number): number {
    return base * this.factors[index]!(this.lastEpoch)
  }
}

/** One factor function for each group. */
function factorsOf(op: string, optimizer: Optimizer<HasRate>, factor: Factor | readonly Factor[]): readonly Factor[] {
  if (typeof factor !== 'function') for (const f of expectIterable(op, factor, 'functions')) checkFunction(op, f)
  const groups = optimizer.paramGroups.length
  const factors = typeof factor === 'function' ? new Array<Factor>(groups).fill(factor) : [...factor]
  if (factors.length !== groups) throw new ArgumentError(`Expected ${groups} lr_lambdas, but got ${factors.length} (${op})`)
  return factors
}

/**
 * Multiplies the rate, each epoch, by a function of the epoch (one for all groups, or one for each).
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.MultiplicativeLR.html
 */
export class MultiplicativeLR extends LRScheduler {
  private readonly factors: readonly Factor[]
  constructor(optimizer: Optimizer<HasRate>, factor: Factor | readonly Factor[], options: SchedulerOptions = {}) {
    super(optimizer, options, SCHEDULER)
    this.factors = factorsOf('MultiplicativeLR', optimizer, factor)
    this.start()
  }
  protected rate(group: ParamGroup<HasRate>, _base: number, index: number): number {
    return this.initial ? group.lr : group.lr * this.factors[index]!(this.lastEpoch)
  }
  protected override get relative(): boolean {
    return true
  }
}

/**
 * A factor of the rate until epoch `totalIters`, the rate itself from then on.
 * Errors: ArgumentError for a factor outside [0, 1].
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ConstantLR.html
 */
export class ConstantLR extends LRScheduler {
  readonly factor: number
  readonly totalIters: number
  constructor(optimizer: Optimizer<HasRate>, options: SchedulerOptions & { readonly factor?: number; readonly totalIters?: number } = {}) {
    super(optimizer, options, CONSTANT)
    this.factor = options.factor ?? 1 / 3
    this.totalIters = options.totalIters ?? 5
    if (!(this.factor >= 0 && this.factor <= 1))
      throw new ArgumentError('Constant multiplicative factor expected to be between 0 and 1. (ConstantLR)')
    this.start()
  }
  protected rate(group: ParamGroup<HasRate>): number {
    if (this.lastEpoch === 0) return group.lr * this.factor
    return this.lastEpoch === this.totalIters ? group.lr / this.factor : group.lr
  }
}

/**
 * Down to 0 in `totalIters` epochs: base·(1 − epoch/totalIters)^power.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.PolynomialLR.html
 */
export class PolynomialLR extends LRScheduler {
  readonly totalIters: number
  readonly power: number
  constructor(optimizer: Optimizer<HasRate>, options: SchedulerOptions & { readonly totalIters?: number; readonly power?: number } = {}) {
    super(optimizer, options, POLYNOMIAL)
    this.totalIters = options.totalIters ?? 5
    this.power = options.power ?? 1
    this.start()
  }
  protected rate(group: ParamGroup<HasRate>): number {
    const { lastEpoch, totalIters, power } = this
    if (this.initial || lastEpoch === 0 || lastEpoch > totalIters) return group.lr
    return group.lr * ((1 - lastEpoch / totalIters) / (1 - (lastEpoch - 1) / totalIters)) ** power
  }
}

/** Options of `ReduceLROnPlateau`. */
export interface PlateauOptions {
  /** Is a smaller metric better ('min', the default) or a larger one? */
  readonly mode?: 'min' | 'max'
  /** What the rate is multiplied by. Default 0.1. */
  readonly factor?: number
  /** How many epochs without improvement are borne. Default 10. */
  readonly patience?: number
  /** How much better counts. Default 1e-4. */
  readonly threshold?: number
  /** Is the threshold a share of the best metric ('rel', the default) or a difference? */
  readonly thresholdMode?: 'rel' | 'abs'
  /** Epochs to wait after a reduction. Default 0. */
  readonly cooldown?: number
  /** Rates don't fall below; one for all groups, or one for each. Default 0. */
  readonly minLr?: number | readonly number[]
  /** Smaller changes of the rate are left out. Default 1e-8. */
  readonly eps?: number
}

/** What `ReduceLROnPlateau` needs to go on. */
export interface PlateauState {
  readonly best: number
  readonly numBadEpochs: number
  readonly cooldownCounter: number
}

const PLATEAU: Known<PlateauOptions> = {
  mode: 'any',
  factor: 'number',
  patience: 'number',
  threshold: 'number',
  thresholdMode: 'any',
  cooldown: 'number',
  minLr: 'any',
  eps: 'number',
}

/**
 * Multiplies the rate by a factor when a metric has stopped improving: `scheduler.step(validationLoss)`.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html
 */
export class ReduceLROnPlateau {
  readonly optimizer: Optimizer<HasRate>
  private readonly options: Required<PlateauOptions>
  private best: number
  private bad = 0
  private cooling = 0

  constructor(optimizer: Optimizer<HasRate>, options: PlateauOptions = {}) {
    const op = 'ReduceLROnPlateau'
    expectOptimizer(op, optimizer)
    checkOptions(op, options, PLATEAU)
    this.optimizer = optimizer
    this.options = {
      mode: 'min',
      factor: 0.1,
      patience: 10,
      threshold: 1e-4,
      thresholdMode: 'rel',
      cooldown: 0,
      minLr: 0,
      eps: 1e-8,
      ...options,
    }
    const { factor, mode, thresholdMode, minLr } = this.options
    if (!(factor < 1)) throw new ArgumentError(`Factor should be < 1.0. (${op})`, { op })
    if (mode !== 'min' && mode !== 'max') throw new ArgumentError(`mode ${String(mode)} is unknown! (${op})`, { op })
    if (thresholdMode !== 'rel' && thresholdMode !== 'abs')
      throw new ArgumentError(`threshold mode ${String(thresholdMode)} is unknown! (${op})`, { op })
    const groups = optimizer.paramGroups.length
    if (typeof minLr !== 'number' && (!Array.isArray(minLr) || minLr.length !== groups || !minLr.every((r) => typeof r === 'number')))
      throw new ArgumentError(`expected ${groups} min_lrs, got ${Array.isArray(minLr) ? minLr.length : describe(minLr)} (${op})`, { op })
    this.best = this.options.mode === 'min' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
  }

  private better(metric: number): boolean {
    const { mode, threshold, thresholdMode } = this.options
    const sign = mode === 'min' ? -1 : 1
    const limit = thresholdMode === 'rel' ? this.best * (1 + sign * threshold) : this.best + sign * threshold
    return mode === 'min' ? metric < limit : metric > limit
  }

  /** Takes note of an epoch's metric, a number or a tensor of one element. */
  step(value: number | Tensor): void {
    const metric = typeof value === 'number' ? value : value.item()
    const { patience, cooldown, factor, minLr, eps } = this.options
    if (this.better(metric)) {
      this.best = metric
      this.bad = 0
    } else this.bad++
    if (this.cooling > 0) {
      this.cooling--
      this.bad = 0
    }
    if (this.bad <= patience) return
    this.optimizer.paramGroups.forEach((group, i) => {
      const next = Math.max(group.lr * factor, typeof minLr === 'number' ? minLr : (minLr[i] ?? 0))
      if (group.lr - next > eps) group.lr = next
    })
    this.cooling = cooldown
    this.bad = 0
  }

  /** The rates of the groups now. */
  getLastLr(): number[] {
    return this.optimizer.paramGroups.map((group) => group.lr)
  }
  /** What is needed to go on later. */
  stateDict(): PlateauState {
    return { best: this.best, numBadEpochs: this.bad, cooldownCounter: this.cooling }
  }

  /** Goes on from a saved state. The rates of the groups are the optimizer's to restore. */
  loadStateDict(state: PlateauState): void {
    this.best = state.best
    this.bad = state.numBadEpochs
    this.cooling = state.cooldownCounter
  }
}
