// The database fails under load, in the short forms of `npm run test:faults`.
import { databaseFaults } from './all.ts'
import { testShortly } from './short.ts'

testShortly(databaseFaults)
