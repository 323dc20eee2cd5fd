import { describe } from 'vitest'
import { playScenarios } from '#test/support/scenarios.ts'
import { TransactionScript } from '#test/support/transaction-script.ts'

describe('transactions', () => playScenarios('transactions', text => TransactionScript.play(text)))
