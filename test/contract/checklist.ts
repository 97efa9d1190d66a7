/** The tests of PyTorch's autograd suite, name by name, and what here answers to each: the source of docs/contract.md. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * By class or subject, the names without `test_`; of each the file and the title of the test that covers it, or `later: …`,
 * `not applicable: …` with the reason, or `missing`.
 */
export type Checklist = Readonly<Record<string, Readonly<Record<string, string>>>>

export const root: string = fileURLToPath(new URL('../../', import.meta.url))
export const checklist: Checklist = JSON.parse(readFileSync(new URL('./checklist.json', import.meta.url), 'utf8')) as Checklist

export type State = 'covered' | 'later' | 'not applicable' | 'missing'

/** What stands at a name. */
export function read(entry: string): { state: State; file?: string; title?: string; why?: string } {
  const test = /^(test\/[^ ]+) > (.+)$/.exec(entry)
  if (test !== null) return { state: 'covered', file: test[1]!, title: test[2]! }
  const [state, ...why] = entry.split(': ')
  if (state !== 'later' && state !== 'not applicable' && state !== 'missing') throw new Error(`checklist: ${entry}`)
  return { state, why: why.join(': ') }
}

/** How many names are in each state. */
export function count(): Record<State, number> {
  const sums: Record<State, number> = { covered: 0, later: 0, 'not applicable': 0, missing: 0 }
  for (const group of Object.values(checklist)) for (const entry of Object.values(group)) sums[read(entry).state]++
  return sums
}

/** docs/contract.md. */
export function render(): string {
  const sums = count()
  const rest = sums.covered + sums.missing
  const lines = [
    '# The contract, name by name',
    '',
    "Every test of PyTorch's `test_autograd.py` and `test_functional.py` (2.13), and the test here that holds the same promise. Cases in",
    'files with a recording beside them (`*.json`) compare with what a running PyTorch did; the others state the promise themselves.',
    '',
    `Of ${Object.values(sums).reduce((a, b) => a + b, 0)} names ${sums.covered} are covered, ${sums.later} come later (forward mode through \`autograd.forwardAd\`, complex dtypes,`,
    `sparse gradients), ${sums['not applicable']} have no subject in JavaScript, ${sums.missing} are missing: ${((100 * sums.missing) / rest).toFixed(1)} % of the rest.`,
    'Generated from `test/contract/checklist.json`; `npx vitest run test/contract/checklist.test.ts -u` writes it again.',
    '',
  ]
  for (const [group, entries] of Object.entries(checklist)) {
    lines.push(`## ${group.replace(/^[\d.]+ /, '')}`, '', '| test | state | where, or why |', '| --- | --- | --- |')
    for (const [name, entry] of Object.entries(entries)) {
      const { state, file, title, why } = read(entry)
      const where = file === undefined ? (why ?? '') : `[${title}](../${file})`
      lines.push(`| ${name} | ${state} | ${where} |`)
    }
    lines.push('')
  }
  return lines.join('\n')
}
