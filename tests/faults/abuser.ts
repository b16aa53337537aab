// A process of its own for one of the worst clients, so that it does not slow down those who measure.
import { abuse, abusers, type Target } from './abusers.ts'

const [name, target] = process.argv.slice(2)
const abuser = abusers.find((candidate) => candidate.name === name)
if (!abuser || !target) throw new Error('Usage: abuser.ts NAME TARGET')
// It must not outlive the process that started it.
process.once('disconnect', () => process.exit())
abuse(abuser, JSON.parse(target) as Target)
