package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// columns of the CSV. name, error, #params and dtype are those of coremltools' report
// (whose dtype says int for uint, too); then Nibble's own.
var columns = []string{
	"name", "error", "#params", "dtype", "sqnr_db", "cosine", "max_abs_error", "verdict", "source_dtype", "shape",
	"module_type", "module_type_source", "rule", "reason", "granularity", "quantization_scheme", "block_size", "bytes_in",
	"bytes_out",
}

// CSV writes one line per tensor and a last line "total".
func (r *Report) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	out.Write(columns)
	for i := range r.Tensors {
		t := &r.Tensors[i]
		dtype, granularity, mode, block := "", "", "", ""
		if t.Scheme != nil {
			dtype, granularity, mode = string(t.Scheme.WeightDType), string(t.Scheme.Granularity), string(t.Scheme.Mode)
			block = joinSizes(t.Scheme.BlockSize, " x ")
		}
		out.Write(append(append([]string{cell(t.Name), float(t.RMSE), whole(t.Parameters), dtype}, t.Figures.rest()...),
			string(t.Verdict), t.DType, joinSizes(t.Shape, " x "), t.ModuleType, string(t.TypeSource), cell(t.Rule),
			cell(t.Reason),
			granularity, mode, block, whole(t.BytesIn), whole(t.BytesOut)))
	}
	t := &r.Totals
	out.Write(append(append([]string{"total", float(t.RMSE), whole(t.Parameters), ""}, t.Figures.rest()...),
		fmt.Sprintf("%d of %d quantized", t.Quantized, t.Tensors), "", "", "", "", "", "", "", "", "", whole(t.BytesIn),
		whole(t.BytesOut)))
	out.Flush()
	return out.Error()
}

func (f Figures) rest() []string {
	return []string{float(f.SQNR), float(f.Cosine), float(f.MaxAbsError)}
}

// cell keeps a spreadsheet from taking a name for a formula.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func float(f *float64) string {
	if f == nil {
		return ""
	}
	return strconv.FormatFloat(*f, 'g', -1, 64)
}

func whole(n int64) string { return strconv.FormatInt(n, 10) }

func joinSizes(sizes []int64, by string) string {
	var all []string
	for _, n := range sizes {
		all = append(all, whole(n))
	}
	return strings.Join(all, by)
}
