import { describe } from 'vitest'
import { ClassicScript } from '#test/support/classic-script.ts'
import { playScenarios } from '#test/support/scenarios.ts'

describe('a classic group', () => playScenarios('classic-groups', text => ClassicScript.play(text)))
