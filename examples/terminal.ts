/** Plain terminal output: headings, indented blocks, tables, and numbers with their units. */
import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** Coloured where a person is looking, plain in files and pipes. */
export function paint(style: Style, text: string): string {
  return process.stdout.isTTY === true && process.env.NO_COLOR === undefined ? styleText(style, text) : text
}

export function heading(text: string): void {
  console.log(`\n${paint('bold', text)}\n${paint('dim', '─'.repeat(72))}`)
}

/** Every line of `text` behind `mark`. */
export function indent(text: string, mark: string): string {
  return text
    .split('\n')
    .map((line) => `${mark}${line}`.trimEnd())
    .join('\n')
}

/** Rows with their columns aligned: the first to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)))
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('   ')
  return rows.map((row) => line(row).trimEnd()).join('\n')
}

/** `12.3 KiB`. */
export function bytes(n: number): string {
  if (n < 1024) return `${n} B`
  return n < 1024 ** 2 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / 1024 ** 2).toFixed(1)} MiB`
}

/** `0.123 ms`, `4.56 s`. */
export function duration(ms: number): string {
  return ms < 1 ? `${(ms * 1000).toFixed(0)} µs` : ms < 1000 ? `${ms.toPrecision(3)} ms` : `${(ms / 1000).toFixed(1)} s`
}
