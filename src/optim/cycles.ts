/** Schedules that go up and down: cycles, one cycle, cosines with restarts. */
import { ArgumentError } from '../errors.ts'
import type { Optimizer, ParamGroup } from './optimizer.ts'
import { type HasRate, LRScheduler, type SchedulerOptions, type SchedulerState } from './scheduler.ts'

/** One number for all groups, or one for each. */
type PerGroup = number | readonly number[]

function perGroup(name: string, optimizer: Optimizer<HasRate>, value: PerGroup): readonly number[] {
  const groups = optimizer.paramGroups.length
  if (typeof value === 'number') return new Array<number>(groups).fill(value)
  if (value.length !== groups)
    throw new ArgumentError(`${name} must have the same length as optimizer.param_groups: expected ${groups} values, got ${value.length}`)
  return value
}

/** Sets the momentum of a group, or the first of its betas. */
function setMomentum(group: ParamGroup<HasRate> & { momentum?: number; betas?: readonly [number, number] }, value: number): void {
  if (group.betas === undefined) group.momentum = value
  else group.betas = [value, group.betas[1]]
}

function checkMomentum(optimizer: Optimizer<HasRate>): void {
  if (!('momentum' in optimizer.defaults || 'betas' in optimizer.defaults))
    throw new ArgumentError('optimizer must support momentum or beta1 with `cycleMomentum` option enabled')
}

/** The momentum against the rate. */
export interface MomentumOptions extends SchedulerOptions {
  /** Does the momentum (or β₁) fall while the rate rises? Default true. */
  readonly cycleMomentum?: boolean
  /** Where it is at the highest rate. Default 0.8 for `CyclicLR`, 0.85 for `OneCycleLR`. */
  readonly baseMomentum?: PerGroup
  /** Where it is at the lowest. Default 0.9 for `CyclicLR`, 0.95 for `OneCycleLR`. */
  readonly maxMomentum?: PerGroup
}

/**
 * Half a cosine from the rate down to `etaMin` in t0 epochs, then again in t0·tMult, and so on. `step(epoch)` may be called with
 * fractions of epochs.
 * Errors: ArgumentError for t0 or tMult that aren't positive whole numbers, and for negative epochs.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingWarmRestarts.html
 */
export class CosineAnnealingWarmRestarts extends LRScheduler {
  readonly t0: number
  readonly tMult: number
  readonly etaMin: number
  /** The epoch, with its fraction. */
  private at: number
  constructor(
    optimizer: Optimizer<HasRate>,
    t0: number,
    options: SchedulerOptions & { readonly tMult?: number; readonly etaMin?: number } = {},
  ) {
    super(optimizer, options)
    const { tMult = 1, etaMin = 0 } = options
    if (!(Number.isInteger(t0) && t0 > 0)) throw new ArgumentError(`Expected positive integer T_0, but got ${t0}`)
    if (!(Number.isInteger(tMult) && tMult >= 1)) throw new ArgumentError(`Expected integer T_mult >= 1, but got ${tMult}`)
    this.t0 = t0
    this.tMult = tMult
    this.etaMin = etaMin
    this.at = this.lastEpoch + 1
    this.start()
  }
  override step(epoch?: number): void {
    if (epoch === undefined) {
      this.at++
      super.step()
      return
    }
    if (!(epoch >= 0)) throw new ArgumentError(`Expected non-negative epoch, but got ${epoch}`)
    this.at = epoch
    this.lastEpoch = Math.floor(epoch)
    this.apply()
  }
  override restart(first: boolean): void {
    this.at = 0
    super.restart(first)
  }
  protected rate(_group: ParamGroup<HasRate>, base: number): number {
    let [since, length] = [this.at, this.t0]
    while (since >= length) {
      since -= length
      length *= this.tMult
    }
    return this.etaMin + ((base - this.etaMin) * (1 + Math.cos((Math.PI * since) / length))) / 2
  }
  override stateDict(): SchedulerState {
    return { ...super.stateDict(), at: this.at }
  }
  override loadStateDict(state: SchedulerState): void {
    super.loadStateDict(state)
    this.at = state.at ?? state.lastEpoch
  }
}

/** Options of `CyclicLR`. */
export interface CyclicOptions extends MomentumOptions {
  /** Steps from the lowest rate to the highest. Default 2000. */
  readonly stepSizeUp?: number
  /** Steps back. Default: as many. */
  readonly stepSizeDown?: number
  /** Every cycle as high ('triangular', the default), half as high as the last ('triangular2'), or gamma^steps times as high ('expRange'). */
  readonly mode?: 'triangular' | 'triangular2' | 'expRange'
  /** Default 1. */
  readonly gamma?: number
  /** The height by cycle or by step, in place of a mode. */
  readonly scaleFn?: (x: number) => number
  /** What `scaleFn` is given: the number of the cycle, from 1 (the default), or of the step. */
  readonly scaleMode?: 'cycle' | 'iterations'
}

/**
 * Straight up from `baseLr` to `maxLr` and down again, over and over, the momentum the other way. Call `step()` after every batch.
 * Errors: ArgumentError for an optimizer without momentum (unless `cycleMomentum` is false), and for an unknown mode.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CyclicLR.html
 */
export class CyclicLR extends LRScheduler {
  private readonly maxLrs: readonly number[]
  private readonly momenta: { readonly base: readonly number[]; readonly max: readonly number[] } | null
  private readonly up: number
  private readonly total: number
  private readonly scale: (x: number) => number
  private readonly byCycle: boolean

  constructor(optimizer: Optimizer<HasRate>, baseLr: PerGroup, maxLr: PerGroup, options: CyclicOptions = {}) {
    const lowest = perGroup('base_lr', optimizer, baseLr)
    const fresh = (options.lastEpoch ?? -1) === -1
    if (fresh) {
      optimizer.paramGroups.forEach((group, i) => {
        group.lr = lowest[i]!
      })
    }
    super(optimizer, options)
    const { stepSizeUp = 2000, mode = 'triangular', gamma = 1, scaleFn, scaleMode = 'cycle', cycleMomentum = true } = options
    const modes: Readonly<Record<string, (x: number) => number>> = {
      triangular: () => 1,
      triangular2: (cycle) => 0.5 ** (cycle - 1),
      expRange: (step) => gamma ** step,
    }
    const scale = scaleFn ?? (Object.hasOwn(modes, mode) ? modes[mode] : undefined)
    if (scale === undefined) throw new ArgumentError(`mode is invalid and scale_fn is None: ${String(mode)}`)
    this.baseLrs = [...lowest]
    this.maxLrs = perGroup('max_lr', optimizer, maxLr)
    this.up = stepSizeUp
    this.total = stepSizeUp + (options.stepSizeDown ?? stepSizeUp)
    this.scale = scale
    this.byCycle = scaleFn === undefined ? mode !== 'expRange' : scaleMode === 'cycle'
    this.momenta = null
    if (cycleMomentum) {
      checkMomentum(optimizer)
      const { baseMomentum = 0.8, maxMomentum = 0.9 } = options
      this.momenta = { base: perGroup('base_momentum', optimizer, baseMomentum), max: perGroup('max_momentum', optimizer, maxMomentum) }
    }
    this.start()
  }

  protected rate(group: ParamGroup<HasRate>, base: number, index: number): number {
    const { lastEpoch, total, up, momenta } = this
    const cycle = Math.floor(1 + lastEpoch / total)
    const x = 1 + lastEpoch / total - cycle
    const top = up / total
    const height = (x <= top ? x / top : (x - 1) / (top - 1)) * this.scale(this.byCycle ? cycle : lastEpoch)
    if (momenta !== null) {
      const max = momenta.max[index]!
      setMomentum(group, max - (max - momenta.base[index]!) * height)
    }
    return base + (this.maxLrs[index]! - base) * height
  }
}

/** Options of `OneCycleLR`: either `totalSteps`, or `epochs` and `stepsPerEpoch`. */
export interface OneCycleOptions extends MomentumOptions {
  readonly totalSteps?: number
  readonly epochs?: number
  readonly stepsPerEpoch?: number
  /** The share of the steps that rise. Default 0.3. */
  readonly pctStart?: number
  /** By half a cosine ('cos', the default) or straight ('linear'). */
  readonly annealStrategy?: 'cos' | 'linear'
  /** The first rate is maxLr over this. Default 25. */
  readonly divFactor?: number
  /** The last rate is the first over this. Default 10⁴. */
  readonly finalDivFactor?: number
  /** Back to the first rate as fast as up, and only then to the last? Default false. */
  readonly threePhase?: boolean
}

/** A number of each group of which a phase begins or ends. */
type Level = 'first' | 'max' | 'min'
interface Phase {
  readonly end: number
  readonly from: Level
  readonly to: Level
}

/**
 * Once up to `maxLr` and down to nearly nothing, the momentum the other way. Call `step()` after every batch.
 * Errors: ArgumentError for impossible options, for an optimizer without momentum (unless `cycleMomentum` is false), and for more steps than there are.
 * @example
 * const optimizer = new optim.SGD(new nn.Linear(2, 1).parameters(), { lr: 0.1, momentum: 0.9 })
 * const scheduler = new optim.lrScheduler.OneCycleLR(optimizer, 0.1, { epochs: 10, stepsPerEpoch: 20 })
 * scheduler.getLastLr()[0]!.toFixed(3) // 0.004
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html
 */
export class OneCycleLR extends LRScheduler {
  readonly totalSteps: number
  private readonly phases: readonly Phase[]
  private readonly levels: Readonly<Record<Level, readonly number[]>>
  private readonly momenta: Readonly<Record<Level, readonly number[]>> | null
  private readonly linear: boolean

  constructor(optimizer: Optimizer<HasRate>, maxLr: PerGroup, options: OneCycleOptions = {}) {
    const { epochs, stepsPerEpoch, pctStart = 0.3, annealStrategy = 'cos', divFactor = 25, finalDivFactor = 1e4 } = options
    for (const [name, value] of Object.entries({ totalSteps: options.totalSteps, epochs, stepsPerEpoch }))
      if (value !== undefined && !(Number.isInteger(value) && value > 0))
        throw new ArgumentError(`Expected positive integer ${name}, but got ${value}`)
    if (!(pctStart >= 0 && pctStart <= 1)) throw new ArgumentError(`Expected float between 0 and 1 pct_start, but got ${pctStart}`)
    if (annealStrategy !== 'cos' && annealStrategy !== 'linear')
      throw new ArgumentError(`anneal_strategy must be one of 'cos' or 'linear', instead got ${String(annealStrategy)}`)
    const total = options.totalSteps ?? (epochs === undefined || stepsPerEpoch === undefined ? undefined : epochs * stepsPerEpoch)
    if (total === undefined) throw new ArgumentError('You must define either total_steps OR (epochs AND steps_per_epoch)')
    const max = perGroup('max_lr', optimizer, maxLr)
    if ((options.lastEpoch ?? -1) === -1) {
      optimizer.paramGroups.forEach((group, i) => {
        group.initialLr = max[i]! / divFactor
      })
    }
    super(optimizer, options)
    this.totalSteps = total
    this.levels = { first: this.baseLrs, max, min: this.baseLrs.map((lr) => lr / finalDivFactor) }
    this.linear = annealStrategy === 'linear'
    const top: Phase = { end: pctStart * total - 1, from: 'first', to: 'max' }
    this.phases = options.threePhase
      ? [top, { end: 2 * pctStart * total - 2, from: 'max', to: 'first' }, { end: total - 1, from: 'first', to: 'min' }]
      : [top, { end: total - 1, from: 'max', to: 'min' }]
    this.momenta = null
    if (options.cycleMomentum ?? true) {
      checkMomentum(optimizer)
      const high = perGroup('max_momentum', optimizer, options.maxMomentum ?? 0.95)
      this.momenta = { first: high, max: perGroup('base_momentum', optimizer, options.baseMomentum ?? 0.85), min: high }
    }
    this.start()
  }

  protected rate(group: ParamGroup<HasRate>, _base: number, index: number): number {
    const { lastEpoch, totalSteps, phases, levels, momenta } = this
    if (lastEpoch > totalSteps)
      throw new ArgumentError(`Tried to step ${lastEpoch} times. The specified number of total steps is ${totalSteps}`)
    const reached = phases.findIndex((p) => lastEpoch <= p.end)
    const k = reached === -1 ? phases.length - 1 : reached
    const { end, from, to } = phases[k]!
    const begin = k === 0 ? 0 : phases[k - 1]!.end
    const share = (lastEpoch - begin) / (end - begin)
    const between = (a: number, b: number): number =>
      this.linear ? a + (b - a) * share : b + ((a - b) / 2) * (Math.cos(Math.PI * share) + 1)
    if (momenta !== null) setMomentum(group, between(momenta[from][index]!, momenta[to][index]!))
    return between(levels[from][index]!, levels[to][index]!)
  }
}
