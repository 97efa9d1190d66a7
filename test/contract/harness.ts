/** Runs the cases that a script recorded from PyTorch, and compares what they return. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'

/** A case returns what the script's function of that name returns: numbers, strings, lists of them. */
export type Cases = Readonly<Record<string, () => unknown>>

/** One test per recorded case, under its name; a case without a recording (or the other way round) fails. */
export function compare(title: string, recording: string, cases: Cases): void {
  const recorded = JSON.parse(readFileSync(new URL(recording, import.meta.url), 'utf8')) as Record<string, unknown>
  describe(title, () => {
    test('every recorded case is here', () => {
      expect(Object.keys(cases).sort()).toEqual(Object.keys(recorded).sort())
    })
    for (const [name, run] of Object.entries(cases)) {
      test(name, () => {
        torch.setWarningHandler(() => {})
        try {
          same(run(), recorded[name], name)
        } finally {
          torch.setWarningHandler(null)
        }
      })
    }
  })
}

/** Python's words in ours, so that texts can be compared. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/torch\.Size\((\[[^\]]*\])\)/g, '$1'],
  [/\bretain_graph=True/g, 'retainGraph: true'],
  [/\bcreate_graph=(True|False)/g, 'createGraph: $1'],
  [/\b(strict|vectorize)d?=(True|False)/g, '$1: $2'],
  [/\b(check_\w+)=True/g, '$1: true'],
  [/ to be True\b/g, ' to be true'],
  [/: True\b/g, ': true'],
  [/: False\b/g, ': false'],
  [/\ballow_unused=True/g, 'allowUnused: true'],
  [/`is_grads_batched=True`/g, '`isGradsBatched: true`'],
  [/'double'/g, "'float64'"],
  [/'Float'/g, "'float32'"],
  [/'int'|of type int\b|got int\b/g, ''],
  [/'number'|of type number\b|got number\b/g, ''],
]
const camel = (word: string): string => word.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase())
const inOurWords = (text: string): string => WORDS.reduce((t, [from, to]) => t.replace(from, to), text).replace(/\bcheck_\w+/g, camel)

/** Numbers within rounding; of errors, our text must begin with torch's (or the part that was recorded). */
function same(ours: unknown, theirs: unknown, path: string): void {
  if (Array.isArray(theirs)) {
    expect(ours, path).toBeInstanceOf(Array)
    expect((ours as unknown[]).length, `${path}: ${JSON.stringify(ours)}`).toBe(theirs.length)
    theirs.forEach((value, i) => {
      same((ours as unknown[])[i], value, `${path}[${i}]`)
    })
  } else if (theirs === 'nan') expect(ours, path).toBeNaN()
  else if (typeof theirs === 'number') {
    expect(typeof ours, path).toBe('number')
    expect(Math.abs((ours as number) - theirs), `${path}: ${String(ours)} for ${theirs}`).toBeLessThanOrEqual(
      1e-12 * Math.max(1, Math.abs(theirs)),
    )
  } else if (typeof theirs === 'string' && theirs.startsWith('error: ')) {
    const text = inOurWords(theirs).replace(/\.$/, '')
    expect(inOurWords(String(ours)).slice(0, text.length), path).toBe(text)
  } else if (typeof theirs === 'object' && theirs !== null) {
    expect(Object.keys(ours as object).sort(), path).toEqual(Object.keys(theirs).sort())
    for (const [key, value] of Object.entries(theirs)) same((ours as Record<string, unknown>)[key], value, `${path}.${key}`)
  } else expect(ours, path).toEqual(theirs)
}

/** A float64 leaf with one dim. */
export const leaf = (...values: number[]): torch.Tensor => torch.tensor(values, { dtype: 'float64', requiresGrad: true })
/** A float64 leaf without dims. */
export const one = (value: number): torch.Tensor => torch.tensor(value, { dtype: 'float64', requiresGrad: true })
/** A float64 tensor outside the graph. */
export const plain = (...values: number[]): torch.Tensor => torch.tensor(values, { dtype: 'float64' })
/** A float64 scalar outside the graph. */
export const number = (value: number): torch.Tensor => torch.tensor(value, { dtype: 'float64' })
export const nums = (t: torch.Tensor | null | undefined): unknown => (t === null || t === undefined ? null : t.detach().tolist())
export const names = (nodes: readonly ({ name(): string } | null)[]): unknown => nodes.map((n) => n?.name() ?? null)

/** What went wrong, in the recordings' form. */
export function error(fn: () => unknown): string {
  try {
    fn()
  } catch (e) {
    return `error: ${(e as Error).message.split('\n')[0]}`
  }
  return 'no error'
}
