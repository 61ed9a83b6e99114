package model

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"sort"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/format/torch"
	"nibble/quant/tensor"
)

// A model of Hugging Face is a folder: an index (index.go), the shards it names, and
// small files (config, tokenizer). Which of a folder's files are the model:
//
//   - those of the folder nearest to the top that holds a checkpoint or an index;
//   - the shards that an index names, safetensors before PyTorch where both are there;
//   - without an index, shards by their names (-00001-of-00003), all of them;
//   - else the one checkpoint there is.

// shardName parts a name of transformers: stem, number, count, extension.
var shardName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})(\.[a-z]+)$`)

// IsShard reports whether a name says that it is one part of several.
func IsShard(name string) bool {
	m := shardName.FindStringSubmatch(path.Base(name))
	return m != nil && m[3] != "00001"
}

// otherShards names the other files of a model, of which a name says that it is one of several.
func otherShards(name string) (others []string) {
	m := shardName.FindStringSubmatch(path.Base(name))
	if m == nil {
		return nil
	}
	var count int
	fmt.Sscanf(m[3], "%d", &count)
	for i := 1; i <= min(count, maxShards); i++ {
		if number := fmt.Sprintf("%05d", i); number != m[2] {
			others = append(others, m[1]+"-"+number+"-of-"+m[3]+m[4])
		}
	}
	return others
}

// OpenOne opens the one model among several files, such as a dropped folder; want names parts of it, where one
// file holds several models.
func OpenOne(files []*tensor.File, want ...string) (*Model, error) {
	if len(files) == 0 {
		return nil, errors.New("there are no files to open")
	}
	if len(files) == 1 {
		c, err := Open(files[0], want...)
		if err == nil {
			c.Missing = otherShards(files[0].Name)
		}
		return c, err
	}
	return openAmong(files, want)
}

// OpenFolder is OpenOne for all files of a folder, which may be one.
func OpenFolder(files []*tensor.File, want ...string) (*Model, error) {
	if len(files) == 1 && slices.Contains(homes, path.Base(files[0].Name)) {
		return openAmong(files, want)
	}
	return OpenOne(files, want...)
}

// openAmong opens the model of the folder nearest to the top.
func openAmong(files []*tensor.File, want []string) (*Model, error) {
	all, err := byFolder(files)
	if err != nil {
		return nil, err
	}
	f, err := chooseFolder(all)
	if err != nil {
		return nil, err
	}
	alone := len(f.indexes) == 0 && f.numbered() == nil
	if len(want) > 0 && !alone {
		return nil, torch.NoPart(f.name, want[0], nil)
	}
	switch {
	case len(f.indexes) > 0:
		return f.openIndexed()
	case len(f.weights) == 0:
		return nil, f.refuseEmpty(len(files))
	}
	if shards := f.numbered(); shards != nil {
		return f.openNumbered(shards)
	}
	one, err := f.single()
	if err != nil {
		return nil, err
	}
	c, err := Open(one, want...)
	if err != nil {
		return nil, err
	}
	c.Missing = otherShards(one.Name)
	c.State.Notes = append(c.State.Notes, f.others([]*tensor.File{one})...)
	if f.isHome(one) {
		c.Folder = true
		f.takeAlong(c)
	}
	return c, nil
}

// folder is the files of one folder, by what they are.
type folder struct {
	name    string
	deeper  int            // files in folders below
	weights []*tensor.File // checkpoints of formats that Nibble reads
	indexes []*tensor.File
	rest    []*tensor.File
}

// byFolder puts files into folders, and finds in each what they are. The folders stand in the order in which a model is
// looked for: those with a model before others, higher before deeper, then by name.
func byFolder(files []*tensor.File) ([]*folder, error) {
	folders := map[string]*folder{}
	for _, x := range files {
		dir := path.Dir(x.Name)
		if folders[dir] == nil {
			folders[dir] = &folder{name: dir}
		}
		if err := folders[dir].add(x); err != nil {
			return nil, err
		}
	}
	var all []*folder
	for _, f := range folders {
		for _, list := range [][]*tensor.File{f.weights, f.indexes, f.rest} {
			slices.SortFunc(list, func(a, b *tensor.File) int { return strings.Compare(a.Name, b.Name) })
		}
		all = append(all, f)
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		if x, y := a.empty(), b.empty(); x != y {
			return y
		}
		if x, y := a.depth(), b.depth(); x != y {
			return x < y
		}
		return a.name < b.name
	})
	return all, nil
}

// add puts a file where it belongs, by its first bytes. Shards of a distributed checkpoint begin like zips, and are
// known by their names.
func (f *folder) add(x *tensor.File) error {
	if x.Size == 0 || isDistributed(x.Name) {
		f.rest = append(f.rest, x)
		return nil
	}
	head, err := headOf(x)
	if err != nil {
		return err
	}
	isModel := false
	for _, row := range formats {
		isModel = isModel || row.match(head, x.Size)
	}
	switch {
	case strings.HasSuffix(x.Name, indexEnding):
		f.indexes = append(f.indexes, x)
	case isModel:
		f.weights = append(f.weights, x)
	default:
		f.rest = append(f.rest, x)
	}
	return nil
}

// chooseFolder takes the first folder, which has the model where there is one. It refuses two models side by side.
// Where there is none, the folder has all files, so that the error can name what was given.
func chooseFolder(all []*folder) (*folder, error) {
	top := all[0]
	for _, f := range all[1:] {
		if strings.HasPrefix(f.name, top.name+"/") || top.name == "." {
			top.deeper += len(f.weights) + len(f.indexes) + len(f.rest)
		}
	}
	if top.empty() {
		for _, f := range all[1:] {
			top.rest = append(top.rest, f.rest...)
		}
		return top, nil
	}
	if len(all) > 1 && !all[1].empty() && all[1].depth() == top.depth() {
		return nil, fault.Not("", "there are models in %s and in %s, and Nibble converts one at a time", top.name,
			all[1].name).
			Hint("choose one of the folders")
	}
	return top, nil
}

// depth is how many folders lie above.
func (f *folder) depth() int { return strings.Count(f.name, "/") }

// empty reports whether there is no model in the folder.
func (f *folder) empty() bool { return len(f.weights) == 0 && len(f.indexes) == 0 }

// refuseEmpty says what was given instead of a model.
func (f *folder) refuseEmpty(count int) error {
	for _, x := range f.rest {
		if isDistributed(x.Name) {
			return distributed(x.Name)
		}
	}
	for _, x := range f.rest {
		if x.Size == 0 {
			continue
		}
		head, err := headOf(x)
		if err != nil {
			return err
		}
		if err := refuse(x, head); !isUnknown(err) {
			return err
		}
	}
	return fault.Not("", "none of these %d files is a model that Nibble reads", count).
		Hint("choose a PyTorch checkpoint (.pt, .pth, .bin, .ckpt) or a .safetensors file")
}

// numbered are the files that are shards by their names; nil when there are none.
func (f *folder) numbered() (shards []*tensor.File) {
	for _, x := range f.weights {
		if IsShard(x.Name) {
			shards = append(shards, x)
		}
	}
	return shards
}

// openNumbered opens shards that no index names: all of one stem must be there.
func (f *folder) openNumbered(shards []*tensor.File) (*Model, error) {
	first := shardName.FindStringSubmatch(path.Base(shards[0].Name))
	var missing []string
	have := map[string]bool{}
	for _, x := range shards {
		m := shardName.FindStringSubmatch(path.Base(x.Name))
		if m[1] != first[1] || m[3] != first[3] || m[4] != first[4] {
			return nil, fault.Not("", "the shards of more than one model were given (%s, %s)", shards[0].Name, x.Name).
				Hint("choose those of one")
		}
		have[m[2]] = true
	}
	var count int
	fmt.Sscanf(first[3], "%d", &count)
	for i := 1; i <= count; i++ {
		if number := fmt.Sprintf("%05d", i); !have[number] {
			missing = append(missing, first[1]+"-"+number+"-of-"+first[3]+first[4])
		}
	}
	if len(missing) > 0 {
		return nil, f.missingShards("", missing, count)
	}
	return f.openShards(shards, nil)
}

// missingShards is the error that names shards that were not given.
func (f *folder) missingShards(index string, names []string, count int) error {
	for _, name := range names { // a shard that is there and no model at all
		for _, x := range f.rest {
			if path.Base(x.Name) != name {
				continue
			}
			if x.Size == 0 {
				return fault.Bad(x.Name, "the file is empty").Hint("copy or download it again")
			}
			head, err := headOf(x)
			if err != nil {
				return err
			}
			return refuse(x, head)
		}
	}
	if len(names) > 5 {
		names = append(names[:5:5], "...")
	}
	return fault.Bad(index, "%d shards make this model and some are missing: %s", count, strings.Join(names, ", ")).
		Hint("add them, or choose the whole folder")
}

// single is the one checkpoint of a folder: of a model in two formats, the safetensors one.
func (f *folder) single() (*tensor.File, error) {
	if len(f.weights) == 1 {
		return f.weights[0], nil
	}
	for _, x := range f.weights {
		if path.Base(x.Name) != "model.safetensors" {
			continue
		}
		twins := slices.ContainsFunc(f.weights, func(y *tensor.File) bool {
			return y != x && !strings.HasPrefix(path.Base(y.Name), "pytorch_model") &&
				!strings.HasPrefix(path.Base(y.Name), "consolidated")
		})
		if !twins {
			return x, nil
		}
	}
	var names []string
	for _, m := range f.weights {
		names = append(names, m.Name)
	}
	if len(names) > 4 {
		names = append(names[:4], "...")
	}
	return nil, fault.Not("", "%d model files were given (%s) and Nibble converts one at a time", len(f.weights),
		strings.Join(names, ", ")).
		Hint("choose one of them")
}
