/** Serves pages with chosen headers, opens them in a headless Chromium, and waits for what each one reports. */
import { spawn } from 'node:child_process'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** The path of a Chromium: CHROMIUM if set, else the first on the PATH. */
export function findChromium(): string | undefined {
  const named = process.env['CHROMIUM']
  const candidates = (process.env['PATH'] ?? '').split(delimiter).flatMap((folder) => NAMES.map((name) => join(folder, name)))
  return (named === undefined ? candidates : [named]).find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Headers of the document and its scripts. */
export const ISOLATED: Readonly<Record<string, string>> = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
}
/** Neither WebAssembly nor eval. */
export const STRICT: Readonly<Record<string, string>> = {
  'Content-Security-Policy': "default-src 'none'; script-src 'self'; connect-src 'self'",
}

/** What the page's script sends: `report(value)`, or the error that stopped it. */
const PRELUDE = `
self.printed = []
for (const kind of ['log', 'warn']) {
  const old = console[kind]
  console[kind] = (...args) => { printed.push([kind, args.map(String).join(' ')]); old.apply(console, args) }
}
self.report = (value) => fetch('/report', { method: 'POST', body: JSON.stringify({ value, printed }) })
const failed = (e) => fetch('/report', { method: 'POST', body: JSON.stringify({ error: String(e?.stack ?? e), printed }) })
addEventListener('error', (e) => failed(e.error ?? e.message))
addEventListener('unhandledrejection', (e) => failed(e.reason))
`

export interface Report<T> {
  readonly value: T
  /** What was printed, with the method's name. */
  readonly printed: readonly (readonly [kind: 'log' | 'warn', text: string])[]
}

/** Runs a module script in a page of its own browser. */
export async function visit<T>(browser: string, script: string, headers: Readonly<Record<string, string>> = {}): Promise<Report<T>> {
  const files: Record<string, [type: string, text: string]> = {
    '/': [
      'text/html',
      '<!doctype html><title>gradtape</title><script src="/prelude.js"></script><script type="module" src="/page.js"></script>',
    ],
    '/prelude.js': ['text/javascript', PRELUDE],
    '/page.js': ['text/javascript', script],
  }
  let resolve: (report: Report<T>) => void = () => {}
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<Report<T>>((done, fail) => {
    resolve = done
    reject = fail
  })
  const server = createServer((request, response) => {
    if (request.method === 'POST') {
      let body = ''
      request.on('data', (part) => (body += String(part)))
      request.on('end', () => {
        response.end()
        const report = JSON.parse(body) as Report<T> & { error?: string }
        if (report.error === undefined) resolve(report)
        else reject(new Error(`in the page: ${report.error}`))
      })
      return
    }
    const [type, text] = files[request.url ?? ''] ?? ['text/plain', '']
    response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8`, ...headers }).end(text)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  const profile = mkdtempSync(join(tmpdir(), 'chromium-'))
  const child = spawn(
    browser,
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      `--user-data-dir=${profile}`,
      `http://127.0.0.1:${port}/`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], detached: true },
  )
  let messages = ''
  child.stderr.on('data', (part) => (messages += String(part)))
  child.on('exit', (code) => reject(new Error(`the browser ended with status ${code}: ${messages.slice(-2000)}`)))
  child.on('error', reject)
  try {
    return await promise
  } finally {
    child.removeAllListeners('exit')
    const ended = new Promise((done) => child.once('exit', done))
    // The whole group: the browser's own children too.
    if (child.pid !== undefined && child.exitCode === null) {
      process.kill(-child.pid, 'SIGKILL')
      await ended
    }
    server.closeAllConnections()
    server.close()
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}
