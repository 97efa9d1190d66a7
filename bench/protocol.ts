/** How the driver talks to the measured programs: one JSON line asks for a row, one answers with seconds per call. */
import { createInterface } from 'node:readline'
import type { Row } from './rows.ts'

/** Runs the work of a row n times; a promise where the library computes later. */
export type Run = (n: number) => void | Promise<void>

/** Makes the work of a row; the result runs it n times. Undefined: this library can't. */
export type Make = (row: Row) => Promise<Run | undefined> | Run | undefined

/** Answers requests on standard input until it closes. Each request runs one row for about `ms` milliseconds. */
export async function serve(make: Make): Promise<void> {
  const made = new Map<string, Run | undefined>()
  console.log(JSON.stringify({ ready: true }))
  for await (const line of createInterface({ input: process.stdin })) {
    const { row, ms } = JSON.parse(line) as { row: Row; ms: number }
    try {
      if (!made.has(row.name)) {
        made.clear()
        made.set(row.name, await make(row))
      }
      const run = made.get(row.name)
      console.log(
        JSON.stringify(
          run === undefined ? { missing: true } : { seconds: await measure(run, ms), resident: process.resourceUsage().maxRSS * 1024 },
        ),
      )
    } catch (error) {
      console.log(JSON.stringify({ missing: true, error: String(error) }))
    }
  }
}

/** Seconds per call: the best of batches that together take about `ms`. */
async function measure(run: Run, ms: number): Promise<number> {
  let n = 1
  const time = async (k: number): Promise<number> => {
    const start = performance.now()
    await run(k)
    return (performance.now() - start) / 1000
  }
  let once = await time(1)
  while (once * 1000 < ms / 20 && n < 1e6) {
    n *= 2
    once = await time(n)
  }
  let best = once / n
  const end = performance.now() + ms
  while (performance.now() < end) best = Math.min(best, (await time(n)) / n)
  return best
}
