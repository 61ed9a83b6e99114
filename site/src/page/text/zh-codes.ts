// 核心给出的代码，用中文说：保留的原因、错误、建议。

import type { Advice, AdviceCode, KeptCode } from '../../library/nibble'
import { sayArg, type Faults, type Reasons } from '../say'

/** 保留的张量是什么，按核心给出的代码。 */
export const kinds: Record<KeptCode, string> = {
  not_float: '数值不是浮点数',
  empty: '空张量',
  bias: '偏置',
  vector: '每通道至多一个数（归一化、滑动均值）',
  recurrent: '循环层：coremltools 不量化',
  other_class: 'coremltools 不量化的层类型',
  embedding: '嵌入层：coremltools 不量化',
  conv1d: 'Transformers 的 Conv1D（[输入, 输出]）：coremltools 不量化',
  norm: '归一化层：coremltools 不量化',
  router: '专家混合的路由层',
  experts: '叠放在一个张量里的专家',
  split: '分成几部分的权重（weight_norm、spectral_norm、parametrizations）',
  doubtful: '名称和形状无法确定是哪种层',
  no_layer: '不是 coremltools 会量化的层的权重',
  no_rule: '方案中没有规则提到它',
  recipe: '方案要求保留',
  set_kept: '类型被设为其他，保留',
  unfit: '含有无法量化的数值（NaN、无穷或过大）',
  blocks: '各轴不能按这样的块划分',
  beyond: '一行不比一个块长，coremltools 会跳过；层又太小，量化无益',
  tied: '与保留的权重是同一个（绑定）',
  other_layer: '该环境不以 4 位读取的层',
  not_read: '该环境不以 4 位读取的张量',
  head: '输出头：按惯例保留',
  tied_head: '与嵌入层绑定，该环境读取嵌入层，因此不写入',
  no_groups: '组大小不能整除输入数的层',
  fused: '加载时与保留的层合为一个权重的层',
  relabelled: '码和缩放因子不变，换一种形式',
  as_it_is: '保持不变的张量',
}

/** 原因的说法，按代码；参数与核心给出的相同。 */
export const reasons: Reasons = {
  weight: layer => `${layer}的权重`,
  a_class: name => `${name} `,
  attention: name => `注意力层（${name}）`,
  not_float: dtype => `${dtype} 数值，不是浮点权重`,
  empty: () => kinds.empty,
  bias: () => kinds.bias,
  vector: () => kinds.vector,
  recurrent: () => kinds.recurrent,
  other_class: name => `${name}：coremltools 不量化`,
  embedding: () => kinds.embedding,
  conv1d: () => kinds.conv1d,
  norm: () => kinds.norm,
  router: () => kinds.router,
  experts: () => kinds.experts,
  split: () => kinds.split,
  no_layer: () => kinds.no_layer,
  no_rule: () => kinds.no_rule,
  recipe: () => kinds.recipe,
  set_kept: () => kinds.set_kept,
  other_layer: name => `${name}：该环境不以 4 位读取`,
  not_read: () => kinds.not_read,
  head: () => kinds.head,
  tied_head: () => kinds.tied_head,
  no_groups: (n, size) => `${n} 个输入不能按 ${size} 分组`,
  relabelled: () => kinds.relabelled,
  as_it_is: () => '保持不变',
  fused: name => `加载时与 ${name} 合为一个权重，后者保留`,
  tied: (name, why) => `与 ${name} 是同一个权重（绑定），后者保留（${why}）`,
  unfit: why => `无法量化：${why}`,
  nan: () => '权重中有不是数的值（NaN）',
  infinite: () => '权重中有无穷大',
  too_large_f16: () => '权重的跨度超出 F16 运算的范围',
  too_large_f32: () => '权重的跨度超出 F32 运算的范围',
  too_large_f64: () => '权重的跨度超出 F64 运算的范围',
  doubtful: why => `存疑：${why}；设定类型后即可量化`,
  doubt_bias_axes: (n, name) => `偏置有 ${n} 个轴，而 ${name} 的偏置只有一个`,
  doubt_bias_values: (n, rows) => `偏置有 ${n} 个值，而 Linear 的应有 ${rows} 个`,
  doubt_modulated: () => '四轴卷积核之前还有一个长度为 1 的轴，像是经过调制的权重',
  doubt_long: n => `最后一个轴长 ${n}，不像卷积核，名称也不含 conv`,
  doubt_embedding: () => '名称像是嵌入层',
  doubt_neither: (n, a, b) => `偏置有 ${n} 个值，既不合 ${a} 也不合 ${b}`,
  doubt_name: (a, b) => `从名称看可能是 ${a}，也可能是 ${b}`,
  doubt_kernel: (a, b) => `卷积核边长为偶数，可能是 ${a}，也可能是 ${b}`,
  blocks: why => why,
  beyond: why => why,
  too_small: (theirs, ours) => `coremltools 会保留（${theirs}），Nibble 也保留：${ours}`,
  cuts_nothing: size => `block_size ${size} 不划分任何轴`,
  not_smaller: (block, n) => `大小为 ${block} 的块不小于 ${n} 个输入通道`,
  outputs: (n, block) => `${n} 个输出通道不能按 ${block} 划分`,
  inputs: (n, block) => `${n} 个输入通道不能按 ${block} 划分`,
  many_axes: (n, axes) => `block_size 有 ${n} 项，而权重只有 ${axes} 个轴`,
  kernel_axis: (i, size, n) => `block_size 的第 ${Number(i) + 1} 项是 ${size}：卷积核的轴不划分，应为 0 或 ${n}`,
  no_fit: (r, c, rows, cols) => `${r} × ${c} 的块与 ${rows} × ${cols} 个通道不合`,
  frozen: () => '它是冻结的，可能不是权重',
  few_inputs: n => `输入少于 ${n} 个`,
  few_weights: n => `权重少于 ${n} 个`,
  no_gain: () => '码和缩放因子并不比权重小',
}

/** 出错的说法，按代码；没有代码的错误保持英文原文。 */
export const faults: Faults = {
  choose_part: () => '文件中有多个模型：请选择一个或几个',
  no_part: name => `文件中没有名为 ${name} 的部分，或不止一个`,
  other_part: parts => `配置针对文件的另一部分（${parts}）：请选择该部分，或从配置中删去`,
  distributed: () =>
    '这是分布式检查点的一部分：请用 python -m torch.distributed.checkpoint.format_utils dcp_to_torch 文件夹 model.pt 合成一个文件',
  zero3: () =>
    '这是 DeepSpeed ZeRO-3 检查点中一个进程的部分，张量里没有数值：请在检查点的文件夹中运行 python zero_to_fp32.py . merged，使用它的结果',
  already_quantized: by => `这个模型已经量化过（${by}）：请使用量化之前的文件`,
  none_quantized: code => `没有任何张量会被量化，大部分保留：${kinds[code as KeptCode]}`,
  tied: (a, b) => `${b} 与 ${a} 是同一个权重（绑定），方案对两者的要求不同：请写一条同时匹配两个名称的规则`,
  no_place: dtype => `这种文件不能存放 ${dtype} 类型的张量：请选择其他格式`,
  reserved: () => '这个名称由 safetensors 自己使用：请在源文件中改名，或选择其他格式',
  needs_folder: place => `${place} 需要带有 config.json 的模型文件夹：请选择整个文件夹`,
  no_architecture: place => `config.json 没有写明架构，${place} 无从得知模型的类`,
  codes_stay: () => '它已经量化过，编码原样保留：方案里不能再有其他要求',
  family_refused: (type, place) => `${place} 不能从这样的文件夹加载 ${type}`,
  unfit: why => `${why}：请修复模型文件，或选择保留无法量化的张量`,
}

/** 建议的说法，按代码；Python 代码另附。 */
const advice: Record<AdviceCode, (...args: string[]) => string> = {
  mostly: (percent, code) => `模型的 ${percent} % 保留不变：${kinds[code as KeptCode]}。`,
  tied: () => '有的权重与嵌入层是同一个（绑定），两者都保留。“嵌入层也量化”后两者都会量化，coremltools 就是这样做的。',
  tied_other: () => '有的权重与保留的权重是同一个（绑定），都保留。要量化，请把两者的类型都设好。',
  fold_pruning: () => '有的权重运行时才剪枝（掩码），保留不变。要量化，请在 Python 中合并、保存，再转换：',
  fold_weight_norm: () => '有的权重分成两部分（weight_norm），保留不变。要量化，请在 Python 中合并、保存，再转换：',
  fold_spectral_norm: () =>
    '有的权重运行时才除以谱范数（spectral_norm），保留不变。要量化，请在 Python 中合并、保存，再转换：',
  fold_parametrizations: () =>
    '有的权重运行时才由其他权重算出（parametrizations），保留不变。要量化，请在 Python 中合并、保存，再转换：',
  ios18: () =>
    '4 位线性权重和按块量化需要 iOS 18 或 macOS 15：转换时设置 minimum_deployment_target=ct.target.iOS18。' +
    '用默认目标时，转换器不作任何提示，直接保留未压缩的权重。',
  ios16: () => '按通道或按张量的 8 位权重从 iOS 16 和 macOS 13 起即可运行。',
  gpu: () =>
    '按块量化适合 Mac 的 GPU。神经网络引擎要求每通道一个缩放因子，或查找表（coremltools 的 palettization）；' +
    '按块的层在其上会转到别处运行，或者失败。',
  coarse: () =>
    '4 位而每通道或每张量只有一个缩放因子，精度损失往往太大：试试 64、32 或 16 的块；若必须在神经网络引擎上运行，用 8 位。',
}

export const adviceOf = (a: Advice) => advice[a.code](...a.args.map(x => sayArg(reasons, x)))
