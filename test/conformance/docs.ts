/** The doc comments of operations, and the files they stand in. */
import { readdirSync, readFileSync } from 'node:fs'

const root = new URL('../../', import.meta.url)
const sources = ['src/ops/', 'src/nn/', 'src/linalg/'].flatMap((folder) =>
  readdirSync(new URL(folder, root)).map((file) => ({ file: folder + file, text: readFileSync(new URL(folder + file, root), 'utf8') })),
)

export interface Documented {
  readonly file: string
  /** The comment without its stars. */
  readonly doc: string
}

/** The comment that stands on the declaration of an operation. */
export function docOf(op: string): Documented | undefined {
  const declared = op === 'var' ? 'variance' : op.split('.').at(-1)!
  const pattern = new RegExp(String.raw`/\*\*((?:(?!\*/)[\s\S])*)\*/\n(?:export )?(?:const|function) ${declared}\b`)
  const folder = op.startsWith('linalg.') ? 'src/linalg/' : ''
  for (const { file, text } of sources) {
    const found = file.startsWith(folder) ? pattern.exec(text) : null
    if (found !== null) return { file, doc: found[1]!.replaceAll(/^\s*\* ?/gm, '').trim() }
  }
  return undefined
}
