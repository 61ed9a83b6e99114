package quant

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"encoding/json/jsontext"
	"fmt"
	"io"
	"path"

	"nibble/quant/checkpoint"
	"nibble/quant/container"
	"nibble/quant/convert"
	"nibble/quant/fault"
	"nibble/quant/plan"
	"nibble/quant/report"
	"nibble/quant/tensor"
)

// shard is one file of a sharded output.
type shard struct {
	name    string
	plan    *plan.Plan // of its entries
	layout  *container.Layout
	entries []int // of the whole plan
}

// layShards lays out one file for each of the source's, named and numbered as transformers
// does, and sums them up in Layout.
func (j *Job) layShards() error {
	sum := &container.Layout{EntryOut: make([]int64, len(j.Plan.Entries))}
	where, tally, index := map[string]int{}, tensor.Tally{}, 0
	for i, f := range j.Checkpoint.Files {
		s := shard{}
		for k := range j.Plan.Entries {
			if j.Checkpoint.From[k] == i {
				s.entries = append(s.entries, k)
			}
		}
		s.plan = j.Plan.Part(s.entries)
		var err error
		if s.layout, err = container.Lay(s.plan, j.container); err != nil {
			return err
		}
		stem, ending := stemOf(s.layout.Name)
		s.name = fmt.Sprintf("%s-%05d-of-%05d%s", stem, i+1, len(j.Checkpoint.Files), ending)
		for k, e := range s.entries {
			sum.EntryOut[e] = s.layout.EntryOut[k]
		}
		for _, name := range s.layout.Names {
			if other, twice := where[name]; twice {
				return fault.Not(f.Name, "the output would hold two tensors of this name, one of them from %s", j.Checkpoint.Files[other].Name).In(name).
					Hint("rename it in the source or choose another container")
			}
			where[name] = i
			quoted, _ := jsontext.AppendQuote(nil, name)
			index += len(quoted) + len(s.name) + len(`    : "",`+"\n")
			if tally.Add(name) != "" || index > checkpoint.MaxIndex {
				err := fault.Not(f.Name, "the output could not be opened again: its shards would hold more tensors than any model has")
				return container.WayOut(err, s.plan, s.layout.Name)
			}
		}
		sum.Name = s.layout.Name
		sum.Bytes += s.layout.Bytes
		j.shards = append(j.shards, s)
	}
	j.Layout = sum
	return container.TooLarge(j.Checkpoint.Name, sum.Bytes, j.Checkpoint.Bytes())
}

// stemOf is what the shards of a container are called.
func stemOf(name string) (stem, ending string) {
	_, ending = container.Extension(name)
	if ending == ".bin" {
		return "pytorch_model", ending
	}
	return "model", ending
}

// index is the weight_map of a sharded output, as transformers writes it.
func (j *Job) index() (name string, text []byte, err error) {
	stem, ending := stemOf(j.Layout.Name)
	x := struct {
		Metadata struct {
			TotalSize int64 `json:"total_size"`
		} `json:"metadata"`
		WeightMap map[string]string `json:"weight_map"`
	}{WeightMap: map[string]string{}}
	for _, s := range j.shards {
		for _, r := range s.layout.Runs {
			for i := range r.Pieces {
				x.Metadata.TotalSize += r.Pieces[i].Bytes()
			}
		}
		for _, name := range s.layout.Names {
			x.WeightMap[name] = s.name
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b) // names as they are, where Marshal would escape some for web pages
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(x)
	return stem + ending + ".index.json", b.Bytes(), err
}

// Files is how many files a conversion writes, and their bytes in all.
func (j *Job) Files() (n int, bytes int64) {
	if !j.Checkpoint.Sharded {
		return 1, j.Layout.Bytes
	}
	_, text, _ := j.index()
	bytes = j.Layout.Bytes + int64(len(text))
	for _, f := range j.Checkpoint.Beside {
		bytes += f.Size
	}
	return len(j.shards) + 1 + len(j.Checkpoint.Beside), bytes
}

// writing is a conversion on its way to the files that create begins.
type writing struct {
	ctx     context.Context
	job     *Job
	create  Create
	options Options
	steps   *progress
	costs   []convert.Cost // by entry of the plan
}

// all writes every file and tells the report of them.
func (x *writing) all(r *report.Report) error {
	j := x.job
	if !j.Checkpoint.Sharded {
		costs, file, err := x.file(x.options.Name, j.Plan, j.Layout)
		x.costs, r.Output.SHA256 = costs, file.SHA256
		return err
	}
	for _, s := range j.shards {
		costs, file, err := x.file(s.name, s.plan, s.layout)
		if err != nil {
			return err
		}
		for i, e := range s.entries {
			x.costs[e] = costs[i]
		}
		r.Files = append(r.Files, file)
	}
	name, text, err := j.index()
	if err != nil {
		return err
	}
	if err := x.put(r, name, int64(len(text)), func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
		return err
	}
	for _, f := range j.Checkpoint.Beside {
		copied := func(w io.Writer) error {
			_, err := io.Copy(w, io.NewSectionReader(f.R, 0, f.Size))
			return err
		}
		if err := x.put(r, path.Base(f.Name), f.Size, copied); err != nil {
			return err
		}
	}
	return nil
}

// file converts into one file.
func (x *writing) file(name string, p *plan.Plan, l *container.Layout) ([]convert.Cost, report.File, error) {
	var costs []convert.Cost
	f, err := x.begin(name, l.Bytes, func(w io.Writer) (err error) {
		costs, err = convert.Run(x.ctx, p, l, w, convert.Options{
			Workers: x.options.Workers, Hands: x.options.Hands, Limits: x.options.Limits, Progress: x.steps.next(),
		})
		return err
	})
	f.Format = l.Name
	return costs, f, err
}

// put writes a file that is small.
func (x *writing) put(r *report.Report, name string, bytes int64, write func(w io.Writer) error) error {
	f, err := x.begin(name, bytes, write)
	r.Files = append(r.Files, f)
	return err
}

// begin creates a file, has it written and closes it.
func (x *writing) begin(name string, bytes int64, write func(w io.Writer) error) (report.File, error) {
	file := report.File{Name: name, Bytes: bytes}
	w, err := x.create(name, bytes)
	if err != nil {
		return file, err
	}
	out := &counter{w: w}
	if x.options.Hash {
		out.sum = sha256.New()
	}
	if err := write(out); err != nil {
		w.Close()
		return file, err
	}
	if err := w.Close(); err != nil {
		return file, err
	}
	if out.n != bytes {
		return file, fmt.Errorf("internal error: %d bytes of %s were laid out and %d written; please report it", bytes, name, out.n)
	}
	if x.options.Hash {
		file.SHA256 = digest(out.sum)
	}
	return file, nil
}
