/** The architecture as rules over the sources: who may import whom, no cycles, the size and the form of files. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'

/*
 * The tables. A module is its path in src/ without `.ts`; a pattern is a module, or `folder/*` for all within. The first
 * pattern that matches decides.
 */

/** Layers from the ground up. A module imports values from its own layer and from lower ones only. */
const LAYERS: readonly (readonly string[])[] = [
  ['errors', 'warnings', 'options'],
  ['dtype'],
  ['shape'],
  ['layout'],
  ['backend/backend', 'backend/scalar', 'backend/erf', 'backend/source'],
  ['backend/wasm/*', 'backend/reference/*'],
  ['backend/jobs/*'],
  ['memory/*', 'storage'],
  ['backend/default'],
  ['tensor', 'tree', 'print', 'random'],
  ['execute'],
  ['backend/choose', 'threads/*'],
  ['autograd/*'],
  ['reading', 'shorthand', 'ndarray'],
  ['op', 'op/*'],
  ['ops/*'],
  ['fluent', 'overrides', 'linalg/*', 'special/*', 'fft/*'],
  ['creation', 'fuse', 'scope'],
]

/** The outer modules: users of the public face, free among each other. `index` gathers everything. */
const OUTER: readonly string[] = [
  'autograd/index',
  'blas/*',
  'nn/*',
  'optim/*',
  'func/*',
  'data/*',
  'io/*',
  'profiler/*',
  'testing/*',
  'viz/*',
  'index',
]

/** What of the layers the outer modules may import: the public face and the vocabulary it speaks. */
const FACE: readonly string[] = [
  'errors',
  'warnings',
  'options',
  'dtype',
  'shape',
  'random',
  'fluent',
  'creation',
  'ops/index',
  'autograd/index',
  'linalg/*',
  'special/*',
  'fft/*',
]

/** What some outer modules may import beyond the face: [importer, imported, reason]. */
const GRANTS: readonly (readonly [string, string, string])[] = [
  ['func/*', 'autograd/*', 'transforms are levels of the graph'],
  ['func/*', 'tensor', 'transforms recognise tensors'],
  ['func/*', 'tree', 'arguments and results are trees'],
  ['func/*', 'ops/*', 'examples are stacked, chunks joined'],
  ['testing/*', 'autograd/*', 'checks differentiate'],
  ['testing/*', 'tensor', 'checks recognise tensors'],
  ['blas/*', 'backend/backend', 'products are kernels of a backend'],
  ['blas/*', 'backend/choose', 'a backend is provided by name'],
  ['blas/*', 'backend/default', 'everything but products stays with it'],
  ['blas/*', 'memory/*', 'products work in the tensors’ memory'],
  ['blas/*', 'threads/*', 'the library has as many threads'],
  ['nn/*', 'autograd/*', 'gradients are cleared and clipped without being shown'],
  ['nn/*', 'ops/*', 'functional re-exports operations'],
  ['data/*', 'ops/*', 'examples are stacked into batches'],
  ['nn/*', 'tensor', 'parameters live in persistent memory'],
  ['nn/*', 'execute', 'parameters are copied into persistent memory'],
  ['nn/*', 'layout', 'parameters live in persistent memory'],
  ['optim/*', 'autograd/*', 'steps read gradients without showing them'],
  ['optim/*', 'execute', 'a step is one fused kernel'],
  ['optim/*', 'backend/scalar', 'a step is one expression'],
  ['optim/*', 'layout', 'state lives in persistent memory'],
  ['optim/*', 'tensor', 'state lives in persistent memory'],
  ['profiler/*', 'autograd/*', 'the nodes of passes are timed'],
  ['profiler/*', 'tensor', 'operations are timed by their tensors'],
  ['viz/*', 'autograd/*', 'graphs are made of nodes'],
  ['viz/*', 'tensor', 'graphs hold tensors'],
]

/** Outer modules that are the composition root, or that make parts of the core public: they may import any layer. */
const ROOTS: readonly string[] = ['index', 'autograd/index']

/** Backends import the ground layers and their own folder, nothing else. */
const BACKEND_GROUND: readonly string[] = [
  'errors',
  'dtype',
  'shape',
  'layout',
  'backend/backend',
  'backend/scalar',
  'backend/erf',
  'backend/source',
]

/** Who may import a backend's implementation from outside its folder. */
const BACKEND_USERS: readonly string[] = ['index', 'backend/default', 'backend/choose', 'backend/jobs/*']

/** Extra prohibitions inside what the layers allow: [importer, imported, reason]. */
const NEVER: readonly (readonly [string, string, string])[] = [
  ['autograd/engine', 'op/*', 'the engine never sees an op'],
  ['autograd/engine', 'ops/*', 'the engine never sees an op'],
  ['autograd/*', 'fluent', 'the engine works below the methods'],
  ['memory/*', 'backend/scalar', 'memory knows addresses, not expressions'],
]

/** Modules that may import a `node:` module statically: they are not for browsers. */
const NODE_ONLY: readonly string[] = []

/** Limits of length in lines; samples are data and go without. */
const MAX_LINES = 600
const MAX_LINES_OF: Readonly<Record<string, number>> = { 'autograd/engine': 250 }

/* The reading of sources. */

interface Import {
  readonly from: string
  readonly kind: 'value' | 'type' | 'dynamic' | 'effect'
}
interface Module {
  readonly name: string
  readonly text: string
  readonly imports: readonly Import[]
}

const root = new URL('../', import.meta.url).pathname
const src = join(root, 'src')

/** `import` and `export … from` statements stand at the start of a line; nothing else there begins so and ends in a string. */
const STATEMENT = /^(?:import|export)\s+(type\s+)?(?:[\w*{][^'"`;=()]*?\s*from\s*)?'([^']+)'/gm
const DYNAMIC = /\bawait import\(\s*'([^']+)'/g

function readImports(text: string): Import[] {
  const found: Import[] = []
  for (const match of text.matchAll(STATEMENT)) {
    const kind = match[1] !== undefined ? 'type' : /from\s*'/.test(match[0]) ? 'value' : 'effect'
    found.push({ from: match[2]!, kind })
  }
  for (const match of text.matchAll(DYNAMIC)) found.push({ from: match[1]!, kind: 'dynamic' })
  return found
}

const modules: Module[] = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .sort()
  .map((path) => {
    const text = readFileSync(join(src, path), 'utf8')
    return { name: path.slice(0, -3), text, imports: readImports(text) }
  })
const names = new Set(modules.map((m) => m.name))

const isSample = (name: string): boolean => name.endsWith('.samples')
const matches = (name: string, pattern: string): boolean =>
  pattern.endsWith('/*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern
const among = (name: string, patterns: readonly string[]): boolean => patterns.some((p) => matches(name, p))
const isOuter = (name: string): boolean => among(name, OUTER)

/** The place of a module in LAYERS: exact names win over folders, so that `backend/scalar` lies below `backend/*`. */
function layerOf(name: string): number {
  const exact = LAYERS.findIndex((layer) => layer.includes(name))
  return exact >= 0 ? exact : LAYERS.findIndex((layer) => among(name, layer))
}

/** `backend/wasm` for modules of a backend's implementation. */
function backendOf(name: string): string | undefined {
  return /^backend\/(?:wasm|reference)(?=\/)/.exec(name)?.[0]
}

/** The module a relative import means. */
function target(from: Module, path: string): string {
  return relative(src, join(src, dirname(from.name), path)).replace(/\.ts$/, '')
}

/** Why `from` may not import `to`, if it may not. */
function forbidden(from: string, to: string): string | undefined {
  for (const [a, b, reason] of NEVER) if (matches(from, a) && matches(to, b) && !isOuter(from)) return reason
  const [mine, theirs] = [backendOf(from), backendOf(to)]
  if (mine !== undefined)
    return mine === theirs || among(to, BACKEND_GROUND) || (from === 'backend/wasm/wasm' && to === 'backend/reference/reference')
      ? undefined
      : 'a backend sees only the ground layers and itself'
  if (theirs !== undefined && !among(from, BACKEND_USERS)) return 'only the composition root chooses a backend'
  if (isSample(from) || among(from, ROOTS)) return undefined
  if (GRANTS.some(([a, b]) => matches(from, a) && matches(to, b))) return undefined
  if (isOuter(from)) return isOuter(to) || among(to, FACE) ? undefined : 'the outer modules use the public face'
  if (isOuter(to)) return 'the core does not know its users'
  const [a, b] = [layerOf(from), layerOf(to)]
  return b > a ? `layer ${a} (${LAYERS[a]?.join(', ')}) lies below layer ${b} (${LAYERS[b]?.join(', ')})` : undefined
}

/** Every problem that `check` finds, as `module: problem`. */
function problems(check: (m: Module) => Iterable<string>): string[] {
  return modules.flatMap((m) => [...check(m)].map((p) => `${m.name}: ${p}`))
}

/** Source text without comments and without what stands in strings. */
function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g, (s) =>
    s.startsWith('/') ? ' ' : "''",
  )
}

describe('imports', () => {
  test('the reader of imports sees every form', () => {
    const text = [
      "import a, { b } from './a.ts'",
      "import type { T } from './t.ts'",
      "import {\n  type C,\n  d,\n} from './c.ts'",
      "import * as e from './e.ts'",
      "export * from './f.ts'",
      "export type { U } from './u.ts'",
      "import './effect.ts'",
      "  const g = await import('./g.ts')",
      "export const h = 'import x from y'",
      " * import z from './comment.ts'",
    ].join('\n')
    expect(readImports(text).map((i) => `${i.kind} ${i.from}`)).toEqual([
      'value ./a.ts',
      'type ./t.ts',
      'value ./c.ts',
      'value ./e.ts',
      'value ./f.ts',
      'type ./u.ts',
      'effect ./effect.ts',
      'dynamic ./g.ts',
    ])
  })

  test('the rules bite', () => {
    const refused = [
      ['dtype', 'shape'],
      ['tensor', 'execute'],
      ['autograd/engine', 'ops/arithmetic'],
      ['autograd/node', 'fluent'],
      ['ops/matmul', 'backend/wasm/matmul'],
      ['backend/wasm/wasm', 'backend/jobs/window'],
      ['ops/matmul', 'nn/linear'],
      ['backend/wasm/render', 'backend/reference/views'],
      ['backend/wasm/render', 'tensor'],
      ['io/tensors', 'ops/matmul'],
      ['data/loader', 'tensor'],
      ['fluent', 'index'],
    ] as const
    const allowed = [
      ['shape', 'errors'],
      ['autograd/engine', 'execute'],
      ['backend/wasm/render', 'backend/scalar'],
      ['index', 'backend/wasm/backend'],
      ['backend/jobs/window', 'backend/reference/window'],
      ['ops/pooling', 'backend/jobs/window'],
      ['nn/linear', 'fluent'],
      ['data/loader', 'random'],
      ['optim/adam', 'nn/parameter'],
    ] as const
    for (const [from, to] of refused) expect([from, to, forbidden(from, to)]).toEqual([from, to, expect.any(String)])
    for (const [from, to] of allowed) expect([from, to, forbidden(from, to)]).toEqual([from, to, undefined])
  })

  test('every module has a layer', () => {
    expect(modules.filter((m) => !isOuter(m.name) && layerOf(m.name) < 0).map((m) => m.name)).toEqual([])
  })

  test('arrows point down', () => {
    const found = problems(function* (m) {
      for (const { from, kind } of m.imports) {
        if (kind === 'type' || !from.startsWith('.')) continue
        const to = target(m, from)
        const reason = forbidden(m.name, to)
        if (reason !== undefined) yield `imports ${to}: ${reason}`
      }
    })
    expect(found).toEqual([])
  })

  test('paths end in .ts and lead to a file; nothing is imported for its effect', () => {
    const found = problems(function* (m) {
      for (const { from, kind } of m.imports) {
        if (kind === 'effect') yield `imports '${from}' for its effect`
        if (from.startsWith('.') && (!from.endsWith('.ts') || !names.has(target(m, from))))
          yield `imports '${from}', which is no source file`
      }
    })
    expect(found).toEqual([])
  })

  test('from outside only runtime dependencies, and node: modules only on demand', () => {
    const { dependencies, peerDependencies, optionalDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    const known = Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies })
    const found = problems(function* (m) {
      for (const { from, kind } of m.imports) {
        if (from.startsWith('.') || kind === 'type') continue
        if (from.startsWith('node:')) {
          if (kind !== 'dynamic' && !among(m.name, NODE_ONLY)) yield `imports ${from} statically`
        } else if (kind !== 'dynamic' && !known.some((k) => from === k || from.startsWith(`${k}/`))) {
          yield `imports ${from}, which is not a dependency`
        }
      }
    })
    expect(found).toEqual([])
  })

  test('no cycles of values', () => {
    const edges = new Map(
      modules.map((m) => [
        m.name,
        m.imports.filter((i) => (i.kind === 'value' || i.kind === 'effect') && i.from.startsWith('.')).map((i) => target(m, i.from)),
      ]),
    )
    const cycles: string[] = []
    const done = new Set<string>()
    const visit = (name: string, path: readonly string[]): void => {
      const start = path.indexOf(name)
      if (start >= 0) cycles.push([...path.slice(start), name].join(' → '))
      if (start >= 0 || done.has(name)) return
      for (const next of edges.get(name) ?? []) visit(next, [...path, name])
      done.add(name)
    }
    for (const name of names) visit(name, [])
    expect(cycles).toEqual([])
  })
})

describe('files', () => {
  test('open with a sentence that says what they are for', () => {
    const found = problems(function* ({ text }) {
      const comment = /^\/\*\*([\s\S]*?)\*\//.exec(text)?.[1]
      if (comment === undefined) yield 'opens without a doc comment'
      else if (!/[.!?:]\s*$|[.:]\s/.test(comment.replace(/^\s*\* ?/gm, ''))) yield 'its opening comment is not a sentence'
    })
    expect(found).toEqual([])
  })

  test(`are no longer than ${MAX_LINES} lines, the engine than 250`, () => {
    const found = problems(function* ({ name, text }) {
      const lines = text.trimEnd().split('\n').length
      const limit = MAX_LINES_OF[name] ?? MAX_LINES
      if (lines > limit && !isSample(name)) yield `${lines} lines, at most ${limit}`
    })
    expect(found).toEqual([])
  })

  test('have no default export, no catch-all name', () => {
    const found = problems(function* ({ name, text }) {
      if (/^export default\b|\bas default\b/m.test(code(text))) yield 'has a default export'
      if (/(^|\/)(utils?|helpers?|common|misc)$/.test(name)) yield 'has a name that says nothing'
    })
    expect(found).toEqual([])
  })

  test('leave nothing open: no any, no silenced checks, no notes to self', () => {
    const found = problems(function* ({ text }) {
      // `any` is also a reduction: only the places of a type count.
      if (/(?::|<|\||&|\bas|\bextends|\bis|Record<\w+,)\s*any\b(?!\s*[(.'])/.test(code(text))) yield 'uses the type any'
      for (const word of text.match(/@ts-\w+|\b(?:TODO|FIXME|XXX|HACK)\b/g) ?? []) yield `contains ${word}`
    })
    expect(found).toEqual([])
  })
})
