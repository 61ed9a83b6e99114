// Made by ./build.sh generate of the Go types in quant/protocol, where they are explained. Not to be edited.

export const PROTOCOL = 9

export type AdviceCode =
  | 'mostly' | 'tied' | 'tied_other' | 'fold_weight_norm' | 'fold_spectral_norm' | 'fold_pruning'
  | 'fold_parametrizations' | 'ios18' | 'ios16' | 'gpu' | 'coarse'
export type ClassName =
  | 'Linear' | 'Conv1D' | 'Embedding' | 'MultiheadAttention' | 'Conv1d' | 'ConvTranspose1d' | 'Conv2d'
  | 'ConvTranspose2d' | 'Conv3d' | 'ConvTranspose3d' | 'RNN' | 'Module'
export type ClassSource =
  | '' | 'file' | 'user' | 'inferred' | 'doubtful'
export type ContainerName =
  | 'packed' | 'int8' | 'coremltools' | 'mlx'
export type FailureKind =
  | 'format' | 'unsupported' | 'machine' | 'internal' | 'cancelled'
export type FaultCode =
  | '' | 'choose_part' | 'no_part' | 'other_part' | 'distributed' | 'zero3' | 'already_quantized'
  | 'none_quantized' | 'tied' | 'no_place' | 'reserved' | 'unfit' | 'needs_folder' | 'no_architecture'
  | 'family_refused' | 'codes_stay'
export type Granularity =
  | 'per_tensor' | 'per_channel' | 'per_block'
export type HighNibble =
  | 'sign' | 'zero'
export type KeptCode =
  | 'as_it_is' | 'beyond' | 'bias' | 'blocks' | 'conv1d' | 'doubtful' | 'embedding' | 'empty' | 'experts'
  | 'fused' | 'head' | 'no_groups' | 'no_layer' | 'no_rule' | 'norm' | 'not_float' | 'not_read' | 'other_class'
  | 'other_layer' | 'recipe' | 'recurrent' | 'relabelled' | 'router' | 'set_kept' | 'split' | 'tied' | 'tied_head'
  | 'unfit' | 'vector'
export type ReasonCode =
  | 'a_class' | 'as_it_is' | 'attention' | 'beyond' | 'bias' | 'blocks' | 'conv1d' | 'cuts_nothing'
  | 'doubt_bias_axes' | 'doubt_bias_values' | 'doubt_embedding' | 'doubt_kernel' | 'doubt_long'
  | 'doubt_modulated' | 'doubt_name' | 'doubt_neither' | 'doubtful' | 'embedding' | 'empty' | 'experts'
  | 'few_inputs' | 'few_weights' | 'frozen' | 'fused' | 'head' | 'infinite' | 'inputs' | 'kernel_axis'
  | 'many_axes' | 'nan' | 'no_fit' | 'no_gain' | 'no_groups' | 'no_layer' | 'no_rule' | 'norm' | 'not_float'
  | 'not_read' | 'not_smaller' | 'other_class' | 'other_layer' | 'outputs' | 'recipe' | 'recurrent' | 'relabelled'
  | 'router' | 'set_kept' | 'split' | 'tied' | 'tied_head' | 'too_large_f16' | 'too_large_f32' | 'too_large_f64'
  | 'too_small' | 'unfit' | 'vector' | 'weight'
export type RemedyCode =
  | 'beyond' | 'blocks' | 'conv1d' | 'doubtful' | 'embedding' | 'experts' | 'no_groups' | 'no_layer' | 'no_rule'
  | 'not_float' | 'not_read' | 'router' | 'split'
export type RuntimeName =
  | 'transformers' | 'vllm' | 'mlx'
export type SchemeMode =
  | 'symmetric' | 'affine'
export type Verdict =
  | 'quantize' | 'keep'
export type WarningCode =
  | 'noise' | 'grows' | 'shards' | 'not_loaded' | 'not_tried' | 'slow_groups' | 'no_config'
export type WeightDType =
  | 'int4' | 'uint4' | 'int8' | 'uint8'

/** A reason's code and its arguments; as an argument of another, one list. */
export type ReasonArg = string | Reason
export type Reason = [ReasonCode, ...ReasonArg[]]

export interface InspectRequest {
  parts: string[]
  folder: boolean
}

export interface Inspection {
  name: string
  bytes: number
  format: string
  shards: number
  folder: boolean
  beside: number
  tensors: number
  parameters: number
  dtypes: string[]
  notes: string[]
  parts: Part[]
  missing: string[]
  choices: Choices
}

export interface PlanRequest {
  config: string
  global: Global
  edits: Edit[]
  types: SetType[]
  options: Options
  for: RuntimeName
  container: ContainerName
  high_nibble: HighNibble | null
}

export interface Report {
  nibble: string
  inputs: FileRow[]
  output: FileRow
  folder: boolean
  files: FileRow[]
  recipe: unknown
  tensors: TensorRow[]
  totals: Totals
  notes: string[]
  options: Options
  advice: Advice[]
  problem: string
  problem_code: FaultCode
  problem_args: ReasonArg[]
  warnings: Warning[]
  parts: Part[]
}

export interface MeasureRequest {
  names: string[]
}

export interface Figures {
  rmse: number | null
  sqnr_db: number | null
  cosine: number | null
  max_abs_error: number | null
}

export interface ConvertRequest {
  name: string
  hash: boolean
  zip: boolean
  batch: number
}

export interface ReportRequest {
  form: string
}

export interface PythonRequest {
  name: string
}

export interface Exported {
  json: string
  yaml: string
  notes: string[]
}

export interface Verification {
  ok: boolean
  container: string
  tensors: VerifiedRow[]
}

export interface Memory {
  tensors: number
  collections: number
  heap: number
}

export interface Failure {
  kind: FailureKind
  code: FaultCode
  args: ReasonArg[]
  file: string
  tensor: string
  message: string
}

export interface Part {
  name: string
  tensors: number
  bytes: number
  ema: boolean
  chosen: boolean
}

export interface Choices {
  runtimes: Runtime[]
  containers: Container[]
  dtypes: WeightDType[]
  grains: Grain[]
  schemes: SchemeMode[]
  high_nibbles: HighNibble[]
  classes: Class[]
  group_sizes: number[]
  defaults: Defaults
  edit: Global
}

export interface Global {
  dtype: string
  granularity: string
  group_size: string
  scheme: string
}

export interface Edit {
  module: string
  entry: Global | null
}

export interface SetType {
  module: string
  class: string
}

export interface Options {
  for: string
  module_types: string[]
  include_embeddings: boolean
  coremltools_skips: boolean
  keep_unfit: boolean
  allow_none: boolean
  parts: string[]
}

export interface FileRow {
  name: string
  bytes: number
  sha256: string | null
  format: string
}

export interface TensorRow extends Figures {
  name: string
  shape: number[]
  dtype: string
  module: string
  module_type: string
  module_type_source: ClassSource
  verdict: Verdict
  rule: string
  reason: string
  reason_code: ReasonCode
  reason_args: ReasonArg[]
  scheme: Scheme | null
  bytes_in: number
  bytes_out: number
  parameters: number
  settable: boolean
  beyond_coremltools: string
  beyond_reason: Reason | null
}

export interface Totals extends Figures {
  tensors: number
  quantized: number
  parameters: number
  bytes_in: number
  bytes_out: number
  bytes_weights: number
  bytes_left_out: number
}

export interface Advice {
  about: string
  text: string
  fits: boolean
  code: AdviceCode
  args: ReasonArg[]
  python: string
}

export interface Warning {
  about: WarningCode
  text: string
  names: string[]
}

export interface VerifiedRow {
  name: string
  verdict: string
  ok: boolean
  max_abs_error: number | null
  problem: string
}

export interface Runtime {
  name: RuntimeName
  container: ContainerName
  global: Global
  dtypes: WeightDType[]
  grains: Grain[]
  schemes: SchemeMode[]
  group_sizes: number[]
  edit: Global
  fixed: boolean
  why_not: Failure | null
}

export interface Container {
  name: ContainerName
  extension: string
  high_nibbles: boolean
  for: RuntimeName
  why_not: Failure | null
}

export interface Grain {
  name: Granularity
  blocks: boolean
}

export interface Class {
  name: ClassName
  rank: number
  other: boolean
}

export interface Defaults {
  global: Global
  options: Options
  for: RuntimeName
  container: ContainerName
  high_nibble: HighNibble
}

export interface Scheme {
  weight_dtype: WeightDType
  granularity: Granularity
  quantization_scheme: SchemeMode
  block_size: number[] | null
  scale_shape: number[]
}
