// Package broken makes files with one fault each, and says which error each must give:
// its kind, the file, tensor and offset that it names, and a part of its words. The
// generators are a line or two; every reader has its own file of them.
//
// The core's tests run the table through quant.Inspect and Plan, the command's through
// inspect, plan and convert, and the page's through its worker (broken/write makes the
// files for those). A fault that was found in the field, or by fuzzing, becomes a row.
package broken

import (
	"bytes"
	"fmt"

	"nibble/quant/fault"
)

// Case is one input with one fault.
type Case struct {
	Name   string
	Kind   fault.Kind
	Tensor string // that the error names
	At     int64  // the offset that it names; none is -1
	Says   string // a part of the error
	Make   func() []byte
	File   string // its name; "" is that of its table
	Also   []Part // files given beside it, which make a folder
	Names  string // the file that the error names, where that is another one; "-" is none
}

// Part is one more file of a case.
type Part struct {
	Name string
	Make func() []byte
}

// All is every case.
func All() []Case {
	var all []Case
	for _, t := range []struct {
		file  string
		cases []Case
	}{
		{"x.safetensors", safetensorsCases}, {"x.pt", zipCases}, {"x.pt", pickleCases}, {"x.pt", tensorCases},
		{"x.pth", legacyCases},
		{"x.tar", tarCases}, {"x.pt", scriptCases}, {"x.pt2", exportCases}, {"x.bin", foreignCases},
		{"home/model.safetensors.index.json", folderCases},
	} {
		for _, c := range t.cases {
			if c.File == "" {
				c.File = t.file
			}
			switch c.Names {
			case "":
				c.Names = c.File
			case "-":
				c.Names = ""
			}
			all = append(all, c)
		}
	}
	return all
}

// Sound is what the faults are put into; each must open.
func Sound() []Case {
	return []Case{
		{Name: "safetensors", File: "x", Make: header(a("U8", "[1]", "[0,1]"), 1)},
		{Name: "zip", File: "x", Make: good},
		{Name: "zip of a pickle", File: "x", Make: pickled(stateDict(storage4, dense22))},
		{Name: "zip, storages apart", File: "x", Make: twoStorages},
		{Name: "zip, changed by nothing", File: "x", Make: goodZip(func([]byte, func(int) int) {})},
		{Name: "old", File: "x", Make: legacy(magic, version1001, info, oldDict, keys0, oldTail)},
		{Name: "old, a view", File: "x", Make: legacy(magic, version1001, info,
			stateDict(viewID("("+text("v")+"K\x00K\x04t"), dense22), keys0, oldTail)},
		{Name: "tar", File: "x", Make: oldTar("", "", "")},
		{Name: "script", File: "x", Make: script(object("w", rebuild(storage4, dense22)), "m/code/__torch__.py", moduleCode)},
		{Name: "export", File: "x", Make: meta("weight_0", "7", two, one, none, "")},
		{Name: "export, one weight", File: "x", Make: weights(oneWeight)},
		{Name: "export, a zip in the zip", File: "x",
			Make: zips("p/archive_format", "pt2", "p/data/weights/model.pt", string(good()))},
		{Name: "folder", File: "home/model.safetensors.index.json", Make: mapBoth, Also: both},
	}
}

// Check says how an error differs from what the case expects, "" when it does not.
func (c *Case) Check(err error) string {
	e, ok := err.(*fault.Error)
	if !ok {
		return fmt.Sprintf("the error is %v, not a fault", err)
	}
	at := int64(-1)
	if e.HasOffset {
		at = e.Offset
	}
	if e.Kind != c.Kind || e.File != c.Names || e.Tensor != c.Tensor || at != c.At ||
		!bytes.Contains([]byte(e.Error()), []byte(c.Says)) {
		return fmt.Sprintf("%s, tensor %q, at %d: %v\nwant %s of %q, tensor %q, at %d, saying %q", e.Kind, e.Tensor, at, e,
			c.Kind, c.Names, c.Tensor, c.At, c.Says)
	}
	return ""
}

// always makes the same bytes.
func always(b string) func() []byte { return func() []byte { return []byte(b) } }
