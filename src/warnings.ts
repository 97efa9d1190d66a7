/** Every warning the library gives goes through one channel, which programs may replace. */

/** Python's word for what kind of warning it is. */
export type WarningCategory = 'UserWarning' | 'FutureWarning' | 'DeprecationWarning'

/** What receives warnings. */
export type WarningHandler = (message: string, category: WarningCategory) => void

const toConsole: WarningHandler = (message, category) => console.warn(`${category}: ${message}`)

const channel: { handler: WarningHandler; said: Set<string> } = { handler: toConsole, said: new Set() }

/**
 * Sends the library's warnings to `handler` instead of the console (null: to the console again). A handler may throw to
 * make errors of warnings. Warnings that come once come once more after this call. Returns what was in force.
 * @example
 * const log: string[] = []
 * const before = setWarningHandler((message) => log.push(message))
 * autograd.detectAnomaly(() => {})
 * setWarningHandler(before)
 * log.length // 1
 * @see https://docs.python.org/3/library/warnings.html
 */
export function setWarningHandler(handler: WarningHandler | null): WarningHandler {
  const before = channel.handler
  channel.handler = handler ?? toConsole
  channel.said.clear()
  return before
}

/** Warns each time. */
export function warn(message: string, category: WarningCategory = 'UserWarning'): void {
  channel.handler(message, category)
}

/** Warns the first time only. */
export function warnOnce(message: string, category: WarningCategory = 'UserWarning'): void {
  if (channel.said.has(message)) return
  channel.said.add(message)
  channel.handler(message, category)
}
