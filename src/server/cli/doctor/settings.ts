// Runs in the command `doctor`. Whether the settings can be used, and where they come from.
import { type inspectConfig, readMisnomers } from '../../config/config.ts'
import { settingEntries } from '../../config/settings.ts'
import { type Check, type Found, fail, ok, warn } from './check.ts'

export type Settings = ReturnType<typeof inspectConfig>

export function settingsCheck(settings: Settings): Check {
  return { name: 'settings', run: () => checkSettings(settings) }
}

function checkSettings({ origins, problems }: Settings): Found[] {
  const names = new Map<string, string[]>()
  for (const [name, { source }] of origins) {
    names.set(source, [...(names.get(source) ?? []), name])
  }
  const parts = [...names].map(([source, list]) => `from ${source}: ${list.join(', ')}`)
  const defaults = settingEntries.length - origins.size
  return [
    ok([...parts, `at their defaults: ${defaults}`].join('; ')),
    ...problems.map((text) => fail(text, 'correct it; "taskapi settings" explains every setting')),
    ...readMisnomers().map((text) => warn(text, 'rename it, or remove it')),
  ]
}
