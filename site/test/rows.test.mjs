// Rows that are edited and filtered, reports, and the languages of the page.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  choose,
  choosePerChannel,
  convert,
  download,
  fill,
  fixture,
  id,
  nibble,
  openPage,
  pick,
  planned,
  perChannel,
  root,
  row,
  start,
  textOf,
  waitForRow,
  waitForText,
} from './browser.mjs'

let site
before(async () => {
  site = await start()
})
after(async () => {
  await site?.stop()
})

const sample = join(root, 'dist/sample-tiny-transformer.safetensors')

test('edits that follow each other at once all hold', async () => {
  // Large enough that measuring the first edit is still under way when the next comes.
  const file = join(site.folder, 'large.safetensors')
  const header = {}
  for (let i = 0; i < 6; i++)
    header[`layers.${i}.weight`] = { dtype: 'F32', shape: [4096, 1024], data_offsets: [i << 24, (i + 1) << 24] }
  const text = Buffer.from(JSON.stringify(header)),
    size = Buffer.alloc(8)
  size.writeBigUInt64LE(BigInt(text.length))
  const values = new Float32Array(6 << 22)
  for (let i = 0; i < values.length; i++) values[i] = Math.sin(i) / 20
  writeFileSync(file, Buffer.concat([size, text, Buffer.from(values.buffer)]))
  const { page } = await openPage(site)
  await choose(page, file)
  for (let i = 0; i < 4; i++) {
    await pick(page, `layers.${i}.weight`)
    await page.click(id(i % 2 ? 'edit-keep' : 'edit-apply'))
    await page.click(id('edit-done'))
  }
  await page.click(id('convert'))
  await page.waitForSelector(id('download'))
  assert.match(await row(page, 'layers.0.weight'), /^quantize: .*int8 per channel by hand/)
  assert.match(await row(page, 'layers.1.weight'), /^keep: .*by hand/)
  assert.match(await row(page, 'layers.2.weight'), /^quantize: .*int8 per channel by hand/)
  assert.match(await row(page, 'layers.3.weight'), /^keep: .*by hand/)
  assert.match(await row(page, 'layers.4.weight'), /^quantize: .*int4 block 32/)
  for (let i = 4; i > 0; i--) {
    assert.equal(await page.$eval(id('undo'), b => b.disabled), false)
    await page.click(id('undo'))
  }
  assert.equal(await page.$eval(id('undo'), b => b.disabled), true)
  await waitForRow(page, 'layers.0.weight', 'int4 block 32')
  await page.close()
})

test('what the filter hides is counted, and taken out by itself', async () => {
  const { page } = await openPage(site)
  await choose(page, sample)
  await fill(page, 'filter', 'self_attn')
  await page.click(id('select-all'))
  await fill(page, 'filter', 'lm_head')
  assert.match(await textOf(page, 'edit-bar'), /16 selected \(16 outside the filter\)/)
  await page.click(id('select-all'))
  assert.match(await textOf(page, 'edit-bar'), /17 selected \(16 outside/)
  await page.click(id('select-all'))
  assert.match(await textOf(page, 'edit-bar'), /16 selected \(16 outside/)
  await page.select(id('edit-granularity'), 'per_block')
  for (const wrong of ['0', '-3', 'abc', '']) {
    await fill(page, 'edit-block-size', wrong)
    assert.equal(await page.$eval(id('edit-apply'), b => b.disabled), true, wrong)
  }
  await page.click(id('edit-done'))
  await fill(page, 'filter', '')
  await pick(page, 'model.embed_tokens.weight')
  await page.click(id('edit-embeddings'))
  await waitForRow(page, 'model.embed_tokens.weight', 'int4 block 32')
  await page.close()
})

test('reports and the lines of Python are the command’s', async () => {
  const { page, problems } = await openPage(site)
  await choosePerChannel(page, fixture('ptq-mlp-f32.pt'))
  for (const [to, name] of [
    ['packed', 'ptq-mlp-f32-int4.safetensors'],
    ['coremltools', 'ptq-mlp-f32-int4.pt'],
    ['int8', 'ptq-mlp-f32-int4-bytes.safetensors'],
  ]) {
    await page.select(id('container'), to)
    await planned(page)
    await convert(page)
    await page.click(`${id('next')} summary`)
    const out = join(site.folder, name),
      base = name.replace(/\.\w+$/, '-report')
    await nibble(
      'convert',
      fixture('ptq-mlp-f32.pt'),
      ...perChannel(site.folder),
      '--to',
      to,
      '-o',
      out,
      '--report',
      join(site.folder, 'r.csv'),
      '--report',
      join(site.folder, 'r.html'),
    )
    for (const form of ['csv', 'html']) {
      const got = (await download(site, page, `report-${form}`, `${base}.${form}`)).toString()
      assert.equal(
        got,
        readFileSync(join(site.folder, `r.${form}`), 'utf8').replaceAll(fixture('ptq-mlp-f32.pt'), 'ptq-mlp-f32.pt'),
      )
    }
    assert.equal(await textOf(page, 'python'), (await nibble('python', out)).replace(`"${out}"`, `"${name}"`))
    assert.match(await textOf(page, 'advice'), /iOS 18 or macOS 15/)
  }
  assert.deepEqual(problems, [])
  await page.close()
})

test('the page speaks Chinese, and goes on where it was', async () => {
  const { page } = await openPage(site)
  await choose(page, sample)
  await pick(page, 'lm_head.weight')
  await page.click(id('language'))
  assert.equal(await page.$eval('html', e => e.lang), 'zh')
  assert.match(await textOf(page, 'edit-bar'), /已选 1 个/)
  assert.match(await row(page, 'model.embed_tokens.weight'), /嵌入层：coremltools 不量化/)
  await convert(page)
  assert.match(await textOf(page, 'status'), /done$/)
  await page.click(id('verify'))
  await waitForText(page, 'verification', '校验通过：29 个量化张量')
  for (const width of [1280, 640, 390, 320]) {
    await page.setViewport({ width, height: 800 })
    const wide = await page.evaluate(() =>
      [...document.querySelectorAll('.page *:not(option)')]
        .filter(
          e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 0.5 && !e.closest('.fine, pre'),
        )
        .map(e => e.outerHTML.slice(0, 80)),
    )
    assert.deepEqual(wide, [], `at ${width} pixels something sticks out`)
  }
  await page.setViewport({ width: 1280, height: 900 })
  await page.click(id('language'))
  await waitForText(page, 'verification', 'Verified: 29 quantized')
  await page.close()
})
