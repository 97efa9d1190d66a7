/** Everything runs on two threads, however small. */
import { setNumThreads } from '../../src/index.ts'
import { threadTeam } from '../../src/threads/threads.ts'

setNumThreads(2)
Object.assign(threadTeam()!.least, { product: 1, rows: 2, elements: 1, grain: 16 })
