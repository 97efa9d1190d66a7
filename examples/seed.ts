/** Runs the four examples and the note on numpy(), and shows the source that ran above what it printed. */
import { readFile } from 'node:fs/promises'
import { format } from 'node:util'
import { heading, indent, paint } from './terminal.ts'

/** A file of examples/seed, and how to run it. */
interface Example {
  readonly file: string
  readonly run: () => Promise<unknown>
}

const EXAMPLES: readonly Example[] = [
  { file: 'seed/eg1.ts', run: () => import('./seed/eg1.ts') },
  { file: 'seed/eg2.ts', run: () => import('./seed/eg2.ts') },
  { file: 'seed/eg3.ts', run: () => import('./seed/eg3.ts') },
  { file: 'seed/eg4.ts', run: () => import('./seed/eg4.ts') },
  { file: 'seed/numpy.ts', run: () => import('./seed/numpy.ts') },
]

/** What an example is about, its source as a user of the package would write it, and the lines it printed. */
export interface Shown {
  readonly title: string
  readonly source: string
  readonly printed: readonly string[]
}

/** Runs an example with console.log caught. A module runs once in a process, so an example can be run once. */
async function run({ file, run: start }: Example): Promise<Shown> {
  const text = await readFile(new URL(file, import.meta.url), 'utf8')
  const [, title, body] = /^\/\*\* (.*) \*\/\n([\s\S]*)$/.exec(text)!
  const printed: string[] = []
  const { log } = console
  console.log = (...values: unknown[]) => void printed.push(format(...values))
  try {
    await start()
  } finally {
    console.log = log
  }
  return { title: title!, source: body!.replace("'../../src/index.ts'", "'gradtape'").trim(), printed }
}

/** Runs all examples, in order. */
export async function runSeed(): Promise<Shown[]> {
  const shown: Shown[] = []
  for (const example of EXAMPLES) shown.push(await run(example))
  return shown
}

/** Equal neighbours become one line with their number. */
export function fold(lines: readonly string[]): string[] {
  const folded: { line: string; times: number }[] = []
  for (const line of lines) {
    const last = folded.at(-1)
    if (last?.line === line) last.times++
    else folded.push({ line, times: 1 })
  }
  return folded.map(({ line, times }) => (times === 1 ? line : `${line}   (${times} times)`))
}

/** Prints each example: its source, then what it printed. */
export async function showSeed(): Promise<void> {
  for (const { title, source, printed } of await runSeed()) {
    heading(title)
    console.log(indent(source, paint('dim', '│ ')))
    console.log(paint('green', indent(fold(printed).join('\n'), '→ ')))
  }
}
