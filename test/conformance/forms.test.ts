/** Every operation in other forms: batched, in other layouts, in place. */
import { check } from './check.ts'
import { batching, inPlace, layout } from './laws.ts'

check({ batching, layout, inPlace })
