// The places that a result can go to: a folder or a file that the user chose.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { choose, id, kind, openPage, start, textOf, waitForText } from './browser.mjs'
import { chooseFolder, hugeFile, keepAll, nativeFolder, shardedFolder, siteWith } from './inputs.mjs'

let site
before(async () => {
  site = await start()
})
after(async () => {
  await site?.stop()
})

/** Lets the pickers give places in the origin's private files, as if the user had chosen them. */
async function picking(page) {
  await page.evaluate(async () => {
    await (await navigator.storage.getDirectory()).removeEntry('chosen', { recursive: true }).catch(() => undefined)
    const place = async () => (await navigator.storage.getDirectory()).getDirectoryHandle('chosen', { create: true })
    window.showDirectoryPicker = place
    window.showSaveFilePicker = async ({ suggestedName }) =>
      (await place()).getFileHandle(suggestedName, { create: true })
  })
}

/** The chosen place: path -> SHA-256, or bytes where a file is large. */
const chosen = page =>
  page.evaluate(async () => {
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
  const folder = shardedFolder(site, 'straight')
  const { page, problems } = await openPage(site)
  await picking(page)
  await chooseFolder(page, folder)
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  await page.click(id('convert'))
  const name = kind === 'firefox' ? 'model-int4' : 'straight-int4'
  await waitForText(page, 'saved', `Saved as ${name}`)
  assert.match(await textOf(page, 'status'), /done$/)
  assert.equal(await page.$(id('download')), null)
  const want = Object.entries(await nativeFolder(site, folder)).map(([k, v]) => [`${name}/${k}`, v])
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

test(
  'a large result goes straight to a chosen file, and nothing is left when it is stopped',
  { timeout: 200000 },
  async () => {
    const { page, problems } = await openPage(site)
    await picking(page)
    await choose(page, hugeFile(site))
    await keepAll(page)
    await page.waitForFunction(
      q => {
        const strip = document.querySelector('.strip').innerText.replace(/\s+/g, ' ')
        return !document.querySelector(q).disabled && /1\.06 GB.*1\.06 GB/.test(strip)
      },
      {},
      id('convert'),
    )
    await page.click(id('convert'))
    await page.waitForFunction(q => document.querySelector(q)?.value > 2e8, { timeout: 60000 }, id('progress'))
    await page.click(id('cancel'))
    await waitForText(page, 'error', 'Cancelled')
    await page.waitForFunction(
      async () => {
        const dir = await (await navigator.storage.getDirectory()).getDirectoryHandle('chosen')
        for await (const handle of dir.values())
          if ((await handle.getFile()).size > 0 || 'remove' in handle) return false
        return true
      },
      { timeout: 10000 },
    )
    await page.waitForSelector(`${id('convert')}:not(:disabled)`)
    await page.click(id('convert'))
    await page.waitForSelector(id('saved'), { timeout: 120000 })
    const files = await chosen(page)
    assert.equal(Object.keys(files).length, 1)
    assert.ok(Object.values(files)[0] > 1.06e9)
    assert.deepEqual(problems, [])
    await page.evaluate(async () => (await navigator.storage.getDirectory()).removeEntry('chosen', { recursive: true }))
    await page.close()
  },
)

test('the picker is asked for in the click, however busy the core is; a result has the plan’s name', async () => {
  const { page } = await openPage(site)
  await chooseFolder(page, shardedFolder(site, 'asked'))
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  const asked = q =>
    page.evaluate(q => {
      let asked = false
      window.showDirectoryPicker = () => {
        asked = true
        return Promise.reject(new DOMException('no', 'SecurityError')) // as after a click that is long ago
      }
      document.querySelector(q).click()
      return asked
    }, q)
  assert.equal(await asked(id('convert')), true)
  await page.waitForSelector(id('download'))
  const name = await page.$eval(id('download'), a => a.download)
  assert.match(name, /-int4\.zip$/)
  const before = await page.$eval(id('download'), a => a.href)
  await page.click(id('verify')) // which the next conversion ends, and with it the worker
  assert.equal(await asked(id('convert')), true)
  await page.waitForSelector(`${id('download')}:not([href="${before}"])`)
  assert.equal(await page.$eval(id('download'), a => a.download), name)
  await page.close()
})

test('a closed picker converts nothing', async () => {
  const { page } = await openPage(site)
  await page.evaluate(() => {
    window.showDirectoryPicker = () =>
      new Promise((_, reject) => setTimeout(() => reject(new DOMException('no', 'AbortError')), 600))
  })
  await chooseFolder(page, shardedFolder(site, 'declined'))
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  await page.click(id('convert'))
  await new Promise(resolve => setTimeout(resolve, 1500))
  assert.equal(await textOf(page, 'status'), 'plan ready')
  assert.equal(await page.$(id('error')), null)
  await page.close()
})

test('a permission that is lost on the way leaves nothing in the chosen folder', { timeout: 60000 }, async () => {
  const other = await siteWith(
    site,
    `let n = 0
const before = FileSystemFileHandle.prototype.createWritable
FileSystemFileHandle.prototype.createWritable = function (...args) {
  return ++n > 1 ? Promise.reject(new DOMException('no', 'NotAllowedError')) : before.apply(this, args)
}
`,
  )
  const { page } = await openPage(other)
  await picking(page)
  await chooseFolder(page, shardedFolder(site, 'lost'))
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
  await choose(page, hugeFile(site))
  const asks = () => page.evaluate(() => !dispatchEvent(new Event('beforeunload', { cancelable: true })))
  assert.equal(await asks(), false)
  // From the very change of the page on that shows the work, which is before it is painted.
  await page.evaluate(shown => {
    window.askedAtOnce = new Promise(done =>
      new MutationObserver((_, seen) => {
        if (!document.querySelector(shown)) return
        seen.disconnect()
        done(!dispatchEvent(new Event('beforeunload', { cancelable: true })))
      }).observe(document.body, { childList: true, subtree: true }),
    )
  }, id('progress'))
  await page.click(id('convert'))
  assert.equal(await page.evaluate(() => window.askedAtOnce), true)
  assert.equal(await asks(), true)
  await page.click(id('cancel'))
  await waitForText(page, 'error', 'Cancelled')
  assert.equal(await asks(), false)
  await page.close()
})
