package torch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nlpodyssey/gopickle/types"
)

// classOf is the class of a module in a pickle, by the name that coremltools would go by: that of torch's own
// layers, and of classes that say by their attributes that they derive from one. Any other class is named in full,
// so that it is mistaken for none.
func classOf(o *record, attributes map[string]any) string {
	full := o.class.module + "." + o.class.name
	switch {
	case strings.HasPrefix(o.class.module, "torch.nn.modules."):
		if o.class.name == "NonDynamicallyQuantizableLinear" { // a Linear in MultiheadAttention in all but name
			return ""
		}
		return o.class.name
	case strings.HasPrefix(o.class.module, "transformers.") && o.class.name == "Conv1D":
		return "Conv1D"
	}
	own, _ := entries(attributes["_parameters"])
	shapes := map[string][]int64{}
	for _, it := range own {
		if v, ok := it.value.(*value); ok {
			if name, isName := it.key.(string); isName {
				shapes[name] = v.Shape
			}
		}
	}
	if class := baseClass(attributes, shapes); class != "" {
		return class
	}
	return full
}

// baseClass finds torch's layer that a class of the user's own derives from, by the attributes that only such classes
// have and the shapes that go with them; "" for none.
func baseClass(attributes map[string]any, shapes map[string][]int64) string {
	number := func(name string) int64 {
		n, _ := integer(attributes[name])
		return n
	}
	weight := shapes["weight"]
	if out, in := number("out_features"), number("in_features"); out > 0 && slices.Equal(weight, []int64{out, in}) {
		return "Linear"
	}
	if n, size := number("num_embeddings"), number("embedding_dim"); n > 0 && slices.Equal(weight, []int64{n, size}) {
		return "Embedding"
	}
	if _, packed := attributes["_qkv_same_embed_dim"]; packed && number("embed_dim") > 0 && number("num_heads") > 0 {
		return "MultiheadAttention"
	}
	kernel, ok := attributes["kernel_size"].(*types.Tuple)
	out, in, groups := number("out_channels"), number("in_channels"), number("groups")
	if !ok || out <= 0 || in <= 0 || groups <= 0 || kernel.Len() < 1 || kernel.Len() > 3 {
		return ""
	}
	name, first, second := "Conv", out, in/groups
	if attributes["transposed"] == true {
		name, first, second = "ConvTranspose", in, out/groups
	}
	want := []int64{first, second}
	for _, k := range *kernel {
		n, _ := integer(k)
		want = append(want, n)
	}
	if !slices.Equal(weight, want) {
		return ""
	}
	return fmt.Sprintf("%s%dd", name, kernel.Len())
}
