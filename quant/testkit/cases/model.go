package cases

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// weight is a tensor to be written: a view of a storage of its own, or of another's.
type weight struct {
	name    string
	dtype   tensor.Type
	shape   []int64
	strides []int64
	offset  int64 // elements
	storage *[]byte
}

// model is the files of a model, and the modules of its weights.
func (m *maker) model() (files []*tensor.File, modules []string) {
	var all []weight
	dtype := pick(m, []tensor.Type{tensor.F32, tensor.F32, tensor.F16, tensor.BF16, tensor.F64})
	views := m.chance(2) // of PyTorch; safetensors has none
	for i := range 1 + m.IntN(4) {
		d := dtype
		if m.chance(6) {
			d = pick(m, []tensor.Type{tensor.F32, tensor.F16, tensor.BF16, tensor.F64})
		}
		m.double = m.double || d == tensor.F64
		w := m.weight(i, d, views)
		modules = append(modules, w.name[:len(w.name)-len(".weight")])
		all = append(all, w)
		if m.chance(2) {
			all = append(all, m.kept(i, views)...)
		}
		if views && m.chance(8) { // the same view under another name
			twin := w
			twin.name = fmt.Sprintf("twin%d.weight", i)
			all = append(all, twin)
		}
	}
	file := safetensorsOf
	if views {
		file = torchOf
	}
	switch {
	case len(all) >= 2 && m.chance(4):
		return m.shards(all, file, views), modules
	case m.chance(3):
		name := "m/model.safetensors"
		if views {
			name = "m/pytorch_model.bin"
		}
		return []*tensor.File{testkit.File(name, file(all)), config()}, modules
	}
	return []*tensor.File{testkit.File("model", file(all))}, modules
}

// config is a config.json by which the places where a model can run know it.
func config() *tensor.File {
	return testkit.File("m/config.json", []byte(`{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}`))
}

// shards are a model in several files, with their index and a small file.
func (m *maker) shards(all []weight, file func([]weight) []byte, views bool) (files []*tensor.File) {
	stem, ending := "model", ".safetensors"
	if views {
		stem, ending = "pytorch_model", ".bin"
	}
	n := 2 + m.IntN(min(3, len(all)-1))
	shards, where := make([][]weight, n), map[string]string{}
	for i, w := range all {
		k := i * n / len(all)
		shards[k] = append(shards[k], w)
		where[w.name] = fmt.Sprintf("%s-%05d-of-%05d%s", stem, k+1, n, ending)
	}
	for k, shard := range shards {
		files = append(files, testkit.File(fmt.Sprintf("m/%s-%05d-of-%05d%s", stem, k+1, n, ending), file(shard)))
	}
	index, err := json.Marshal(map[string]any{"weight_map": where})
	if err != nil {
		panic(err)
	}
	return append(files, testkit.File("m/"+stem+ending+".index.json", index), config())
}

// most is how many values a weight has at most: a case takes milliseconds.
const most = 5000

// weight is one that a recipe may quantize.
func (m *maker) weight(i int, d tensor.Type, views bool) weight {
	name, rank := fmt.Sprintf("l%d.weight", i), 2
	switch m.IntN(6) {
	case 0:
		rank = 3 + m.IntN(3)
	case 1:
		rank, name = 3+m.IntN(2), fmt.Sprintf("deconv%d.weight", i)
	case 2:
		name = fmt.Sprintf("embed%d.weight", i)
	}
	shape := []int64{m.size(), m.size()}
	for range rank - 2 {
		shape = append(shape, 1+m.Int64N(3))
	}
	for n, _ := tensor.Elements(shape); n > most; n, _ = tensor.Elements(shape) {
		axis := slices.Index(shape, slices.Max(shape))
		shape[axis] /= 2
	}
	w := m.laid(weight{name: name, dtype: d, shape: shape}, views)
	m.fill(w)
	if m.chance(20) {
		m.poison(w)
	}
	return w
}

// size is of an axis: often a multiple of a block, sometimes one row or one column.
func (m *maker) size() int64 {
	switch m.IntN(8) {
	case 0:
		return 1
	case 1:
		return 1 + m.Int64N(60)
	case 2:
		return 200 + 8*m.Int64N(60)
	}
	return int64(pick(m, blockSizes)) * (1 + m.Int64N(6)) * pick(m, []int64{1, 1, 2})
}

// kept are tensors that nothing quantizes.
func (m *maker) kept(i int, views bool) (out []weight) {
	for _, w := range []weight{
		{name: fmt.Sprintf("n%d.bias", i), dtype: tensor.F32, shape: []int64{m.size()}},
		{name: fmt.Sprintf("n%d.count", i), dtype: tensor.I64, shape: []int64{}},
		{name: fmt.Sprintf("n%d.table", i), dtype: tensor.U8, shape: []int64{m.size(), m.size()}},
		{name: fmt.Sprintf("n%d.empty", i), dtype: tensor.F32, shape: []int64{4, 0}},
	} {
		if m.chance(2) {
			w = m.laid(w, views)
			for k := range *w.storage {
				(*w.storage)[k] = byte(m.Uint32())
			}
			out = append(out, w)
		}
	}
	return out
}

// laid gives a weight a storage: dense, or where views are wanted with its axes in another order, with
// room between the values, from an offset on.
func (m *maker) laid(w weight, views bool) weight {
	w.strides = tensor.DenseStrides(w.shape)
	room := int64(0)
	if views && m.chance(2) {
		order := m.Perm(len(w.shape))
		step := 1 + m.Int64N(3)
		for _, axis := range order {
			w.strides[axis] = step
			step *= max(w.shape[axis], 1) + m.Int64N(2)
		}
		w.offset, room = m.Int64N(5), m.Int64N(5)
	}
	extent, _ := tensor.Extent(w.shape, w.strides)
	storage := make([]byte, (w.offset+extent+room)*w.dtype.Size())
	w.storage = &storage
	return w
}

// fill puts numbers in: most of one size, some far smaller or 0, a few at the ends of their span.
func (m *maker) fill(w weight) {
	n, _ := tensor.Elements(w.shape)
	loud := math.Ldexp(1, m.IntN(8)-5)
	quiet := loud * pick(m, []float64{0.01, 0.001, 0.1, 0})
	from, to := n/2, n
	switch m.IntN(4) {
	case 0:
		from, to = 0, n/2
	case 1:
		from = m.Int64N(n)
		to = min(n, from+1+m.Int64N(n))
	case 2: // columns of each row
		from, to = -1, w.shape[1]/2
	}
	index := make([]int64, len(w.shape))
	for i := range n {
		size := loud
		if from < 0 && index[1] < to || from >= 0 && i >= from && i < to {
			size = quiet
		}
		v := (2*m.Float64() - 1) * size
		if m.chance(40) {
			v = pick(m, []float64{size, -size})
		}
		at := w.offset
		for axis, k := range index {
			at += k * w.strides[axis]
		}
		put((*w.storage)[at*w.dtype.Size():], w.dtype, v)
		for axis := len(index) - 1; axis >= 0; axis-- {
			if index[axis]++; index[axis] < w.shape[axis] {
				break
			}
			index[axis] = 0
		}
	}
}

// poison puts in a number that is none, or is without end.
func (m *maker) poison(w weight) {
	at := w.offset
	for axis, n := range w.shape {
		at += m.Int64N(n) * w.strides[axis]
	}
	put((*w.storage)[at*w.dtype.Size():], w.dtype, pick(m, []float64{math.NaN(), math.Inf(1), math.Inf(-1)}))
	m.poisoned = true
}

// put stores a number.
func put(dst []byte, d tensor.Type, v float64) {
	switch d {
	case tensor.F64:
		copy(dst, tensor.Bytes([]float64{v}))
	case tensor.F32:
		copy(dst, tensor.Bytes([]float32{float32(v)}))
	case tensor.F16:
		copy(dst, tensor.Bytes([]uint16{tensor.F32ToF16(float32(v))}))
	case tensor.BF16:
		copy(dst, tensor.Bytes([]uint16{tensor.F32ToBF16(float32(v))}))
	}
}

// safetensorsOf writes weights, all dense.
func safetensorsOf(all []weight) []byte {
	var out []testkit.Weight
	for _, w := range all {
		out = append(out, testkit.Weight{Name: w.name, DType: w.dtype, Shape: w.shape, Values: *w.storage})
	}
	return testkit.Safetensors(out...)
}

// torchOf writes what torch.save would of these views.
func torchOf(all []weight) []byte {
	var b bytes.Buffer
	b.WriteString("\x80\x02}(")
	keys, pairs := map[*[]byte]int{}, []string{"archive/data.pkl", "", "archive/byteorder", "little", "archive/version",
		"3\n"}
	for _, w := range all {
		key, seen := keys[w.storage]
		if !seen {
			key = len(keys)
			keys[w.storage] = key
			pairs = append(pairs, fmt.Sprintf("archive/data/%d", key), string(*w.storage))
		}
		text(&b, w.name)
		b.WriteString("ctorch._utils\n_rebuild_tensor_v2\n((")
		text(&b, "storage")
		fmt.Fprintf(&b, "ctorch\n%s\n", storageClass[w.dtype])
		text(&b, fmt.Sprint(key))
		text(&b, "cpu")
		fmt.Fprintf(&b, "I%d\ntQI%d\n", int64(len(*w.storage))/w.dtype.Size(), w.offset)
		for _, list := range [][]int64{w.shape, w.strides} {
			b.WriteByte('(')
			for _, n := range list {
				fmt.Fprintf(&b, "I%d\n", n)
			}
			b.WriteByte('t')
		}
		b.WriteString("\x89ccollections\nOrderedDict\n)RtR")
	}
	b.WriteString("u.")
	pairs[1] = b.String()
	return testkit.Zip(pairs...)
}

var storageClass = map[tensor.Type]string{
	tensor.F64: "DoubleStorage", tensor.F32: "FloatStorage", tensor.F16: "HalfStorage", tensor.BF16: "BFloat16Storage",
	tensor.I64: "LongStorage", tensor.U8: "ByteStorage",
}

// text is a string of a pickle.
func text(b *bytes.Buffer, s string) {
	n := len(s)
	b.Write([]byte{'X', byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
	b.WriteString(s)
}
