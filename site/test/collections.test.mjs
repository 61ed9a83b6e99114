// How often collectors run, which no clock is needed to see: Go's, whose limit grows with the number of
// tensors, and Chromium's, which counts the arrays that files are read into. Firefox shows neither: its
// driver does not see workers of workers.

import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { choose, convert, id, kind, openPage, start, textOf } from './browser.mjs'

let site, folder
before(async () => {
  if (kind === 'firefox') return
  // What V8 says of its collections goes to the browser's standard output, which the driver does not hand
  // on, and where it would wait for a buffer to fill.
  folder = mkdtempSync(join(tmpdir(), 'nibble-gc-'))
  const script = join(folder, 'browser')
  writeFileSync(script, `#!/bin/sh\nexec stdbuf -oL "${process.env.NIBBLE_BROWSER}" "$@" >"${join(folder, 'log')}"\n`, {
    mode: 0o755,
  })
  site = await start({ executablePath: script, more: ['--js-flags=--trace-gc'] })
})
after(async () => {
  await site?.stop()
  if (folder) rmSync(folder, { recursive: true, force: true })
})

/** How often V8 collected so far, all kinds and the expensive one. */
function collected() {
  const log = readFileSync(join(folder, 'log'), 'utf8')
  return { all: log.match(/ ms: /g)?.length ?? 0, marks: log.match(/ ms: [A-Za-z ()]*Mark-Compact/g)?.length ?? 0 }
}

/** Writes n matrices of float32 as safetensors; their numbers repeat. */
function writeModel(path, n, rows, columns) {
  const bytes = 4 * rows * columns
  const entries = Array.from({ length: n }, (_, i) => [
    `layers.${i}.weight`,
    { dtype: 'F32', shape: [rows, columns], data_offsets: [i * bytes, (i + 1) * bytes] },
  ])
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  const values = new Float32Array(rows * columns)
  for (let i = 0; i < values.length; i++) values[i] = Math.sin(i * i) / 8
  const file = openSync(path, 'w')
  writeSync(file, length)
  writeSync(file, header)
  for (let i = 0; i < n; i++) writeSync(file, new Uint8Array(values.buffer))
  closeSync(file)
}

/** Go's collections so far in the worker that leads: the one that has a model open. */
async function collections(page) {
  const all = await Promise.all(page.workers().map(w => w.evaluate(() => globalThis.nibble.memory())))
  const leads = all.map(text => JSON.parse(text)).filter(m => m.tensors > 0)
  assert.equal(leads.length, 1)
  return leads[0]
}

if (kind !== 'firefox')
  test('20,000 tensors do not keep the collector of Go busy', { timeout: 110_000 }, async () => {
    const model = join(site.folder, 'many.safetensors')
    writeModel(model, 20_000, 64, 64)
    const { page, problems } = await openPage(site)
    await choose(page, model)
    await convert(page)
    assert.match(await textOf(page, 'status'), /done$/)
    const now = await collections(page)
    assert.equal(now.tensors, 20_000)
    console.log(`20,000 tensors: ${now.collections} collections by Go, ${Math.round(now.heap / 1e6)} MB in use`)
    assert.ok(now.collections > 0 && now.collections <= 60, `${now.collections} collections`)
    assert.deepEqual(problems, [])
    await page.close()
  })

if (kind !== 'firefox')
  test('reading large files does not make the browser collect', { timeout: 110_000 }, async () => {
    const model = join(site.folder, 'large.safetensors')
    writeModel(model, 16, 4096, 4096)
    const { page, problems } = await openPage(site)
    await choose(page, model)
    const before = collected()
    await convert(page)
    assert.match(await textOf(page, 'status'), /done$/)
    const now = collected(),
      marks = now.marks - before.marks
    const gigabytes = (16 * 4096 * 4096 * 4) / 1e9
    console.log(`${gigabytes.toFixed(2)} GB: ${marks} Mark-Compacts by Chromium`)
    assert.ok(now.all > 0, 'the browser reported no collection at all')
    assert.ok(marks <= 40 * gigabytes, `${marks} Mark-Compacts in ${gigabytes} GB`)
    assert.deepEqual(problems, [])
    assert.ok(await page.$(id('download')))
    await page.close()
  })
