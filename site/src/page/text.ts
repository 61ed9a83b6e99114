// The language of the page: the browser's, until the user changes it. Nothing is stored.

import type { Language } from '../library/nibble'
import { en, type Text } from './text/en'
import { zh } from './text/zh'

const languages: Record<string, Text> = { en, zh }

export let language: Language = /^zh\b/i.test(navigator.language) ? 'zh' : 'en'
export let text: Text = languages[language]!

/** Changes the language; whoever shows text draws again. */
export function chooseLanguage(l: string) {
  if (!(l in languages)) return
  language = l as Language
  text = languages[l]!
}
