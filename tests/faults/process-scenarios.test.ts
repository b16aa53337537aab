// Processes of the service end under load, in the short forms of `npm run test:faults`.
import { processFaults } from './all.ts'
import { testShortly } from './short.ts'

testShortly(processFaults)
