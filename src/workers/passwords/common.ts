// Runs in the hash threads of a listener. The passwords that everybody guesses first.

/**
 * True for one of the most common passwords, whatever its case. They are one text: 18 000 passwords take 170 kB, where a Set
 * of them takes 1.6 MB, and a search takes 0.15 ms.
 */
export async function isCommonPassword(password: string): Promise<boolean> {
  const { commonPasswords } = await import('./common-list.ts')
  return commonPasswords.includes(`\n${password.toLowerCase()}\n`)
}
