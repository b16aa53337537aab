// Runs in the command `seed`. What its accounts and tasks are called.

export const FIRST_NAMES = list(`
  ada, amir, ana, anneke, bao, carla, chidi, clara, daniel, elif,
  emeka, eva, farid, grace, hana, henrik, ines, ivan, jana, joao,
  kaito, kim, lars, leila, lucia, marek, mei, mina, nadia, noah,
  olga, omar, pavel, priya, rosa, sami, sofia, tomas, wanjiru, yara`)

export const LAST_NAMES = list(`
  adeyemi, ahmed, bauer, berg, chen, costa, diallo, dubois, eriksson,
  ferrari, fischer, garcia, haddad, hansen, ito, jansen, kaya, khan,
  kowalski, lee, lopez, martin, mbeki, meyer, moreau, nguyen, novak,
  okafor, patel, petrov, rossi, sato, schmidt, silva, smith, tanaka,
  virtanen, wang, weber, yilmaz`)

export const VERBS = list(`
  Review, Write, Update, Fix, Plan, Test, Prepare, Check, Order, Cancel,
  Translate, Publish, Compare, Measure, Archive, Discuss, Estimate, Renew`)

export const OBJECTS = list(`
  the release notes, the onboarding guide, the quarterly report, the backup plan,
  the invoice for hosting, the contract with the printer, the slides, the budget,
  the login page, the search form, the e-mail templates, the mobile menu,
  the travel to Zürich, the room for the workshop, the list of speakers, new chairs,
  the alert rules, the staging server, the old API keys, the slow query,
  the survey “How are we doing?”, the café order, the 東京 office plan, the dashboard`)

export const DETAILS = list(`
  with the team, before the holidays, for the new customers, once more, (draft),
  in all languages, after the release, with legal, – urgent, for next week 🎉`)

export const SENTENCES = [
  'The last version is in the shared folder.',
  'Ask the people who wrote it before you change anything.',
  'Two of the figures do not add up: look at page 3 first.',
  'It worked on Monday, and nobody remembers what has changed since then.',
  'See https://example.com/docs/handbook#section-4 for the details.',
  'The customer expects an answer by Friday, also if it is only "not yet".',
  'Whoever has time may take this one.',
  'There are three open questions: who pays, who decides, and who tells the others.',
  'Keep it short; one page is enough.',
  String.raw`The files are under C:\projects\2026 and /srv/projects/2026.`,
  'Wait until the other task is done, or both of them will have to be done again.',
  'Müller and Nuñez have seen it and agree.',
  'Part 1 is finished. Part 2 needs someone who knows the old system.',
  'Steps:\n- find out who is affected\n- write to them\n- change the setting\n- check it a day later',
  'If this takes more than half a day, stop and say so.',
  'Needs 2 × 4 cables, 10 m each, and a ladder.',
]

function list(text: string): string[] {
  return text.trim().split(/,\s+/)
}
