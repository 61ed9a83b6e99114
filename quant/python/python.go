// Package python holds the lines of Python that take an output of Nibble to Core ML:
// the README shows them, the page shows them beside the download, `nibble python`
// prints them, and the oracle runs them. Each is a head, which makes `state` in the
// form of the coremltools container, and one common tail.
package python

import (
	_ "embed"
	"path"
	"strings"

	"nibble/quant/fault"
)

var (
	//go:embed coremltools.py
	coremltools string
	//go:embed safetensors.py
	safetensors string
	//go:embed coremltools_folder.py
	coremltoolsFolder string
	//go:embed safetensors_folder.py
	safetensorsFolder string
	//go:embed per_weight.py
	perWeight string
	//go:embed int8.py
	int8 string
	//go:embed packed.py
	packed string
	//go:embed convert.py
	convert string
)

// heads is the literal table, by container: of one file, and of a folder of shards.
var heads = map[string][2]string{
	"coremltools": {coremltools, coremltoolsFolder},
	"int8":        {safetensors + perWeightAnd + int8, safetensorsFolder + perWeightAnd + int8},
	"packed":      {safetensors + perWeightAnd + packed, safetensorsFolder + perWeightAnd + packed},
}

// perWeightAnd is what both safetensors containers go through.
var perWeightAnd = "\n\n" + perWeight + "\n\n"

// Lines are the lines for a container, with the output's name in them, which is a file's
// or, when it is sharded, a folder's.
func Lines(container, name string, sharded bool) (string, error) {
	both, ok := heads[container]
	if !ok {
		return "", fault.Not(name, "there are no Python lines for the container %q", container)
	}
	head := both[0]
	if sharded {
		head, name = both[1], strings.TrimSuffix(name, "/")
	}
	base := path.Base(name)
	if !sharded {
		base = strings.TrimSuffix(base, path.Ext(base))
	}
	return strings.NewReplacer("MODEL_FILE", quoted(name), "MODEL_PACKAGE", quoted(base+".mlpackage")).Replace(head + "\n" + convert), nil
}

// quoted is a Python string. Control characters cannot be in what is printed.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
