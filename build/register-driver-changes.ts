// Given to node with --import: makes the changes of the bundle in the driver that the sources load.
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
