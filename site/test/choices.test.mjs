// What the page asks before work, and says of what it does not do: several models in one file, one file of several,
// what is quantized already, what is left open.

import assert from 'node:assert/strict'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  choose,
  convert,
  download,
  fixture,
  id,
  nibble,
  openPage,
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

/** A safetensors file of float32 matrices of noise. */
function matrices(name, shapes, value = i => Math.sin(i * 7.3) / 3) {
  const header = {},
    values = []
  let at = 0
  for (const [tensor, shape] of Object.entries(shapes)) {
    const n = shape.reduce((a, b) => a * b, 1)
    header[tensor] = { dtype: 'F32', shape, data_offsets: [at, (at += 4 * n)] }
    for (let i = 0; i < n; i++) values.push(value(i))
  }
  const text = Buffer.from(JSON.stringify(header)),
    size = Buffer.alloc(8),
    path = join(site.folder, name)
  size.writeBigUInt64LE(BigInt(text.length))
  writeFileSync(path, Buffer.concat([size, text, Buffer.from(new Float32Array(values).buffer)]))
  return path
}

const open = async (page, path) => (await page.waitForSelector(id('file-input'))).uploadFile(path)
const part = name => `${id('parts')} input[data-part="${name}"]`

test('of a live model and its average one is chosen, and the other on demand', async () => {
  const { page, problems } = await openPage(site)
  const file = fixture('cases/timm_train.pth.tar')
  await choose(page, file)
  assert.equal(await page.$eval(part('state_dict_ema'), e => e.checked), true)
  assert.match(await textOf(page, 'parts'), /Converted:.*state_dict_ema.*EMA/)
  // The weights alone are counted; the other model stands beside them.
  assert.match(await page.$eval('.legend', e => e.innerText), /left out: other parts.* 8\.58 kB\s*3\.5× smaller/s)
  await convert(page)
  const average = await download(site, page)
  await page.click(part('state_dict'))
  await page.waitForFunction(q => document.querySelector(q)?.checked, {}, part('state_dict'))
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  assert.equal(await page.$(id('download')), null)
  await convert(page)
  const live = await download(site, page),
    out = join(site.folder, 'live')
  await nibble('convert', file, '--part', 'state_dict', '-o', out)
  assert.ok(live.equals(readFileSync(out)))
  assert.ok(!live.equals(average))
  await page.click(id('verify'))
  await waitForText(page, 'verification', 'Verified: 1 quantized')
  assert.deepEqual(problems, [])
  await page.close()
})

test('of several models none is converted before one is chosen', async () => {
  const { page, problems } = await openPage(site)
  const file = fixture('cases/kokoro_parts.pth')
  await open(page, file)
  await page.waitForSelector(id('parts'))
  assert.match(await textOf(page, 'parts'), /Choose one or more/)
  assert.equal(await page.$eval(id('convert'), b => b.disabled), true)
  await page.click(part('decoder'))
  await page.waitForSelector('tr[data-name="module.fc.weight"]')
  await page.click(part('bert'))
  await page.waitForSelector('tr[data-name="bert.module.fc.weight"]')
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  await convert(page)
  const out = join(site.folder, 'parts')
  await nibble('convert', file, '--part', 'bert', '--part', 'decoder', '-o', out)
  assert.ok((await download(site, page)).equals(readFileSync(out)))
  assert.deepEqual(problems, [])
  await page.close()
})

test('one file of several is asked about first', async () => {
  const { page } = await openPage(site)
  const file = join(site.folder, 'model-00001-of-00002.safetensors')
  copyFileSync(matrices('whole.safetensors', { 'a.weight': [64, 64] }), file)
  await open(page, file)
  await page.waitForSelector(id('ask-shards'))
  assert.match(await textOf(page, 'ask-shards'), /one file of a model of 2\. Missing:model-00002-of-00002\.safetensors/)
  assert.equal(await page.$(id('convert')), null)
  await page.click(id('go-on'))
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  assert.match(await textOf(page, 'hints'), /one file of a model of 2/)
  await convert(page)
  await page.close()
})

test('what is quantized already is said at once', async () => {
  const { page } = await openPage(site)
  await open(page, fixture('cases/bnb_nf4.safetensors'))
  await waitForText(
    page,
    'error',
    'this model is quantized already (bitsandbytes (NF4)); take the checkpoint from before it was quantized',
  )
  assert.equal(await page.$eval(id('convert'), b => b.disabled), true)
  await page.close()
})

test('what is doubtful is kept, can be picked at once, and set', async () => {
  const { page } = await openPage(site)
  await choose(
    page,
    matrices('up.safetensors', { 'up.weight': [64, 64, 2, 2], 'mask.weight': [64, 64, 4, 4], 'fc.weight': [64, 64] }),
  )
  assert.match(await row(page, 'up.weight'), /^keep: .*ConvTranspose2d\?\?.*doubtful/)
  assert.match(await textOf(page, 'hints'), /9\d % of the model is kept: layers that names and shapes leave open/)
  await page.click(id('pick-doubtful'))
  assert.match(await textOf(page, 'edit-bar'), /2 selected/)
  await page.select(id('edit-type'), 'ConvTranspose2d')
  await waitForRow(page, 'mask.weight', 'ConvTranspose2d int4')
  await page.close()
})

test('a layer that lost most is warned about', async () => {
  const { page } = await openPage(site)
  // A loud weight in each row; the rest are about one step of its scale.
  await choose(
    page,
    matrices('noise.safetensors', { 'fc.weight': [64, 64] }, i => (i % 64 ? Math.sin(i) * 0.28 : 4)),
  )
  await page.select(id('granularity'), 'per_channel')
  await page.waitForFunction(
    q => !document.querySelector('.stale') && document.querySelector(q)?.disabled === false,
    {},
    id('convert'),
  )
  assert.equal(await page.$(id('hints')), null)
  await convert(page)
  assert.match(await textOf(page, 'hints'), /1 layer is below 12 dB, less than two bits: fc\.weight\./)
  const report = JSON.parse(await download(site, page, 'report-download'))
  assert.deepEqual(
    report.warnings.map(w => [w.about, w.names]),
    [['noise', ['fc.weight']]],
  )
  await page.close()
})

test('no word of the page or of the core names an option of the command', async () => {
  const { page } = await openPage(site)
  for (const file of [
    'ptq-tied-f32.pt',
    'cases/kokoro_parts.pth',
    'cases/tied_compiled.pt',
    'cases/lora_kohya.safetensors',
    'ptq-conv-f32.pt',
  ]) {
    await open(page, fixture(file))
    await page.waitForFunction(
      n => document.querySelector('h2')?.textContent === n && document.querySelector('.bench'),
      {},
      file.split('/').pop(),
    )
    await page.waitForFunction(() => !document.querySelector('.stale'))
    assert.doesNotMatch(await page.evaluate(() => document.body.innerText), /(^|\s)--[a-z]/)
  }
  await page.close()
})

test('a container that cannot hold a model says why, and cannot be chosen', async () => {
  const { page, problems } = await openPage(site)
  const header = Buffer.from(
    JSON.stringify({
      four: { dtype: 'F4', shape: [8], data_offsets: [0, 4] },
      'a.weight': { dtype: 'F32', shape: [64, 64], data_offsets: [4, 16388] },
    }),
  )
  const size = Buffer.alloc(8),
    file = join(site.folder, 'four.safetensors')
  size.writeBigUInt64LE(BigInt(header.length))
  writeFileSync(file, Buffer.concat([size, header, Buffer.alloc(16388, 1)]))
  await choose(page, file)
  const off = await page.$$eval(`${id('container')} option`, all => all.filter(o => o.disabled).map(o => o.value))
  assert.deepEqual(off, ['coremltools', 'mlx'])
  await page.waitForFunction(() =>
    document
      .querySelector('.recipe')
      .innerText.includes('not for this model: tensor "four": dtype F4 has no place in a torch file'),
  )
  await convert(page)
  await page.click(id('verify'))
  await waitForText(page, 'verification', 'Verified: 1 quantized')
  assert.deepEqual(problems, [])
  await page.close()
})

test('what has a code is said in Chinese: reasons with their numbers, and errors', async () => {
  const { page, problems } = await openPage(site)
  await page.click(id('language'))
  await choose(
    page,
    matrices('odd.safetensors', { 'a.weight': [64, 64], 'odd.weight': [16, 70], 'wte.weight': [64, 64] }),
  )
  const why = name => page.$eval(`tr[data-name="${name}"] .why`, e => e.innerText)
  assert.equal(await why('odd.weight'), '70 个输入通道不能按 32 划分')
  assert.equal(await why('wte.weight'), '嵌入层：coremltools 不量化')
  await choose(page, fixture('small.safetensors'))
  await open(page, fixture('cases/ct_packed.safetensors'))
  await waitForText(page, 'error', '这个模型已经量化过（')
  assert.doesNotMatch(await textOf(page, 'error'), /this model|take the/)
  assert.deepEqual(problems, [])
  await page.close()
})
