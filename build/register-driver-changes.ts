// Given to node with --import: makes the bundle's changes of the driver when the sources are run.
import { registerHooks } from 'node:module'
import { changeDriver } from './driver-changes.ts'

registerHooks({
  load: (url, context, nextLoad) => {
    const loaded = nextLoad(url, context)
    const { source = '' } = loaded
    const text = typeof source === 'string' ? source : new TextDecoder().decode(source ?? undefined)
    const changed = changeDriver(url, text)
    return changed === undefined ? loaded : { ...loaded, source: changed }
  },
})
