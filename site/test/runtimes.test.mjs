// Where a result will run: the choice that comes first, the folder that comes out, the lines that try it.

import assert from 'node:assert/strict'
import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  choose,
  convert,
  download,
  fixture,
  id,
  kind,
  nibble,
  openPage,
  row,
  start,
  textOf,
  waitForRow,
  waitForText,
} from './browser.mjs'
import { chooseFolder, nativeFolder, unzip } from './inputs.mjs'

let site
before(async () => {
  site = await start()
})
after(async () => {
  await site?.stop()
})

/** The folder of a tiny model, as Transformers saves it. */
function modelFolder() {
  const folder = join(site.folder, 'tiny-llama')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  cpSync(fixture('consumers/llama-bf16-g32/src'), folder, { recursive: true })
  return folder
}

/** What a folder is called; Firefox's driver does not say. */
const home = name => (kind === 'firefox' ? 'model' : name)

const chosen = (page, name) => page.$eval(id(name), e => e.value)

/** Converts on the page and natively; the files must be the same. */
async function sameFolder(page, folder, name, ...words) {
  await convert(page)
  const made = unzip(await download(site, page, 'download', `${name}.zip`))
  assert.deepEqual(Object.fromEntries(Object.entries(made).sort()), await nativeFolder(site, folder, ...words))
}

test('a folder is for Transformers, until another place is chosen', async () => {
  const { page, problems } = await openPage(site)
  const folder = modelFolder()
  await chooseFolder(page, folder)
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  assert.equal(await chosen(page, 'runs-on'), 'transformers')
  assert.equal(await chosen(page, 'block-size'), '128')
  assert.match(await textOf(page, 'needs'), /from_pretrained opens, with compressed-tensors/)
  assert.match(await row(page, 'lm_head.weight'), /^keep: .*output head/)
  await sameFolder(page, folder, `${home('tiny-llama')}-int4`)
  await page.click(`${id('next')} summary`)
  const lines = await textOf(page, 'python')
  assert.ok(lines.includes(`AutoModelForCausalLM.from_pretrained("${home('tiny-llama')}-int4", dtype="auto")`), lines)
  await page.click(id('verify'))
  await waitForText(page, 'verification', 'Verified: 7 quantized')

  await page.select(id('runs-on'), 'mlx')
  await waitForRow(page, 'lm_head.weight', 'uint4 block 64')
  assert.equal(await chosen(page, 'quantization-scheme'), 'affine')
  assert.equal(await chosen(page, 'container'), 'mlx')
  assert.deepEqual(await page.$$eval(`${id('weight-dtype')} option`, all => all.map(o => o.value)), ['int4', 'int8'])
  await sameFolder(page, folder, `${home('tiny-llama')}-int4-mlx`, '--for', 'mlx')
  await page.click(`${id('next')} summary`)
  assert.ok((await textOf(page, 'python')).includes(`load("${home('tiny-llama')}-int4-mlx")`))

  // What is chosen for single layers is what the place has.
  await page.click('tr[data-name="lm_head.weight"] input')
  const offered = await page.$$eval(`${id('edit-granularity')} option`, all => all.map(o => o.value))
  assert.deepEqual([offered, await chosen(page, 'edit-block-size')], [['per_block'], '64'])
  await page.click(id('edit-apply'))
  await waitForRow(page, 'lm_head.weight', 'uint8 block 64')
  await page.click(id('undo'))
  await waitForRow(page, 'lm_head.weight', 'uint4 block 64')
  await page.click(id('edit-done'))

  await page.select(id('runs-on'), 'vllm')
  await waitForRow(page, 'lm_head.weight', 'output head')
  assert.match(await textOf(page, 'needs'), /run there on a processor/)

  // A container that is chosen is no place.
  await page.select(id('container'), 'int8')
  await waitForRow(page, 'lm_head.weight', 'int4 block 32')
  assert.equal(await chosen(page, 'runs-on'), 'none')
  await sameFolder(page, folder, `${home('tiny-llama')}-int4-bytes`, '--to', 'int8')
  // One that a single place reads is that place, and what is said is what is done.
  await page.select(id('container'), 'mlx')
  await waitForRow(page, 'lm_head.weight', 'uint4 block 64')
  assert.deepEqual([await chosen(page, 'runs-on'), await chosen(page, 'block-size')], ['mlx', '64'])
  // A model that cannot go there is for no place.
  await choose(page, fixture('small.safetensors'))
  assert.deepEqual([await chosen(page, 'runs-on'), await chosen(page, 'container')], ['none', 'packed'])
  assert.deepEqual(problems, [])
  await page.close()
})

test('a config says where it is for', async () => {
  const { page, problems } = await openPage(site)
  const folder = modelFolder()
  await chooseFolder(page, folder)
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  await page.$eval(id('config-input'), e => e.closest('details').setAttribute('open', ''))
  await page.type(id('config-input'), '{"global_config":{"weight_dtype":"int4","granularity":"per_channel"},')
  await page.type(id('config-input'), '"nibble":{"for":"vllm"}}')
  await waitForRow(page, 'model.layers.0.mlp.up_proj.weight', 'int4 per channel')
  assert.match(await row(page, 'lm_head.weight'), /output head/)
  assert.equal(await chosen(page, 'runs-on'), 'vllm')
  assert.match(await textOf(page, 'needs'), /run there on a processor/)
  await convert(page)
  await page.click(`${id('next')} summary`)
  assert.match(await textOf(page, 'python'), /LLM\(/)
  assert.deepEqual(problems, [])
  await page.close()
})

test('a folder of compressed-tensors becomes one of MLX, with its codes', async () => {
  const { page, problems } = await openPage(site)
  const folder = join(site.folder, 'packed-llama')
  await nibble('convert', modelFolder(), '-o', folder)
  await chooseFolder(page, folder)
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  assert.equal(await chosen(page, 'runs-on'), 'mlx')
  assert.match(await page.$eval('.meta', e => e.textContent), /65\.\d K parameters/)
  const off = await page.$$eval(`${id('runs-on')} option`, all => all.filter(o => o.disabled).map(o => o.value))
  assert.deepEqual(off, ['transformers', 'vllm'])
  assert.match(await textOf(page, 'note'), /The codes stay as they are/)
  for (const control of ['weight-dtype', 'granularity', 'block-size', 'quantization-scheme'])
    assert.ok(await page.$eval(id(control), e => e.disabled), control)
  assert.equal((await page.$$('tr[data-name] input')).length, 0)
  assert.equal((await page.$$(id('embeddings'))).length + (await page.$$(id('keep-unfit'))).length, 0)
  await sameFolder(page, folder, `${home('packed-llama')}-int4-mlx`, '--for', 'mlx')
  assert.deepEqual(problems, [])
  await page.close()
})

test('a file alone is for no place that wants a folder, and that is said', async () => {
  const { page, problems } = await openPage(site)
  await choose(page, fixture('small.safetensors'))
  const off = await page.$$eval(`${id('runs-on')} option`, all => all.filter(o => o.disabled).map(o => o.value))
  assert.deepEqual(off, ['transformers', 'vllm', 'mlx'])
  assert.equal(await chosen(page, 'runs-on'), 'none')
  const said = await page.$eval('.recipe', e => e.innerText)
  assert.match(said, /Transformers, vLLM, MLX open a model’s folder with its config.json/)
  assert.deepEqual(problems, [])
  await page.close()
})
