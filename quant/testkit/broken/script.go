package broken

import (
	"archive/zip"
	"strings"

	"nibble/quant/fault"
)

const moduleCode = "class M(Module):\n  __parameters__ = [\"w\", ]\n  __buffers__ = []\n"

// script is a TorchScript archive: a value, and pairs of further entries.
func script(value string, entries ...string) func() []byte {
	return zips(append([]string{"m/data.pkl", "\x80\x02" + value, "m/constants.pkl", "\x80\x02).", "m/data/0",
		times("\x00", 16)}, entries...)...)
}

// object is a module of class __torch__.M with one attribute.
func object(name, value string) string {
	return "c__torch__\nM\n)\x81}" + text(name) + value + "sb."
}

var scriptCases = []Case{
	{Name: "script: a dict", Kind: fault.Format, At: -1, Says: "holds a dict of 0, not a module", Make: script("}.")},
	{Name: "script: another class", Kind: fault.Format, At: -1, Says: "holds an object of class mine.M",
		Make: script("cmine\nM\n)\x81.")},
	{Name: "script: no source", Kind: fault.Format, At: -1, Says: "the source of class __torch__.M is not in the archive",
		Make: script(object("w", rebuild(storage4, dense22)))},
	{Name: "script: source of another class", Kind: fault.Format, At: -1,
		Says: "the source of class __torch__.M is not in the archive",
		Make: script(object("w", rebuild(storage4, dense22)), "m/code/__torch__.py", "class N(Module):\n")},
	{Name: "script: source that is a bomb", Kind: fault.Format, At: -1, Says: "__torch__.py claims 104857600 bytes",
		Make: func() []byte {
			return zippedWith(func(i int, h *zip.FileHeader) {
				if i == 2 {
					h.Method = zip.Deflate
				}
			}, "m/data.pkl", "\x80\x02"+object("w", rebuild(storage4, dense22)), "m/constants.pkl", "", "m/code/__torch__.py",
				times("\n", 100<<20), "m/data/0", times("\x00", 16))
		}},
	{Name: "script: no parameters", Kind: fault.Unsupported, At: -1, Says: "holds no parameters",
		Make: script(object("other", "K\x01"), "m/code/__torch__.py", moduleCode)},
	{Name: "script: makes its weights in code", Kind: fault.Unsupported, At: -1,
		Says: "makes its weights in code when it is loaded",
		Make: script(object("w", rebuild(storage4, dense22)), "m/code/__torch__.py", moduleCode+
			"  def __setstate__(self, state: Tensor) -> NoneType:\n    return None\n")},
	{Name: "script: packed weights", Kind: fault.Unsupported, At: -1, Says: "holds weights in a form of its own",
		Make: script(object("p", "c__torch__.torch.classes.quantized\nLinearPackedParamsBase\n)\x81"), "m/code/__torch__.py",
			moduleCode)},
	{Name: "script: quantized parameter", Kind: fault.Unsupported, Tensor: "w", At: -1, Says: "a quantized tensor",
		Make: script(object("w", "ctorch._utils\n_rebuild_qtensor\n)R"), "m/code/__torch__.py", moduleCode)},
	{Name: "script: holds itself", Kind: fault.Format, At: -1, Says: "nest or repeat",
		Make: script("c__torch__\nM\n)\x81q\x00}"+text("me")+"h\x00sb.", "m/code/__torch__.py", moduleCode)},
	{Name: "script: big endian", Kind: fault.Unsupported, At: -1, Says: `byte order "big"`,
		Make: script(object("w", "N"), "m/byteorder", "big")},
	{Name: "script: os.system", Kind: fault.Unsupported, At: -1, Says: "os.system",
		Make: script("cos\nsystem\n" + text("ls") + "\x85R.")},
}

// weights is an archive of torch.export: a config and one weight of 16 bytes.
func weights(config string) func() []byte {
	return zips("p/archive_format", "pt2", "p/data/weights/model_weights_config.json", config, "p/data/weights/weight_0",
		times("\x00", 16))
}

// meta is the config of one weight.
func meta(path, dtype, sizes, strides, offset, more string) func() []byte {
	return weights(`{"config":{"w":{"path_name":"` + path + `","use_pickle":false,"tensor_meta":{"dtype":` + dtype +
		`,"sizes":` + sizes + `,"strides":` + strides + `,"storage_offset":` + offset + `,"layout":7}` + more + `}}}`)
}

const (
	two  = `[{"as_int":2},{"as_int":2}]`
	one  = `[{"as_int":2},{"as_int":1}]`
	none = `{"as_int":0}`
)

var exportCases = []Case{
	{Name: "export: config is no JSON", Kind: fault.Format, At: -1, Says: "does not begin with a config",
		Make: weights("hello")},
	{Name: "export: config is cut short", Kind: fault.Format, At: -1, Says: `entry "w" cannot be read`,
		Make: weights(`{"config":{"w":{"path_name"`)},
	{Name: "export: no weights", Kind: fault.Unsupported, At: -1, Says: "no weights", Make: weights(`{"config":{}}`)},
	{Name: "export: weight is missing", Kind: fault.Format, At: -1, Says: "not in the zip",
		Make: meta("weight_9", "7", two, one, none, "")},
	{Name: "export: path that climbs", Kind: fault.Format, At: -1, Says: "not in the zip",
		Make: meta("../constants/x", "7", two, one, none, "")},
	{Name: "export: unknown dtype", Kind: fault.Unsupported, Tensor: "w", At: -1, Says: "type 99",
		Make: meta("weight_0", "99", two, one, none, "")},
	{Name: "export: symbolic size", Kind: fault.Format, Tensor: "w", At: -1, Says: "are no numbers",
		Make: meta("weight_0", "7", `[{"as_expr":{}},{"as_int":2}]`, one, none, "")},
	{Name: "export: negative size", Kind: fault.Format, Tensor: "w", At: -1, Says: "are no numbers",
		Make: meta("weight_0", "7", `[{"as_int":-2},{"as_int":2}]`, one, none, "")},
	{Name: "export: ranks differ", Kind: fault.Format, Tensor: "w", At: -1, Says: "2 sizes and 1 strides",
		Make: meta("weight_0", "7", two, `[{"as_int":1}]`, none, "")},
	{Name: "export: beyond the weight", Kind: fault.Format, At: 405, Says: "reaches beyond",
		Make: meta("weight_0", "7", two, one, `{"as_int":1}`, "")},
	{Name: "export: doubled name", Kind: fault.Format, At: -1, Says: "duplicate",
		Make: weights(strings.Replace(oneWeight, `7}}}}`, `7}},"w":{}}}`, 1))},
	{Name: "export: two programs", Kind: fault.Unsupported, At: -1, Says: "2 programs (a, b)",
		Make: zips("p/archive_format", "pt2", "p/data/weights/a_weights_config.json", "{}",
			"p/data/weights/b_weights_config.json", "{}")},
	{Name: "export: inner file is no zip", Kind: fault.Format, At: -1, Names: "x.pt2/data/weights/model.pt",
		Says: "no directory at its end", Make: zips("p/archive_format", "pt2", "p/data/weights/model.pt",
			"PK\x03\x04 and no more")},
	{Name: "export: inner zip without a pickle", Kind: fault.Format, At: -1, Names: "x.pt2/data/weights/model.pt",
		Says: "no data.pkl in it", Make: func() []byte {
			return zipped("p/archive_format", "pt2", "p/data/weights/model.pt", string(zipped("a", "b")))
		}},
}

const oneWeight = `{"config":{"w":{"path_name":"weight_0","use_pickle":false,"tensor_meta":{"dtype":7,` +
	`"sizes":[{"as_int":2}],"strides":[{"as_int":1}],"storage_offset":{"as_int":0},"layout":7}}}}`
