// What tests drop besides fixtures: a model in a folder, and one of more than a gigabyte; and the site with a worker
// that some browser would give it.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { id, kind, nibble, root } from './browser.mjs'

export const digest = bytes => createHash('sha256').update(bytes).digest('hex')

/** Chooses a folder. Firefox's driver gives a folder as its files, without the folder's name. */
export async function chooseFolder(page, path) {
  const input = await page.waitForSelector(id('folder-input'))
  await input.uploadFile(...(kind === 'firefox' ? readdirSync(path).map(n => join(path, n)) : [path]))
}

/** A folder of Hugging Face: two shards, an index, and small files. */
export function shardedFolder(site, name) {
  const folder = join(site.folder, name)
  mkdirSync(folder, { recursive: true })
  const map = {}
  for (const n of [1, 2]) {
    const file = `model-0000${n}-of-00002.safetensors`
    const header = {}
    const values = new Float32Array(64 * 64 * 3)
    for (let i = 0; i < 3; i++) {
      const tensor = `model.layers.${n}.${i}.proj.weight`
      header[tensor] = { dtype: 'F32', shape: [64, 64], data_offsets: [i * 16384, (i + 1) * 16384] }
      map[tensor] = file
    }
    values.forEach((_, i) => {
      values[i] = Math.sin(i * n) / 10
    })
    const text = Buffer.from(JSON.stringify(header))
    const size = Buffer.alloc(8)
    size.writeBigUInt64LE(BigInt(text.length))
    writeFileSync(join(folder, file), Buffer.concat([size, text, Buffer.from(values.buffer)]))
  }
  writeFileSync(
    join(folder, 'model.safetensors.index.json'),
    JSON.stringify({ metadata: { total_size: 1 }, weight_map: map }),
  )
  writeFileSync(join(folder, 'config.json'), '{"model_type": "test"}')
  writeFileSync(join(folder, 'tokenizer.json'), '{}')
  return folder
}

/** What the command makes of a folder: file -> SHA-256. */
export async function nativeFolder(site, folder, ...words) {
  const out = join(site.folder, `native-${Math.random()}`)
  await nibble('convert', folder, '-o', out, ...words)
  await nibble('verify', out, '--against', folder)
  return Object.fromEntries(
    readdirSync(out)
      .sort()
      .map(n => [n, digest(readFileSync(join(out, n)))]),
  )
}

/** A sparse file of one matrix of more than a gigabyte. */
export function hugeFile(site) {
  const path = join(site.folder, 'huge.safetensors')
  if (existsSync(path)) return path
  const bytes = 4096 * 260000
  const text = Buffer.from(
    JSON.stringify({ 'a.weight': { dtype: 'F32', shape: [260000, 1024], data_offsets: [0, bytes] } }),
  )
  const f = openSync(path, 'w')
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(BigInt(text.length))
  writeSync(f, Buffer.concat([size, text]))
  ftruncateSync(f, 8 + text.length + bytes)
  return path
}

/** A config that keeps everything. */
export const keepAll = page =>
  page.$eval(id('config-input'), e => {
    e.value = '{"module_name_configs": {".*": null}}'
    e.dispatchEvent(new Event('input', { bubbles: true }))
  })

/** The site with a worker whose browser is otherwise: worker is code that runs before its own. */
export async function siteWith(site, worker) {
  const types = {
    html: 'text/html',
    js: 'text/javascript',
    css: 'text/css',
    wasm: 'application/wasm',
    svg: 'image/svg+xml',
  }
  const server = createServer((request, response) => {
    const path = new URL(request.url, 'http://x').pathname.slice(1) || 'index.html'
    const file = join(root, 'dist', path)
    if (!existsSync(file)) {
      response.writeHead(404).end()
      return
    }
    const body = readFileSync(file)
    response.writeHead(200, { 'Content-Type': types[path.split('.').pop()] ?? 'application/octet-stream' })
    response.end(path === 'worker.js' ? worker + body : body)
  })
  await new Promise(resolve => server.listen(0, resolve))
  return {
    ...site,
    address: `http://localhost:${server.address().port}/`,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** The stored entries of a zip, by its directory. */
export function unzip(b) {
  const out = {}
  let at = b.readUInt32LE(b.length - 22 + 16)
  while (b.readUInt32LE(at) === 0x02014b50) {
    assert.equal(b.readUInt16LE(at + 10), 0, 'stored')
    const [size, name, extra, note, local] = [
      b.readUInt32LE(at + 24),
      b.readUInt16LE(at + 28),
      b.readUInt16LE(at + 30),
      b.readUInt16LE(at + 32),
      b.readUInt32LE(at + 42),
    ]
    const from = local + 30 + b.readUInt16LE(local + 26) + b.readUInt16LE(local + 28)
    out[b.toString('utf8', at + 46, at + 46 + name)] = digest(b.subarray(from, from + size))
    at += 46 + name + extra + note
  }
  return out
}
