package layout

import (
	"nibble/quant/fault"
	"nibble/quant/plan"
	"nibble/quant/tensor"
)

// Bounds on an output beside its input: what many names for one view of it would make far larger than the file.
const (
	mostTimes = 16
	mostBytes = 256 << 20
)

// TooLarge refuses an output of so many bytes that it is not to be explained by an input of so many: it can only be
// meant to fill a disk. Where a container writes a weight of many names once, it is not. The files of a folder
// count together.
func TooLarge(file string, out, in int64, instead string) error {
	if out <= mostBytes || out <= mostTimes*in {
		return nil
	}
	return fault.Not(file, "the output would have %d bytes, and the input has %d: its tensors are the same values "+
		"under many names", out, in).
		Hint("save each weight once%s", instead)
}

// Repeats holds the size of a file against the files that its tensors lie in.
func Repeats(p *plan.Plan, out int64, instead string) error {
	files, in := map[*tensor.File]bool{}, int64(0)
	for i := range p.Entries {
		if f := p.Entries[i].Tensor.Storage.File; f != nil && !files[f] {
			files[f] = true
			in += f.Size
		}
	}
	if in == 0 {
		return nil
	}
	return TooLarge(InputName(p), out, in, instead)
}

// Unique refuses sections in which two pieces have one name: the second would silently shadow the first when the file
// is read.
func Unique(file string, sections []Section) error {
	seen := map[string]bool{}
	for _, s := range sections {
		for _, p := range s.Pieces {
			if seen[p.Name] && p.Part == 0 {
				return fault.Not(file, "the output would hold two tensors of this name").In(p.Name).
					Hint("rename it in the source or choose another container")
			}
			seen[p.Name] = true
		}
	}
	return nil
}

// WayOut completes the error for an output that could not be opened again, with what to do instead; instead is the
// container's own, or "". A plan may be that of one shard of several.
func WayOut(err *fault.Error, p *plan.Plan, instead string) error {
	do := "save the model in shards"
	if p.IsShard() {
		do = "save the model in more shards"
	}
	if err.File == "" {
		err.File = InputName(p)
	}
	return err.Hint("%s%s", do, instead)
}

// RoomForNames refuses a plan whose names alone would take more than a container has room for, before anything
// is made of them. copies is how often each is written at least, for a weight that is quantized.
func RoomForNames(p *plan.Plan, instead string, copies, most int) error {
	n := 0
	for i := range p.Entries {
		if e := &p.Entries[i]; e.Quantize {
			n += copies * len(e.Tensor.Name)
		} else {
			n += len(e.Tensor.Name)
		}
	}
	if n > most {
		err := fault.Not("", "the output could not be opened again: the names of its tensors would take %d bytes, "+
			"more than %d", n, most)
		return WayOut(err, p, instead)
	}
	return nil
}

// InputName is the file a plan was made of, for errors.
func InputName(p *plan.Plan) string {
	if len(p.Entries) == 0 || p.Entries[0].Tensor.Storage.File == nil {
		return ""
	}
	return p.Entries[0].Tensor.Storage.File.Name
}
