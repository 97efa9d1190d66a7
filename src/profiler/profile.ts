/** The profiler: what a program's operations and backward nodes take in time and memory, and which belong together. */
import { guard, type Leave, type ModeGuard, modeOf, modes, type ProfileWatch, type Selection } from '../autograd/modes.ts'
import { type Node, nextSequence } from '../autograd/node.ts'
import { watchingInside } from '../autograd/operations.ts'
import { ArgumentError, ModeError } from '../errors.ts'
import { isTensor, type TensorCore } from '../tensor.ts'

/** What an event is: an operation that computed something, a node that a backward pass ran, a range that the program named. */
export type EventKind = 'op' | 'node' | 'user'

/** Something that took time. Times are in microseconds. */
export interface ProfileEvent {
  readonly name: string
  readonly kind: EventKind
  /** Links an operation with the node it recorded: both have the node's number. −1 for others. */
  readonly sequenceNr: number
  /** Since the profile began. */
  readonly start: number
  /** With everything inside. */
  readonly cpuTimeTotal: number
  /** Without the events inside. */
  readonly selfCpuTimeTotal: number
  /** What its results (of a node: the gradients it made) take, views not counted. */
  readonly bytes: number
  /** Shapes of the tensors it was given; empty unless `recordShapes` is on. */
  readonly inputShapes: readonly (readonly number[])[]
  /** The event it happened in. */
  readonly parent: ProfileEvent | null
}

/** All events of one name together. Times are in microseconds. */
export interface EventAverage {
  readonly name: string
  readonly kind: EventKind
  readonly count: number
  readonly cpuTimeTotal: number
  readonly selfCpuTimeTotal: number
  /** `cpuTimeTotal` by `count`. */
  readonly cpuTime: number
  readonly bytes: number
  readonly inputShapes: readonly (readonly number[])[]
}

/** Options of `profile`. */
export interface ProfileOptions {
  /** Keep the shapes of inputs. Default false. */
  readonly recordShapes?: boolean
}

/** Options of `keyAverages`. */
export interface AverageOptions {
  /** Only events of this kind. */
  readonly kind?: EventKind
  /** Apart by the shapes of inputs (which needs `recordShapes`). Default false. */
  readonly groupByInputShape?: boolean
}

/** What rows may be sorted by, the greatest first. */
export type SortKey = 'selfCpuTimeTotal' | 'cpuTimeTotal' | 'cpuTime' | 'count' | 'bytes'

/** Options of `table`. */
export interface TableOptions extends AverageOptions {
  /** Default: the order of first appearance. */
  readonly sortBy?: SortKey
  /** At most so many rows. Default 100. */
  readonly rowLimit?: number
}

type Open = { -readonly [K in keyof ProfileEvent]: K extends 'parent' ? Open | null : ProfileEvent[K] }

const SORT_KEYS: readonly SortKey[] = ['selfCpuTimeTotal', 'cpuTimeTotal', 'cpuTime', 'count', 'bytes']

/** Collects events while the profile runs. */
class Recorder implements ProfileWatch, Selection {
  readonly events: Open[] = []
  private readonly outer: Selection | null = modes.selection
  readonly watching: Selection | null = watchingInside(this, this.outer)
  private readonly began: number = performance.now()
  private readonly shapes: boolean
  /** Begun and not ended, each after the one it happens in. */
  private readonly open: Open[] = []

  constructor(shapes: boolean) {
    this.shapes = shapes
  }

  /** An operation, where selective checkpoints look too; they keep their say. */
  compute<R extends TensorCore | TensorCore[]>(op: string, args: readonly unknown[], run: () => R): R {
    const { outer } = this
    return this.op(op, args, outer === null ? run : () => outer.compute(op, args, run))
  }

  op<R extends TensorCore | TensorCore[]>(name: string, args: readonly unknown[], run: () => R): R {
    const tensors = args.flat().filter(isTensor)
    const recording = modes.grad && tensors.some((t) => t.rg || t.viewMeta !== null)
    const event = this.enter(name, 'op', recording ? nextSequence() : -1, tensors)
    try {
      const made = run()
      event.bytes = fresh(Array.isArray(made) ? made : [made], tensors)
      return made
    } finally {
      this.leave(event)
    }
  }

  node(node: Node, made: readonly (TensorCore | null)[], run: () => void): void {
    const event = this.enter(node.name(), 'node', Number.isFinite(node.sequenceNr()) ? node.sequenceNr() : -1, [])
    if (this.shapes) event.inputShapes = node.inputMetadata.map(({ shape }) => shape)
    try {
      run()
      event.bytes = fresh(
        made.slice(0, node.edges.length).filter((g) => g !== null),
        [],
      )
    } finally {
      this.leave(event)
    }
  }

  range(name: string): Leave {
    const event = this.enter(name, 'user', -1, [])
    return () => this.leave(event)
  }

  /** Ends what was left open, the innermost first. */
  finish(): void {
    while (this.open.length > 0) this.leave(this.open.at(-1)!)
  }

  private enter(name: string, kind: EventKind, sequenceNr: number, tensors: readonly TensorCore[]): Open {
    const event: Open = {
      name,
      kind,
      sequenceNr,
      start: 0,
      cpuTimeTotal: 0,
      selfCpuTimeTotal: 0,
      bytes: 0,
      inputShapes: this.shapes ? tensors.map((t) => t.layout.shape) : [],
      parent: this.open.at(-1) ?? null,
    }
    this.events.push(event)
    this.open.push(event)
    event.start = this.now()
    return event
  }

  /** Ends an event. Ranges may end in any order: what outlives the event it began in happened in the one around that. */
  private leave(event: Open): void {
    const place = this.open.lastIndexOf(event)
    if (place === -1) return
    const took = this.now() - event.start
    event.cpuTimeTotal = took
    event.selfCpuTimeTotal += took
    this.open.splice(place, 1)
    event.parent = this.open[place - 1] ?? null
    if (event.parent !== null) event.parent.selfCpuTimeTotal -= took
  }

  private now(): number {
    return (performance.now() - this.began) * 1000
  }
}

/** Bytes of tensors with storages of their own. */
function fresh(made: readonly TensorCore[], given: readonly TensorCore[]): number {
  const seen = new Set<unknown>(given.map((t) => t.storage))
  let bytes = 0
  for (const t of made) {
    if (seen.has(t.storage)) continue
    seen.add(t.storage)
    bytes += t.layout.numel * t.dt.bytes
  }
  return bytes
}

/**
 * An operation takes the number that the next node gets, whether or not it makes one. The last that took it before the node
 * was made is the one; the others have none.
 */
function settleSequence(events: readonly Open[]): void {
  const taken = new Set<number>()
  for (let i = events.length - 1; i >= 0; i--) {
    const event = events[i]!
    if (event.kind !== 'op' || event.sequenceNr < 0) continue
    if (taken.has(event.sequenceNr)) event.sequenceNr = -1
    else taken.add(event.sequenceNr)
  }
}

/** What a profile found. */
export class Profile<R = unknown> {
  /** What the profiled function returned. */
  readonly result: R
  private readonly list: readonly ProfileEvent[]

  constructor(result: R, events: readonly ProfileEvent[]) {
    this.result = result
    this.list = events
  }

  /** Every event, in the order of their starts. */
  events(): readonly ProfileEvent[] {
    return this.list
  }

  /** The operation that recorded the node of this event (or the node, of an operation); null if it isn't in the profile. */
  partner(event: ProfileEvent): ProfileEvent | null {
    if (event.sequenceNr < 0) return null
    return this.list.find((e) => e !== event && e.sequenceNr === event.sequenceNr && e.kind !== event.kind) ?? null
  }

  /** Time in all events, without counting any twice; in microseconds. */
  get selfCpuTimeTotal(): number {
    return this.list.reduce((sum, e) => sum + e.selfCpuTimeTotal, 0)
  }

  /** Events of one name and kind together, in the order of first appearance. */
  keyAverages({ kind, groupByInputShape = false }: AverageOptions = {}): EventAverage[] {
    const groups = new Map<string, ProfileEvent[]>()
    for (const e of this.list) {
      if (kind !== undefined && e.kind !== kind) continue
      const key = `${e.kind} ${e.name}${groupByInputShape ? JSON.stringify(e.inputShapes) : ''}`
      const group = groups.get(key)
      if (group === undefined) groups.set(key, [e])
      else group.push(e)
    }
    return [...groups.values()].map((group) => average(group, groupByInputShape))
  }

  /** All events together. */
  totalAverage(): EventAverage {
    const all = average(this.list, false)
    return { ...all, name: 'Total' }
  }

  /**
   * The averages as text.
   * Errors: ArgumentError for an unknown `sortBy`.
   */
  table({ sortBy, rowLimit = 100, ...which }: TableOptions = {}): string {
    if (sortBy !== undefined && !SORT_KEYS.includes(sortBy))
      throw new ArgumentError(`profile: can't sort by '${String(sortBy)}'; expected one of ${SORT_KEYS.join(', ')}`)
    const rows = this.keyAverages(which)
    if (sortBy !== undefined) rows.sort((a, b) => b[sortBy] - a[sortBy])
    const self = rows.reduce((sum, r) => sum + r.selfCpuTimeTotal, 0)
    const share = (t: number): string => `${(self === 0 ? 0 : (100 * t) / self).toFixed(2)}%`
    const header = ['Name', 'Self CPU %', 'Self CPU', 'CPU total %', 'CPU total', 'CPU time avg', '# of Calls', 'Bytes']
    if (which.groupByInputShape) header.push('Input Shapes')
    const cells = rows.slice(0, rowLimit).map((r) => {
      const [own, total, mean] = [r.selfCpuTimeTotal, r.cpuTimeTotal, r.cpuTime].map(formatTime)
      const row = [r.name, share(r.selfCpuTimeTotal), own!, share(r.cpuTimeTotal), total!, mean!, String(r.count), String(r.bytes)]
      return which.groupByInputShape ? [...row, JSON.stringify(r.inputShapes)] : row
    })
    const widths = header.map((h, c) => Math.max(h.length, ...cells.map((row) => row[c]!.length)))
    const line = widths.map((w) => '-'.repeat(w)).join('  ')
    const show = (row: readonly string[]): string => row.map((x, c) => (c === 0 ? x.padEnd(widths[c]!) : x.padStart(widths[c]!))).join('  ')
    return [line, show(header), line, ...cells.map(show), line, `Self CPU time total: ${formatTime(self)}`].join('\n')
  }

  /** A trace as text, for chrome://tracing and Perfetto: one slice per event, an arrow from each operation to its node. */
  exportChromeTrace(): string {
    const slices = this.list.map((e) => ({
      ph: 'X',
      cat: e.kind,
      name: e.name,
      pid: 0,
      tid: 0,
      ts: e.start,
      dur: e.cpuTimeTotal,
      args: { 'Sequence number': e.sequenceNr, Bytes: e.bytes, 'Input Dims': e.inputShapes },
    }))
    const arrow = { cat: 'fwdbwd', name: 'fwdbwd', pid: 0, tid: 0 }
    const makers = new Map(this.list.filter((e) => e.kind === 'op' && e.sequenceNr >= 0).map((e) => [e.sequenceNr, e]))
    const arrows = this.list
      .filter((e) => e.kind === 'node' && makers.has(e.sequenceNr))
      .flatMap((e) => [
        { ...arrow, ph: 's', id: e.sequenceNr, ts: makers.get(e.sequenceNr)!.start },
        { ...arrow, ph: 'f', bp: 'e', id: e.sequenceNr, ts: e.start },
      ])
    return JSON.stringify({ displayTimeUnit: 'ms', traceEvents: [...slices, ...arrows] })
  }
}

function average(group: readonly ProfileEvent[], withShapes: boolean): EventAverage {
  const sum = (key: 'cpuTimeTotal' | 'selfCpuTimeTotal' | 'bytes'): number => group.reduce((total, e) => total + e[key], 0)
  const cpuTimeTotal = sum('cpuTimeTotal')
  return {
    name: group[0]?.name ?? '',
    kind: group[0]?.kind ?? 'user',
    count: group.length,
    cpuTimeTotal,
    selfCpuTimeTotal: sum('selfCpuTimeTotal'),
    cpuTime: group.length === 0 ? 0 : cpuTimeTotal / group.length,
    bytes: sum('bytes'),
    inputShapes: withShapes ? (group[0]?.inputShapes ?? []) : [],
  }
}

/** `12.345us`, `12.345ms`, `12.345s`. */
function formatTime(us: number): string {
  if (us >= 1e6) return `${(us / 1e6).toFixed(3)}s`
  return us >= 1e3 ? `${(us / 1e3).toFixed(3)}ms` : `${us.toFixed(3)}us`
}

/**
 * Runs `fn` and notes each operation that computes and each node that a backward pass runs. What optimizers do in their fused
 * passes counts for the event around it: name such parts with `recordFunction`. Profiled backward passes don't recycle the memory
 * of gradients that rules compute by operations, so they take somewhat longer than others.
 * Errors: ModeError for async functions and inside another profile; those of `fn`.
 * @example
 * const report = profile(() => ones([2], { requiresGrad: true }).tanh().sum().backward())
 * report.keyAverages({ kind: 'node' }).map((row) => row.name) // ['SumBackward0', 'TanhBackward0', 'torch::autograd::AccumulateGrad']
 * report.table({ sortBy: 'selfCpuTimeTotal' }).includes('TanhBackward0') // true
 * @see https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.profiler.profile
 */
export function profile<R>(fn: () => R, { recordShapes = false }: ProfileOptions = {}): Profile<R> {
  if (modes.profile !== null) throw new ModeError('profile: another profile is running; name parts of it with recordFunction')
  const recorder = new Recorder(recordShapes)
  const enter = (): Leave => {
    const { selection } = modes
    modes.profile = recorder
    modes.selection = recorder
    return () => {
      modes.profile = null
      modes.selection = selection
      recorder.finish()
    }
  }
  const result = modeOf('profile', enter)(fn)
  settleSequence(recorder.events)
  return new Profile(result, recorder.events)
}

type AnyFunction = (...args: never[]) => unknown

/** Names parts of a program for profiles: a block, a function or method that is one at each call, a guard. */
export interface RecordFunction {
  /** Runs `fn` as a range of that name. */
  <R>(name: string, fn: () => R): R
  /** What makes each call of a function a range; as it stands, a standard method decorator. */
  wrap(name: string): <F extends AnyFunction>(fn: F, context?: ClassMethodDecoratorContext) => F
  /** Begins a range that ends with `restore()`, with a `using` block, or with the profile. */
  enter(name: string): ModeGuard
}

const nothing: Leave = () => {}
const begin = (name: string): Leave => (modes.profile === null ? nothing : modes.profile.range(name))
const during = <R>(name: string, fn: () => R): R => {
  const leave = begin(name)
  try {
    return fn()
  } finally {
    leave()
  }
}

/**
 * Names a part of the program in the profile that is running, if one is. Events have the innermost range that was open from
 * their start to their end as their parent; ranges may be opened inside Functions and hooks, and end in any order (those that
 * overlap without one being inside the other both count the time).
 * @example
 * const report = profile(() => {
 *   recordFunction('forward', () => ones([2]).tanh())
 *   const step = recordFunction.wrap('step')((x: Tensor) => x.exp())
 *   step(ones([2]))
 *   const range = recordFunction.enter('load')
 *   range.restore()
 * })
 * report.keyAverages({ kind: 'user' }).map((row) => row.name) // ['forward', 'step', 'load']
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.profiler.record_function.html
 */
export const recordFunction: RecordFunction = /* @__PURE__ */ Object.assign(during, {
  wrap: (name: string) => {
    return <F extends AnyFunction>(fn: F): F => {
      const wrapped = function (this: unknown, ...args: never[]): unknown {
        return during(name, () => fn.apply(this, args))
      }
      Object.defineProperty(wrapped, 'name', { value: fn.name, configurable: true })
      return wrapped as unknown as F
    }
  },
  enter: (name: string): ModeGuard => guard(begin(name), 'recordFunction', false),
})
