package report

import (
	"encoding/json"
	"io"
	"strings"

	"nibble/quant/fault"
)

// forms is the literal table of how a report can be written, by the ending of its name.
var forms = []struct {
	ending string
	write  func(r *Report, w io.Writer) error
}{
	{".json", (*Report).JSON},
	{".csv", (*Report).CSV},
	{".html", (*Report).HTML},
}

// JSON writes report.json.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Form finds how a report of this name is written.
func Form(name string) (func(r *Report, w io.Writer) error, error) {
	for _, f := range forms {
		if strings.HasSuffix(strings.ToLower(name), f.ending) {
			return f.write, nil
		}
	}
	return nil, fault.Not(name, "a report is JSON, CSV or HTML").Hint("let its name end in .json, .csv or .html")
}
