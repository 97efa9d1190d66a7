/** Nothing leaks: after 10,000 rounds of whatever autograd can do, live storages are what they were. */
import { describe } from 'vitest'
import { nothingLeaks } from '../memory/rounds.ts'

describe('after 10,000 rounds, no more lives than before', () => nothingLeaks(10_000))
