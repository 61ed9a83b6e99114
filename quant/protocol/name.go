package protocol

import (
	"path"
	"strings"

	"nibble/quant"
	"nibble/quant/container"
	"nibble/quant/scheme"
)

// modelName matches the endings that a source's name loses.
var modelName = []string{".pt", ".pth", ".bin", ".ckpt", ".safetensors"}

// OutputName is what the result of a request is called: the source's own name, what it became, and the container's
// ending; that of a folder has none.
func OutputName(j *quant.Job, q *PlanRequest) (string, error) {
	row, err := container.Find(container.Options{To: j.Output.Container})
	if err != nil {
		return "", err
	}
	base := path.Base(j.Model.Home())
	for _, ending := range modelName {
		if len(base) > len(ending) && strings.EqualFold(base[len(base)-len(ending):], ending) {
			base = base[:len(base)-len(ending)]
			break
		}
	}
	dtype := dtypeOf(j, q)
	what := "-" + dtype
	switch {
	case strings.TrimSpace(q.Config) != "" || len(q.Edits) > 0:
		what = "-nibble"
	case row.Bytes && (scheme.Scheme{WeightDType: scheme.WeightDType(dtype)}).Bits() == 4:
		what += "-bytes" // one code a byte
	}
	return base + what + row.Suffix + j.Extension(), nil
}

// dtypeOf is what layers become: as the request says, or, of a model that is quantized already, as they are.
func dtypeOf(j *quant.Job, q *PlanRequest) string {
	for i := range j.Plan.Entries {
		if e := &j.Plan.Entries[i]; e.Quantize && j.Model.Quantized != nil {
			return string(e.Scheme.WeightDType)
		}
	}
	return q.Global.Filled().DType
}
