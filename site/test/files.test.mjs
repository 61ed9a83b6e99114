// What goes in and what comes out: broken files, models in several files, and the places
// that a result can go to.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, ftruncateSync, mkdirSync, openSync, readFileSync, readdirSync, writeFileSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { choose, choosePerChannel, convert, download, fixture, id, kind, nibble, openPage, perChannel, root, start, textOf, waitForText } from './browser.mjs'

let site
before(async () => { site = await start() })
after(async () => { await site?.stop() })

const digest = bytes => createHash('sha256').update(bytes).digest('hex')

/** Chooses a folder. Firefox's driver gives a folder as its files, without the folder's name. */
async function chooseFolder(page, path) {
  const input = await page.waitForSelector(id('folder-input'))
  await input.uploadFile(...kind === 'firefox' ? readdirSync(path).map(n => join(path, n)) : [path])
}

test('every broken file is refused in the command’s words', { timeout: 300000 }, async () => {
  const folder = join(root, 'build/broken')
  const cases = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8'))
  assert.ok(cases.length >= 300)
  const { page, problems } = await openPage(site)
  const wrong = []
  const base = text => text.replace(/\b(home|m\.mlmodelc|m\.aimodel)\//g, '')
  for (const c of cases) {
    const tops = new Set(c.files.filter(f => f.includes('/')).map(f => f.split('/')[0]))
    if (tops.size > 1) continue // two folders come only by a drop, which no driver can do
    await page.evaluate(q => document.querySelector(q)?.setAttribute('data-old', ''), id('error'))
    if (tops.size === 1 && kind !== 'firefox') await chooseFolder(page, join(folder, c.folder, ...tops))
    else if (tops.size === 1 && /mlmodelc|aimodel/.test(c.files[0])) continue // known by their folder's name
    else await (await page.waitForSelector(id('file-input'))).uploadFile(...c.files.map(f => join(folder, c.folder, f)))
    const said = await page.waitForSelector(`${id('error')}:not([data-old])`, { timeout: 8000 }).then(e => e.evaluate(x => x.textContent), () => 'nothing')
    if (base(said) !== base(c.message)) wrong.push(`${c.name}: ${said.slice(0, 300)}\nwant ${c.message.slice(0, 300)}`)
  }
  assert.deepEqual(wrong, [])
  assert.deepEqual(problems, [])
  // The page is whole: a sound file converts.
  await choosePerChannel(page, fixture('small.safetensors'))
  await convert(page)
  await page.close()
})

/** A folder of Hugging Face: two shards, an index, and small files. */
function shardedFolder(name) {
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
    values.forEach((_, i) => { values[i] = Math.sin(i * n) / 10 })
    const text = Buffer.from(JSON.stringify(header))
    const size = Buffer.alloc(8)
    size.writeBigUInt64LE(BigInt(text.length))
    writeFileSync(join(folder, file), Buffer.concat([size, text, Buffer.from(values.buffer)]))
  }
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ metadata: { total_size: 1 }, weight_map: map }))
  writeFileSync(join(folder, 'config.json'), '{"model_type": "test"}')
  writeFileSync(join(folder, 'tokenizer.json'), '{}')
  return folder
}

/** What the command makes of a folder: file -> SHA-256. */
async function nativeFolder(folder) {
  const out = join(site.folder, `native-${Math.random()}`)
  await nibble('convert', folder, '-o', out)
  await nibble('verify', out, '--against', folder)
  return Object.fromEntries(readdirSync(out).sort().map(n => [n, digest(readFileSync(join(out, n)))]))
}

/** The stored entries of a zip, by its directory. */
function unzip(b) {
  const out = {}
  let at = b.readUInt32LE(b.length - 22 + 16)
  while (b.readUInt32LE(at) === 0x02014b50) {
    assert.equal(b.readUInt16LE(at + 10), 0, 'stored')
    const [size, name, extra, note, local] = [b.readUInt32LE(at + 24), b.readUInt16LE(at + 28), b.readUInt16LE(at + 30), b.readUInt16LE(at + 32), b.readUInt32LE(at + 42)]
    const from = local + 30 + b.readUInt16LE(local + 26) + b.readUInt16LE(local + 28)
    out[b.toString('utf8', at + 46, at + 46 + name)] = digest(b.subarray(from, from + size))
    at += 46 + name + extra + note
  }
  return out
}

test('a sharded model comes back as a zip of shards, with its index and small files', { timeout: 60000 }, async () => {
  const folder = shardedFolder('tiny-model')
  writeFileSync(join(folder, 'a:b.json'), '{}') // a name that not every system can unpack stays out of a zip
  const { page, problems } = await openPage(site)
  await chooseFolder(page, folder)
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  assert.match(await page.$eval('.meta', e => e.textContent), /safetensors · 2 files · 6 tensors/)
  await convert(page)
  const name = kind === 'firefox' ? 'model-int4.zip' : 'tiny-model-int4.zip'
  assert.equal(await page.$eval(id('download'), a => a.download), name)
  const zip = await download(site, page)
  const { 'a:b.json': copied, ...portable } = await nativeFolder(folder)
  assert.ok(copied)
  assert.deepEqual(Object.fromEntries(Object.entries(unzip(zip)).sort()), portable)
  await page.click(id('verify'))
  await waitForText(page, 'verification', '6')
  assert.match(await page.$eval(id('python'), e => e.textContent), /for shard in sorted\(pathlib.Path\("(tiny-)?model-int4"\)\.glob\("\*\.safetensors"\)\)/)
  assert.deepEqual(problems, [])
  await page.close()
})

test('all the files of a sharded model at once, and a shard that is missing', { timeout: 60000 }, async () => {
  const folder = shardedFolder('at-once')
  const { page } = await openPage(site)
  const files = readdirSync(folder).map(n => join(folder, n))
  await (await page.waitForSelector(id('file-input'))).uploadFile(...files)
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  assert.match(await page.$eval('.meta', e => e.textContent), /2 files · 6 tensors/)
  await (await page.waitForSelector(id('file-input'))).uploadFile(...files.filter(f => !f.includes('00002-of')))
  await waitForText(page, 'error', '2 shards make this model and some are missing: model-00002-of-00002.safetensors; add them, or choose the whole folder')
  await page.close()
})

/** Lets the pickers give places in the origin's private files, as if the user had chosen them. */
async function picking(page) {
  await page.evaluate(async () => {
    await (await navigator.storage.getDirectory()).removeEntry('chosen', { recursive: true }).catch(() => undefined)
    const place = async () => (await navigator.storage.getDirectory()).getDirectoryHandle('chosen', { create: true })
    window.showDirectoryPicker = place
    window.showSaveFilePicker = async ({ suggestedName }) => (await place()).getFileHandle(suggestedName, { create: true })
  })
}

/** The chosen place: path -> SHA-256, or bytes where a file is large. */
const chosen = page => page.evaluate(async () => {
  const out = {}
  const walk = async (dir, path) => {
    for await (const [name, handle] of dir.entries()) {
      if (handle.kind === 'directory') {
        await walk(handle, `${path}${name}/`)
        continue
      }
      const file = await handle.getFile()
      if (file.size > 1e7) {
        out[path + name] = file.size
        continue
      }
      const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()))
      out[path + name] = Array.from(sum, b => b.toString(16).padStart(2, '0')).join('')
    }
  }
  await walk(await (await navigator.storage.getDirectory()).getDirectoryHandle('chosen'), '')
  return Object.fromEntries(Object.entries(out).sort())
})

test('a sharded model goes straight into a chosen folder', { timeout: 60000 }, async () => {
  const folder = shardedFolder('straight')
  const { page, problems } = await openPage(site)
  await picking(page)
  await chooseFolder(page, folder)
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  await page.click(id('convert'))
  const name = kind === 'firefox' ? 'model-int4' : 'straight-int4'
  await waitForText(page, 'saved', `Saved as ${name}`)
  assert.match(await textOf(page, 'status'), /done$/)
  assert.equal(await page.$(id('download')), null)
  const want = Object.entries(await nativeFolder(folder)).map(([k, v]) => [`${name}/${k}`, v])
  assert.deepEqual(await chosen(page), Object.fromEntries(want))
  await page.click(id('verify'))
  await waitForText(page, 'verification', '6')
  // What is there is somebody's: it is left alone, and that is said.
  await page.click(id('convert'))
  await waitForText(page, 'error', `there is a folder ${name} already, and it is not empty`)
  assert.deepEqual(await chosen(page), Object.fromEntries(want))
  assert.deepEqual(problems, [])
  await page.close()
})

/** A sparse file of one matrix of more than a gigabyte, and a config that keeps it. */
function hugeFile() {
  const path = join(site.folder, 'huge.safetensors')
  if (existsSync(path)) return path
  const bytes = 4096 * 260000
  const text = Buffer.from(JSON.stringify({ 'a.weight': { dtype: 'F32', shape: [260000, 1024], data_offsets: [0, bytes] } }))
  const f = openSync(path, 'w')
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(BigInt(text.length))
  writeSync(f, Buffer.concat([size, text]))
  ftruncateSync(f, 8 + text.length + bytes)
  return path
}

const keepAll = page => page.$eval(id('config-input'), e => { e.value = '{"module_name_configs": {".*": null}}'; e.dispatchEvent(new Event('input', { bubbles: true })) })

test('a large result goes straight to a chosen file, and nothing is left when it is stopped', { timeout: 200000 }, async () => {
  const { page, problems } = await openPage(site)
  await picking(page)
  await choose(page, hugeFile())
  await keepAll(page)
  await page.waitForFunction(q => !document.querySelector(q).disabled && /1\.06 GB.*1\.06 GB/.test(document.querySelector('.strip').innerText.replace(/\s+/g, ' ')), {}, id('convert'))
  await page.click(id('convert'))
  await page.waitForFunction(q => document.querySelector(q)?.value > 2e8, { timeout: 60000 }, id('progress'))
  await page.click(id('cancel'))
  await waitForText(page, 'error', 'Cancelled')
  await page.waitForFunction(async () => {
    const dir = await (await navigator.storage.getDirectory()).getDirectoryHandle('chosen')
    for await (const handle of dir.values()) if ((await handle.getFile()).size > 0 || 'remove' in handle) return false
    return true
  }, { timeout: 10000 })
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  await page.click(id('convert'))
  await page.waitForSelector(id('saved'), { timeout: 120000 })
  const files = await chosen(page)
  assert.equal(Object.keys(files).length, 1)
  assert.ok(Object.values(files)[0] > 1.06e9)
  assert.deepEqual(problems, [])
  await page.evaluate(async () => (await navigator.storage.getDirectory()).removeEntry('chosen', { recursive: true }))
  await page.close()
})

test('a closed picker converts nothing', async () => {
  const { page } = await openPage(site)
  await page.evaluate(() => {
    window.showDirectoryPicker = () => new Promise((_, reject) => setTimeout(() => reject(new DOMException('no', 'AbortError')), 600))
  })
  await chooseFolder(page, shardedFolder('declined'))
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  await page.click(id('convert'))
  await new Promise(resolve => setTimeout(resolve, 1500))
  assert.equal(await textOf(page, 'status'), 'plan ready')
  assert.equal(await page.$(id('error')), null)
  await page.close()
})

/** The site with a worker that meets another browser. */
async function siteWith(worker) {
  const types = { html: 'text/html', js: 'text/javascript', css: 'text/css', wasm: 'application/wasm', svg: 'image/svg+xml' }
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
  return { ...site, address: `http://localhost:${server.address().port}/`, close() { server.closeAllConnections(); server.close() } }
}

test('without private files a result is kept in memory, up to a limit that is said', { timeout: 60000 }, async () => {
  const other = await siteWith('navigator.storage.getDirectory = () => Promise.reject(new DOMException("no", "SecurityError"));\n')
  const { page } = await openPage(other)
  await choosePerChannel(page, fixture('ptq-in.pt'))
  await convert(page)
  const bytes = await download(other, page)
  const out = join(site.folder, 'memory.safetensors')
  await nibble('convert', fixture('ptq-in.pt'), ...perChannel(site.folder), '-o', out)
  assert.equal(digest(bytes), digest(readFileSync(out)))
  await (await page.waitForSelector(id('file-input'))).uploadFile(hugeFile())
  await waitForText(page, 'status', 'plan ready')
  await keepAll(page)
  await page.waitForFunction(q => !document.querySelector(q).disabled && /1\.06 GB.*1\.06 GB/.test(document.querySelector('.strip').innerText.replace(/\s+/g, ' ')), {}, id('convert'))
  await page.click(id('convert'))
  await waitForText(page, 'error', 'a result must fit in memory: 1.00 GB at most, and this one has 1.06 GB')
  await page.close()
  other.close()
})

test('a disk that is full, at once and on the way, leaves no result', { timeout: 60000 }, async () => {
  for (const [worker, says] of [
    ['navigator.storage.estimate = async () => ({ quota: 5000, usage: 4000 });\n', 'the result could not be saved: the result needs 4.14 kB and the browser gives this page 1.00 kB'],
    ['FileSystemSyncAccessHandle.prototype.write = () => { throw new DOMException("full", "QuotaExceededError") };\n', 'the result could not be saved: there is no more room on the disk'],
    ['FileSystemSyncAccessHandle.prototype.write = () => 0;\n', 'the result could not be saved: there is no more room on the disk'],
  ]) {
    const other = await siteWith(worker)
    const { page } = await openPage(other)
    await choosePerChannel(page, fixture('ptq-in.pt'))
    await page.click(id('convert'))
    await page.waitForSelector(id('error'))
    assert.equal(await textOf(page, 'error'), says)
    assert.equal(await page.$(id('download')), null)
    assert.deepEqual(await page.evaluate(async () => {
      const names = []
      for await (const n of (await navigator.storage.getDirectory()).keys()) names.push(n)
      return names
    }), [])
    await page.close()
    other.close()
  }
})

test('a permission that is lost on the way leaves nothing in the chosen folder', { timeout: 60000 }, async () => {
  const other = await siteWith(`let n = 0
const before = FileSystemFileHandle.prototype.createWritable
FileSystemFileHandle.prototype.createWritable = function (...args) {
  return ++n > 1 ? Promise.reject(new DOMException('no', 'NotAllowedError')) : before.apply(this, args)
}
`)
  const { page } = await openPage(other)
  await picking(page)
  await chooseFolder(page, shardedFolder('lost'))
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  await page.click(id('convert'))
  await waitForText(page, 'error', 'the result could not be saved: the browser no longer lets the page write there')
  assert.deepEqual(await chosen(page), {})
  assert.equal(await page.$(id('saved')), null)
  await page.close()
  other.close()
})

test('closing the tab asks first while a conversion is under way', { timeout: 60000 }, async () => {
  const { page } = await openPage(site)
  await choose(page, hugeFile())
  const asks = () => page.evaluate(() => !dispatchEvent(new Event('beforeunload', { cancelable: true })))
  assert.equal(await asks(), false)
  // From the very change of the page on that shows the work, which is before it is painted.
  await page.evaluate(shown => {
    window.askedAtOnce = new Promise(done => new MutationObserver((_, seen) => {
      if (!document.querySelector(shown)) return
      seen.disconnect()
      done(!dispatchEvent(new Event('beforeunload', { cancelable: true })))
    }).observe(document.body, { childList: true, subtree: true }))
  }, id('progress'))
  await page.click(id('convert'))
  assert.equal(await page.evaluate(() => window.askedAtOnce), true)
  assert.equal(await asks(), true)
  await page.click(id('cancel'))
  await waitForText(page, 'error', 'Cancelled')
  assert.equal(await asks(), false)
  await page.close()
})
