/** docs/ops.md: what can be done with every operation, found by calling it and by looking at the records that ran. */
import { dtypes } from '../../src/dtype.ts'
import * as torch from '../../src/index.ts'
import { ElementwiseOp } from '../../src/op/elementwise.ts'
import { GeneralOp, type GeneralRecord } from '../../src/op/general.ts'
import { docOf } from './docs.ts'
import { secondDerivatives } from './laws.ts'
import { isMethod, methodOf, operations, type Sample, samples, type Tensor } from './samples.ts'

type Operation = ElementwiseOp | GeneralOp<unknown>

/** Notes the records that run inside, without those that run inside of these. */
function ran(run: () => void): Set<Operation> {
  const found = new Set<Operation>()
  let depth = 0
  const undo: (() => void)[] = []
  const watch = (prototype: object, names: readonly string[]): void => {
    for (const name of names) {
      const own = Object.getOwnPropertyDescriptor(prototype, name)!
      const call = own.value as (...args: unknown[]) => unknown
      undo.push(() => Object.defineProperty(prototype, name, own))
      const noting = function (this: Operation, ...args: unknown[]): unknown {
        if (depth === 0) found.add(this)
        depth++
        try {
          return call.apply(this, args)
        } finally {
          depth--
        }
      }
      Object.defineProperty(prototype, name, { ...own, value: noting })
    }
  }
  watch(ElementwiseOp.prototype, ['call1', 'call2', 'call3', 'inPlace'])
  watch(GeneralOp.prototype, ['call'])
  try {
    run()
  } finally {
    for (const f of undo) f()
  }
  return found
}

/** The results of a call, or null where it is refused. */
function attempt(s: Sample, x: readonly Tensor[]): Tensor[] | null {
  try {
    return s.call(x)
  } catch {
    return null
  }
}

type Jvp = GeneralRecord<unknown>['jvp']

const forwardOf = (jvp: Jvp): string => (jvp === undefined ? 'twice reverse' : typeof jvp === 'string' ? jvp : 'rule')

/** What differs among several records, once each. */
const each = (of: readonly string[]): string => [...new Set(of)].sort().join(', ')

interface Row {
  readonly op: string
  readonly file: string
  readonly cells: readonly string[]
}

/** torch's name: that of the recorded call, or of the page the doc comment points to. */
function torchName(op: string, doc: string): string {
  for (const s of samples.get(op)!) {
    const recorded = /^(?:torch|F|Tensor)\.[\w.]+/.exec(s.label)
    if (recorded !== null) return recorded[0]
  }
  const page = /generated\/(torch\.[\w.]+)\.html/.exec(doc)?.[1]
  return page?.replace('torch.nn.functional', 'F').replace('torch.Tensor', 'Tensor') ?? ''
}

/** The types in which the floating tensors of the calls (of those that have none: the first and its like) may come. */
function typesOf(calls: readonly Sample[]): string {
  const names = Object.keys(dtypes) as (keyof typeof dtypes)[]
  const able = names.filter((name) =>
    calls.some((s) => {
      const x = s.tensors()
      const given = x.some((t) => t.dtype === 'float64') ? 'float64' : x[0]?.dtype
      return (
        attempt(
          s,
          x.map((t) => (t.dtype === given ? t.to(name) : t)),
        ) !== null
      )
    }),
  )
  if (able.length === names.length) return 'all'
  if (able.join() === 'float32,float64') return 'float'
  return able.join(', ')
}

/** Does a gradient flow, whichever floating inputs it is asked for? */
function flows(s: Sample): boolean {
  const x = s.tensors().map((t) => (t.dtype === 'float64' ? t.requiresGrad_() : t))
  return attempt(s, x)?.some((y) => y.requiresGrad) ?? false
}

/** Conversions of operands, and copies that in-place forms overwrite, don't make a composition. */
const CONVERSIONS: ReadonlySet<string> = new Set(['clone', 'to'])

const viewing = (r: Operation): boolean => r instanceof GeneralOp && r.record.view !== undefined

function kindOf(calls: readonly (readonly Operation[])[]): string {
  if (calls.some((records) => records.length > 1)) return 'composite'
  const records = calls.flat()
  if (records.length === 0) return 'direct'
  if (records.every((r) => r instanceof ElementwiseOp)) return 'elementwise'
  return records.every(viewing) ? 'view' : 'general'
}

function rowOf(op: string): Row {
  const { file, doc } = docOf(op)!
  const all = samples.get(op)!
  // Calls of our own may compute more than the operation.
  const recorded = all.filter((s) => !s.label.startsWith(`${op} `))
  const calls = recorded.length > 0 ? recorded : all
  const runs = calls.map((s) => {
    const x = s.tensors()
    const run = s.alone ?? s.call
    return [...ran(() => run(x))].filter((r) => r.name === op || !CONVERSIONS.has(r.name))
  })
  const records = runs.flat()
  const smooth = calls.some(flows)
  const second = calls.some((s) => secondDerivatives.applies(s))
  const forward = records.map((r) => (r instanceof GeneralOp ? forwardOf(r.record.jvp) : 'rule'))
  const batch = records.map((r) => (r instanceof GeneralOp && r.record.batch === undefined ? 'loop' : 'rule'))
  const overwrites = op.endsWith('_') || calls.some((s) => s.writes)
  const inPlace = overwrites ? '' : methodOf(torch.Tensor.prototype, `${op}_`) === undefined ? '' : `\`${op}_\``
  return {
    op,
    file,
    cells: [
      `\`${op}\``,
      torchName(op, doc) === '' ? '' : `\`${torchName(op, doc)}\``,
      kindOf(runs),
      smooth ? 'yes' : 'no',
      second ? 'yes' : smooth ? 'zero' : '',
      smooth && !overwrites ? each(forward) : '',
      overwrites ? '' : each(batch),
      overwrites ? 'itself' : inPlace,
      isMethod(op) ? 'yes' : '',
      typesOf(calls),
    ],
  }
}

const HEAD = ['operation', 'PyTorch', 'kind', 'gradient', 'second', 'forward mode', 'vmap', 'in place', 'method', 'dtypes']

/** docs/ops.md. */
export function render(): string {
  const before = torch.setBackend('reference')
  const rows = [...operations.keys()].map(rowOf)
  torch.setBackend(before)
  const files = [...new Set(rows.map((r) => r.file))].sort()
  const lines = [
    '# Every operation',
    '',
    `${rows.length} operations, by the file each is declared in. The table is found by calling them and looking at the records that ran;`,
    '`npx vitest run test/conformance/page.test.ts -u` writes it again.',
    '',
    '- **PyTorch**: its name there. `F` is `torch.nn.functional`.',
    '- **kind**: *elementwise* operations are one expression, compiled to a kernel; *views* share their input’s elements; *general* ones are a',
    '  record with a forward of its own; *composite* ones call several operations; *direct* ones run no record.',
    '- **gradient**, **second**: are gradients of first and second order recorded? *zero*: the first is constant.',
    '- **forward mode**: the tangent is a *rule*, or follows from the operation being *linear* or *multilinear*, or from differentiating the',
    '  gradient rules again (*twice reverse*).',
    '- **vmap**: a *rule* for whole batches, or a *loop* over the examples.',
    '- **in place**: the form that overwrites its tensor. **method**: also a method of tensors.',
    '- **dtypes** of its tensors: *all*, *float* (float32 and float64), or a list.',
    '',
  ]
  for (const file of files) {
    lines.push(`## [${file}](../${file})`, '', `| ${HEAD.join(' | ')} |`, `|${' --- |'.repeat(HEAD.length)}`)
    for (const r of rows) if (r.file === file) lines.push(`| ${r.cells.join(' | ')} |`)
    lines.push('')
  }
  return lines.join('\n')
}
