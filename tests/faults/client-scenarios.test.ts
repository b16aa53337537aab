// Clients ask for more than can be answered, in the short forms of `npm run test:faults`.
import { clientFaults } from './all.ts'
import { testShortly } from './short.ts'

testShortly(clientFaults)
