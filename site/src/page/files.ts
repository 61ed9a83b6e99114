// Files out of a drop, a picker or the sample. A folder gives the files in it.

import { NibbleError } from '../library/nibble'
import type { Input } from '../library/nibble'
import { text } from './text'

/** More than any model has; a dropped home folder must not be walked to its end. */
const maxFiles = 2000

const failed = (message: string) => new NibbleError('machine', message)

export function fromList(list: FileList | null): Input[] {
  return Array.from(list ?? [], f => ({ name: f.webkitRelativePath || f.name, blob: f }))
}

/** Must be called within the drop event: the browser forgets the items afterwards. */
export function fromDrop(data: DataTransfer): Promise<Input[]> {
  const entries = Array.from(data.items, i => (i.kind === 'file' ? i.webkitGetAsEntry() : null)).filter(e => e !== null)
  if (entries.length === 0) return Promise.resolve(fromList(data.files))
  const found: Input[] = []
  return Promise.all(entries.map(e => walk(e, found))).then(
    () => found,
    (err: unknown) => {
      throw err instanceof NibbleError ? err : failed(text.errors.unreadable)
    },
  )
}

async function walk(entry: FileSystemEntry, found: Input[]): Promise<void> {
  if (found.length >= maxFiles) throw failed(text.errors.many(maxFiles))
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))
    found.push({ name: entry.fullPath.replace(/^\//, ''), blob: file })
    return
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader()
  for (;;) {
    // readEntries gives some at a time, and none at the end
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject))
    if (some.length === 0) return
    for (const e of some) await walk(e, found)
  }
}

export async function sample(): Promise<Input[]> {
  const name = 'sample-tiny-transformer.safetensors'
  const response = await fetch(new URL(name, document.baseURI)).catch(() => undefined)
  if (!response?.ok) throw failed(text.errors.sample(response?.status ?? 0))
  return [{ name, blob: await response.blob() }]
}
