// Package folder lays out what containers of state dicts have in common: one file for a model of one file; for a model
// that is a folder, its file, or a file for each of its shards, named and numbered as Transformers does, with the index
// that says where each tensor is, and the small files beside them. A container gives it the layout of one file, and
// the text of config.json where that changes.
//
// Only package quant is stable.
package folder

import (
	"bytes"
	"encoding/json"
	"encoding/json/jsontext"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/layout"
	"nibble/quant/model"
	"nibble/quant/plan"
	"nibble/quant/tensor"
)

// Container is what a container says of its files.
type Container struct {
	Name      string
	Stem      string // what shards are called, and the one file of a folder that Transformers made
	OneName   bool   // any one file of a folder
	Extension string // of shards, with the dot
	Options   layout.Options
	// File lays out the entries of a plan in one file; the plan may be a shard of another.
	File func(p *plan.Plan) (layout.File, error)
	// Config is the text of the folder's config.json, where the model has one; nil where that is copied.
	Config func(c *model.Model, p *plan.Plan) ([]byte, error)
}

// Lay makes the output of a model.
func Lay(c *model.Model, p *plan.Plan, k Container) (*layout.Output, error) {
	out := &layout.Output{Container: k.Name, Folder: c.Folder, EntryOut: make([]int64, len(p.Entries))}
	if err := k.addWeights(c, p, out); err != nil || !c.Folder {
		return out, err
	}
	return out, k.addBeside(c, p, out)
}

// addWeights lays out the files that hold tensors, and their index.
func (k *Container) addWeights(c *model.Model, p *plan.Plan, out *layout.Output) error {
	if c.Sharded {
		return k.addShards(c, p, out)
	}
	f, err := k.File(p)
	if err != nil {
		return err
	}
	if f.Format = k.Name; c.Folder {
		f.Name = k.fileName(c)
	}
	out.Add(f, nil)
	return layout.Repeats(p, f.Bytes, k.Options.Tied)
}

// fileName is what the one file of a folder is called: as Transformers does where the source was, else as the source.
func (k *Container) fileName(c *model.Model) string {
	base := path.Base(c.Files[0].Name)
	stem := strings.TrimSuffix(base, path.Ext(base))
	if stem == "model" || stem == "pytorch_model" || k.OneName {
		stem = k.Stem
	}
	return stem + k.Extension
}

// addShards lays out a file for each shard of the model, and their index.
func (k *Container) addShards(c *model.Model, p *plan.Plan, out *layout.Output) error {
	x := newIndex(c, *k)
	of := entriesOf(c, p)
	for n, i := range slices.Sorted(maps.Keys(of)) {
		entries := of[i]
		shard := p.Shard(entries)
		f, err := k.File(shard)
		if err == nil {
			err = layout.Repeats(shard, f.Bytes, k.Options.Tied)
		}
		if err != nil {
			return err
		}
		f.Format, f.Name = k.Name, fmt.Sprintf("%s-%05d-of-%05d%s", k.Stem, n+1, len(of), k.Extension)
		if err := x.add(i, &f, shard); err != nil {
			return err
		}
		out.Add(f, entries)
	}
	if err := layout.TooLarge(c.Name, out.Weights, c.Bytes(), k.Options.Tied); err != nil {
		return err
	}
	f, err := x.file()
	if err == nil {
		out.Add(f, nil)
	}
	return err
}

// entriesOf are the entries of a plan that go to each shard, by the number of the file of the source; a shard that has
// none left is none.
func entriesOf(c *model.Model, p *plan.Plan) map[int][]int {
	of := map[int][]int{}
	for e := range p.Entries {
		of[c.From[e]] = append(of[c.From[e]], e)
	}
	return of
}

// addBeside lays out the small files of the folder.
func (k *Container) addBeside(c *model.Model, p *plan.Plan, out *layout.Output) error {
	for _, b := range c.Beside {
		f := layout.File{Name: path.Base(b.Name), Bytes: b.Size, Sections: []layout.Section{layout.Whole(b)}}
		if k.Config != nil && c.Config != nil && b == c.Config.File {
			text, err := k.Config(c, p)
			if err != nil {
				return err
			}
			f.Bytes, f.Sections = int64(len(text)), []layout.Section{{Literal: text}}
		}
		out.Add(f, nil)
	}
	return nil
}

// index is the weight_map of shards in the making.
type index struct {
	model     *model.Model
	container Container
	where     map[string]int // tensor of the output -> file of the source
	tally     tensor.Tally
	bytes     int // of the text, about
	text      struct {
		Metadata struct {
			TotalSize int64 `json:"total_size"`
		} `json:"metadata"`
		WeightMap map[string]string `json:"weight_map"`
	}
}

func newIndex(c *model.Model, k Container) *index {
	x := &index{model: c, container: k, where: map[string]int{}}
	x.text.WeightMap = map[string]string{}
	return x
}

// add takes the tensors of a file that is made of number i of the source. It refuses names that are there already,
// and more than can be opened again.
func (x *index) add(i int, f *layout.File, shard *plan.Plan) error {
	source := x.model.Files[i].Name
	for _, name := range f.Names {
		if other, twice := x.where[name]; twice {
			return fault.Not(source, "the output would hold two tensors of this name, one of them from %s",
				x.model.Files[other].Name).In(name).
				Hint("rename it in the source or choose another container")
		}
		x.where[name], x.text.WeightMap[name] = i, f.Name
		quoted, _ := jsontext.AppendQuote(nil, name)
		x.bytes += len(quoted) + len(f.Name) + len(`    : "",`+"\n")
		if x.tally.Add(name) != "" || x.bytes > model.MaxIndex {
			err := fault.Not(source, "the output could not be opened again: its shards would hold more tensors than "+
				"any model has")
			return layout.WayOut(err, shard, x.container.Options.Instead)
		}
	}
	for _, s := range f.Sections {
		for k := range s.Pieces {
			x.text.Metadata.TotalSize += s.Pieces[k].Bytes()
		}
	}
	return nil
}

// file is the index as Transformers writes it.
func (x *index) file() (layout.File, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b) // names as they are, where Marshal would escape some for web pages
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(x.text)
	name := x.container.Stem + x.container.Extension + ".index.json"
	return layout.File{Name: name, Bytes: int64(b.Len()), Sections: []layout.Section{{Literal: b.Bytes()}}}, err
}
