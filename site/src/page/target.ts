// Asking the user where a result is to go.

import { NibbleError, type Report, type Target } from '../library/nibble'
import { text } from './text'

/**
 * From this size on a result goes straight to a chosen file: through the private files it would be on the disk twice.
 */
export const large = 1e9

/** A picker that was closed sooner than a person can was never shown: nobody declined. */
const tooSoon = 250

/** Only Chromium has these yet, so TypeScript's DOM types do not. */
interface Pickers {
  showSaveFilePicker?(o: { suggestedName: string; id: string }): Promise<FileSystemFileHandle>
  showDirectoryPicker?(o: { mode: 'readwrite'; id: string }): Promise<FileSystemDirectoryHandle>
}

/** Asks where the result is to go; undefined when the user closed the picker. Must be called within a click. */
export async function chooseTarget({ folder, output: { name, bytes } }: Report): Promise<Target | undefined> {
  const pickers = window as unknown as Pickers
  const began = performance.now()
  try {
    if (folder && pickers.showDirectoryPicker) {
      const handle = await pickers.showDirectoryPicker({ mode: 'readwrite', id: 'nibble' })
      if (await isTaken(handle, name)) throw new NibbleError('machine', text.errors.exists(name))
      return handle
    }
    if (!folder && bytes >= large && pickers.showSaveFilePicker) {
      return await pickers.showSaveFilePicker({ suggestedName: name, id: 'nibble' })
    }
  } catch (err) {
    if (err instanceof NibbleError) throw err
    if (err instanceof DOMException && err.name === 'AbortError' && performance.now() - began > tooSoon)
      return undefined
  }
  return 'private'
}

/**
 * A folder that is there and not empty is somebody's: nothing is written to it, and so nothing is ever cleared in it.
 */
async function isTaken(parent: FileSystemDirectoryHandle, name: string) {
  const folder = await parent.getDirectoryHandle(name).catch(() => undefined)
  if (!folder) return false
  for await (const _ of (folder as unknown as { keys(): AsyncIterable<string> }).keys()) return true
  return false
}
