/** Nothing leaks: the quick form of test/heavy/leak.test.ts. */
import { describe } from 'vitest'
import { nothingLeaks } from './rounds.ts'

describe('after 1,000 rounds, no more lives than before', () => nothingLeaks(1000))
