// What the library and its workers say themselves, in each language. What the core says comes from it.

/** The languages that there are words in. */
export type Language = 'en' | 'zh'

const en = {
  versions: 'The library and its core are of different versions. Reload the page, past the browser’s cache.',
  core: (status: number) => `The core could not be loaded (${status}). Are you offline?`,
  start: 'The core could not be started. Reload the page.',
  stopped: 'the core stopped',
  cancelled: 'Cancelled.',
  none: 'There are no files.',
  noBytes: (name: string) => `a file is {name, blob}, and ${name} has no blob`,
  noTarget: 'a target is "private", a file or directory handle, or an object with create',
  noWritable: 'create gave nothing with write and close, and no WritableStream',
  noRuntime: (name: string) => `there is no place ${name} to run a model`,
  noContainer: (name: string) => `there is no container ${name}`,
  noKey: (key: string) => `a recipe has no ${key}`,
  otherPlan: 'this is no plan of this model',
  closed: 'the model was closed',
  noReport: 'the worker has no conversion of this model: it was ended, or opened another one',
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
  none: '没有文件。',
  noBytes: name => `文件应为 {name, blob}，而 ${name} 没有 blob`,
  noTarget: '目标应为 "private"、文件或目录句柄，或带有 create 的对象',
  noWritable: 'create 没有给出带 write 和 close 的对象，也没有给出 WritableStream',
  noRuntime: name => `没有名为 ${name} 的运行环境`,
  noContainer: name => `没有名为 ${name} 的容器`,
  noKey: key => `配方里没有 ${key}`,
  otherPlan: '这不是这个模型的方案',
  closed: '模型已关闭',
  noReport: '工作线程没有这个模型的转换：它已结束，或打开了别的模型',
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
  if (!Object.hasOwn(languages, language)) throw new RangeError(`there are no words in the language ${language}`)
  words = languages[language]
}
