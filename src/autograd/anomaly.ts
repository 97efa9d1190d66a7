/** Anomaly detection: while it is on, nodes and changes remember the lines that caused them, and gradients may not be NaN. */
import { GraphError, show } from '../errors.ts'
import { readAll, type TensorCore } from '../tensor.ts'
import { warn } from '../warnings.ts'
import { runningTask } from './engine.ts'
import { type AnomalyWatch, guard, type ModeGuard, modeOf, modes } from './modes.ts'
import type { Node } from './node.ts'
import type { VersionCounter } from './version.ts'

// Note [Where the user's line is]
// A trace is an error object that nobody throws: engines format it when its text is first read. Frames of this library
// and of the runtime are left out, so that the first line is the user's own. Nodes show it in their metadata, under torch's
// names: `traceback_`, and `parent_` for the node that was running, if it was made inside a backward pass.

/** Frames kept per trace: a recursive model is deep. */
const FRAMES = 60

function trace(): Error {
  const limited = Error as { stackTraceLimit?: number }
  const before = limited.stackTraceLimit
  limited.stackTraceLimit = FRAMES
  const found = new Error('trace')
  if (before !== undefined) limited.stackTraceLimit = before
  return found
}

/** What all files of this library have in their frames: its folder, or the one file if it was bundled into something else. */
function ownFiles(): string {
  const here = import.meta.url.replace(/^file:\/\//, '')
  const source = here.indexOf('/src/autograd/anomaly.ts')
  if (source >= 0) return here.slice(0, source + '/src/'.length)
  return here.includes('/node_modules/') ? here.slice(0, here.lastIndexOf('/') + 1) : here
}

/** The user's frames of a trace, innermost first. */
function lines(of: Error): string[] {
  const own = ownFiles()
  return (of.stack ?? '')
    .split('\n')
    .filter((line) => /^\s*at |@/.test(line))
    .filter((line) => !line.includes(own) && !line.includes('node:internal') && !line.includes('/node_modules/'))
    .map((line) => line.trim())
}

/** The innermost of them, for a sentence. */
function line(of: Error): string {
  return lines(of)[0]?.replace(/^at /, '') ?? 'an unknown line'
}

/** What is known of a node. */
interface Origin {
  readonly made: Error
  /** The node that was running, if it was made inside a backward pass. */
  readonly parent: Node | null
  freed: Error | null
}

/** The error that is on its way comes first: a handler that throws doesn't replace it. */
function tell(message: string): void {
  try {
    warn(message)
  } catch {
    console.error(message)
  }
}

class Watch implements AnomalyWatch {
  readonly checkNan: boolean

  constructor(checkNan: boolean) {
    this.checkNan = checkNan
  }

  made(node: Node): void {
    const made = trace()
    const parent = runningTask()?.node ?? null
    origins().set(node, { made, parent, freed: null })
    Object.defineProperty(node.metadata, 'traceback_', { get: () => lines(made), enumerable: true, configurable: true })
    if (parent !== null) node.metadata['parent_'] = parent
  }

  freed(node: Node): void {
    const origin = origins().get(node)
    if (origin !== undefined) origin.freed ??= trace()
  }

  changed(counter: VersionCounter): void {
    changes().set(counter, trace())
  }

  failed(failing: Node): void {
    const seen = new Set<Node>()
    for (let node: Node | null = failing; node !== null && !seen.has(node); ) {
      seen.add(node)
      const origin = origins().get(node)
      const first = node === failing
      const what = first ? `Error detected in ${node.name()}.` : `\n\nPrevious calculation was induced by ${node.name()}.`
      if (origin === undefined) {
        tell(
          `${what} No forward pass information available.${first ? ' Enable detect anomaly during forward pass for more information.' : ''}`,
        )
        return
      }
      const did = first ? 'caused the error' : 'induced the previous calculation'
      tell(`${what} Traceback of forward call that ${did}:\n${lines(origin.made).join('\n')}`)
      node = origin.parent
    }
  }

  check(node: Node, gradients: readonly (TensorCore | null)[]): void {
    if (!this.checkNan) return
    for (let i = 0; i < node.edges.length; i++) {
      let g = gradients[i] ?? null
      if (g === null || node.edges[i] === null) continue
      while (g.wrap !== null) g = g.wrap.value
      if (!readAll(g).some(Number.isNaN)) continue
      const origin = origins().get(node)
      const where = origin === undefined ? '' : ` It was recorded at ${line(origin.made)}.`
      throw new GraphError(
        `Function '${node.name()}' returned nan values in its ${i}th output.${where} That is the gradient of input ${i} of ${node.operation ?? 'the operation'} (shape ${show(g.layout.shape)}); NaN comes of 0 · ∞, ∞ - ∞ and 0 / 0, or was there before.`,
        {
          op: node.operation ?? node.name(),
          shapes: [g.layout.shape],
        },
      )
    }
  }

  conflict(reader: object, counter: VersionCounter): string {
    const saved = origins().get(reader as Node)
    const changed = changes().get(counter)
    return (
      ' Hint: the backtrace further above shows the operation that failed to compute its gradient. The variable in question was changed in there or anywhere later.' +
      (saved === undefined ? '' : ` It was saved at ${line(saved.made)}.`) +
      (changed === undefined ? '' : ` It was changed at ${line(changed)}.`)
    )
  }

  whereFreed(node: Node): string {
    const origin = origins().get(node)
    if (origin === undefined) return ''
    return ` It was recorded at ${line(origin.made)}${origin.freed === null ? '' : ` and freed at ${line(origin.freed)}`}.`
  }
}

const memory: { origins: WeakMap<Node, Origin> | null; changes: WeakMap<VersionCounter, Error> | null } = { origins: null, changes: null }
const origins = (): WeakMap<Node, Origin> => (memory.origins ??= new WeakMap())
const changes = (): WeakMap<VersionCounter, Error> => (memory.changes ??= new WeakMap())

/** Options of anomaly detection. */
export interface AnomalyOptions {
  /** Refuse gradients with NaN in them. Default true. */
  readonly checkNan?: boolean
}

/** Puts a watch in force, or none; the result puts back what was. */
function enter(to: AnomalyWatch | null): () => void {
  const before = modes.anomaly
  modes.anomaly = to
  return () => {
    modes.anomaly = before
  }
}

const watch = (on: boolean, { checkNan = true }: AnomalyOptions): AnomalyWatch | null => (on ? new Watch(checkNan) : null)

/**
 * Runs `fn` with anomaly detection: errors of backward passes warn with the lines of the forward call, NaN gradients are refused
 * where they arise, conflicts and freed graphs name the lines involved. For debugging: it slows everything down.
 * Errors: GraphError for a NaN gradient; those of `fn`.
 * @example
 * const x = tensor(-1, { requiresGrad: true })
 * let said = ''
 * try {
 *   autograd.detectAnomaly(() => x.sqrt().backward())
 * } catch (e) {
 *   said = (e as Error).message
 * }
 * said.includes('SqrtBackward0') // true
 * @see https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.detect_anomaly
 */
export function detectAnomaly<R>(fn: () => R, options: AnomalyOptions = {}): R {
  warn('Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for debugging.')
  return modeOf('detectAnomaly', () => enter(watch(true, options)))(fn)
}

/**
 * Switches anomaly detection on or off until changed again; the result puts back what was in force.
 * @example
 * const guard = autograd.setDetectAnomaly(true)
 * isAnomalyEnabled() // true
 * guard.restore()
 * @see https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.set_detect_anomaly
 */
export function setDetectAnomaly(on: boolean, options: AnomalyOptions = {}): ModeGuard {
  return guard(enter(watch(on, options)), 'setDetectAnomaly', false)
}

/**
 * Is anomaly detection on?
 * @example
 * isAnomalyEnabled() // false
 */
export function isAnomalyEnabled(): boolean {
  return modes.anomaly !== null
}

/**
 * Is it on and does it refuse NaN? (True also when it is off, as that is what switching it on would do.)
 * @example
 * autograd.detectAnomaly(() => isAnomalyCheckNanEnabled(), { checkNan: false }) // false
 */
export function isAnomalyCheckNanEnabled(): boolean {
  return modes.anomaly?.checkNan ?? true
}
