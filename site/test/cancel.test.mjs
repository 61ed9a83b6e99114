// A conversion that is cancelled: at once, and with nothing of it left. In a browser of its
// own, since it counts every private file there is.

import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { choose, download, id, nibble, openPage, start, waitForText } from './browser.mjs'

let site
before(async () => {
  site = await start()
})
after(async () => {
  await site?.stop()
})

/** A safetensors file of a few matrices, large enough to take a while. */
function bigFile(megabytes) {
  const path = join(site.folder, `big-${megabytes}.safetensors`)
  const rows = (megabytes * 256) / 4 // four matrices of rows x 1024 float32
  const header = {}
  for (let i = 0; i < 4; i++) {
    header[`layers.${i}.weight`] = {
      dtype: 'F32',
      shape: [rows, 1024],
      data_offsets: [i * rows * 4096, (i + 1) * rows * 4096],
    }
  }
  const text = Buffer.from(JSON.stringify(header))
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(BigInt(text.length))
  const piece = new Float32Array(1 << 18)
  for (let i = 0; i < piece.length; i++) piece[i] = Math.sin(i * i) / 30
  const f = openSync(path, 'w')
  writeSync(f, size)
  writeSync(f, text)
  for (let n = 0; n < megabytes; n++) writeSync(f, Buffer.from(piece.buffer))
  closeSync(f)
  return path
}

test('cancel works at once, and the page goes on', async () => {
  const path = bigFile(256)
  const { page } = await openPage(site)
  await choose(page, path)
  await page.click(id('convert'))
  await page.waitForSelector(id('progress'))
  await page.waitForFunction(q => document.querySelector(q)?.value > 0, {}, id('progress'))
  const began = Date.now()
  await page.click(id('cancel'))
  await page.waitForFunction(q => !document.querySelector(q), {}, id('progress'))
  assert.ok(Date.now() - began < 2000, 'cancelling took longer than reading on would have')
  await waitForText(page, 'error', 'Cancelled')
  await page.waitForFunction(async () => {
    const names = []
    for await (const n of (await navigator.storage.getDirectory()).keys()) names.push(n)
    return names.length === 0 // nothing was kept, as it says
  })
  assert.equal(await page.$(id('download')), null)
  // The page is alive all along, and the same file converts afterwards.
  await page.click(id('convert'))
  await page.waitForSelector(id('cancel'))
  let slowest = 0
  while ((await page.$(id('cancel'))) !== null) {
    const t = Date.now()
    await page.evaluate(() => new Promise(requestAnimationFrame))
    slowest = Math.max(slowest, Date.now() - t)
  }
  assert.ok(slowest < 2000, `the page froze for ${slowest} ms`)
  await page.waitForSelector(id('download'))
  const out = join(site.folder, 'big-native')
  await nibble('convert', path, '-o', out)
  assert.ok(
    (await download(site, page)).equals(readFileSync(out)),
    'the default recipe gives other bytes than the command',
  )
  await page.close()
})
