/** One test for each call and law that applies to it; what doesn't hold yet stands in `gaps.json` with the reason, and fails once it holds. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Law } from './laws.ts'
import { samples } from './samples.ts'

/** What does not hold, as law → call → why. */
export const gaps: Readonly<Record<string, Readonly<Record<string, string>>>> = JSON.parse(
  readFileSync(new URL('./gaps.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, Readonly<Record<string, string>>>>

/** Holds every call against the laws, which go by their names. */
export function check(laws: Readonly<Record<string, Law>>): void {
  for (const [name, law] of Object.entries(laws)) {
    describe(name, () => {
      for (const [op, calls] of samples) {
        for (const s of calls) {
          if (!law.applies(s)) continue
          const held = gaps[name]?.[s.label] !== undefined && process.env['CONFORMANCE_GAPS'] === undefined ? test.fails : test
          held(`${op}: ${s.label}`, () => {
            const bad = law.broken(s)
            if (bad !== null) expect.fail(bad)
          })
        }
      }
    })
  }
}
