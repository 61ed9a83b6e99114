// What the library and its workers say themselves, in each language. What the core says comes from it.

/** The languages that there are words in. */
export type Language = 'en' | 'zh'

const en = {
  versions: 'The library and its core are of different versions. Reload the page, past the browser’s cache.',
  core: (status: number) => `The core could not be loaded (${status}). Are you offline?`,
  start: 'The core could not be started. Reload the page.',
  stopped: 'the core stopped',
  cancelled: 'Cancelled.',
  none: 'There are no files in this folder.',
  closed: 'the model was closed',
  noReport: 'this model was not converted since its worker started',
  disk: 'there is no more room on the disk',
  room: (need: string, have: string) => `the result needs ${need} and the browser gives this page ${have}`,
  permission: 'the browser no longer lets the page write there',
  exists: (name: string) => `there is a folder ${name} already, and it is not empty`,
  existsFile: (name: string) => `there is a file ${name} already`,
  memory: (need: string, limit: string) =>
    'this browser gives the page no private files, so a result must fit in memory: ' +
    `${limit} at most, and this one has ${need}`,
}

const zh: typeof en = {
  versions: '程序库与核心的版本不一致。请绕过浏览器缓存重新加载。',
  core: status => `无法加载核心（${status}）。是否离线？`,
  start: '无法启动核心。请重新加载页面。',
  stopped: '核心已停止',
  cancelled: '已取消。',
  none: '这个文件夹里没有文件。',
  closed: '模型已关闭',
  noReport: '工作线程启动以来，这个模型还没有转换过',
  disk: '磁盘空间不足',
  room: (need, have) => `结果需要 ${need}，而浏览器只给这个页面 ${have}`,
  permission: '浏览器不再允许页面写入该处',
  exists: name => `已有名为 ${name} 的文件夹，而且不是空的`,
  existsFile: name => `已有名为 ${name} 的文件`,
  memory: (need, limit) => `浏览器没有给页面提供私有文件，结果只能放在内存里：最多 ${limit}，而这个结果有 ${need}`,
}

const languages = { en, zh }

/** The words of the language that was chosen. */
export let words = en

/** Chooses the language of the words. */
export function setLanguage(language: Language) {
  words = languages[language]
}
