/**
 * Runs the quick suite, then the modes, under other versions of Node, `npm run test:nodes`: under the binaries given
 * as arguments, else under those that nvm, fnm and PATH hold, one of each major version.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

const root = new URL('../', import.meta.url).pathname
const vitest = join(root, 'node_modules/vitest/vitest.mjs')

/** The paths `folder`/…/`rest`, if there are any. */
const inside = (folder: string, rest: string): string[] =>
  existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name, rest)) : []

function candidates(): string[] {
  const given = process.argv.slice(2)
  if (given.length > 0) return given
  return [
    process.execPath,
    ...(process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'node')),
    ...inside(join(homedir(), '.nvm/versions/node'), 'bin/node'),
    ...inside(join(homedir(), '.local/share/fnm/node-versions'), 'installation/bin/node'),
  ].filter((path) => existsSync(path))
}

const binaries = new Map<string, string>()
for (const path of candidates()) {
  const version = spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout?.trim()
  if (!version) throw new Error(`${path} is no Node`)
  const major = version.split('.')[0]!
  if (!binaries.has(major)) binaries.set(major, path)
}

let failed = false
for (const [major, path] of binaries) {
  for (const config of ['vitest.config.ts', 'vitest.modes.config.ts']) {
    console.log(`\n== Node ${major}, ${config}`)
    const { status } = spawnSync(path, [vitest, 'run', '--config', config], { cwd: root, stdio: 'inherit' })
    failed ||= status !== 0
  }
}
process.exitCode = failed ? 1 : 0
