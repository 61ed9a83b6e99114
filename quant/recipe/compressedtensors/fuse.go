package compressedtensors

import (
	"slices"
	"strconv"
	"strings"

	"nibble/quant/plan"
)

// fused are the layers of one module that vLLM (0.32) joins to one when it loads them, whose first scheme it takes for
// all: by their last names.
var fused = [][]string{
	{"q_proj", "k_proj", "v_proj"}, {"gate_proj", "up_proj"},
	{"query", "key", "value"}, {"w1", "w3"},
	{"q_a_proj", "kv_a_proj_with_mqa"},
}

// Fuse implements plan.Fuser. Where one of the layers is kept, so are all; else all get the finest scheme of them: more
// bits, then smaller groups.
func (r *Policy) Fuse(p *plan.Plan) {
	sets := map[string][]*plan.Entry{}
	for i := range p.Entries {
		e := &p.Entries[i]
		outer, last := cutName(e.Module)
		if e.Param != "weight" || len(e.Tensor.Shape) != 2 {
			continue
		}
		for _, set := range fused {
			if slices.Contains(set, last) {
				key := outer + " " + set[0]
				sets[key] = append(sets[key], e)
			}
		}
	}
	for _, set := range sets {
		unify(set)
	}
}

// cutName cuts a module's name at the last dot.
func cutName(module string) (outer, last string) {
	i := strings.LastIndexByte(module, '.')
	return module[:max(i, 0)], module[i+1:]
}

// unify gives the layers of a set one verdict.
func unify(set []*plan.Entry) {
	finest := set[0]
	for _, e := range set {
		if !e.Quantize {
			for _, other := range set {
				if other.Quantize {
					other.Verdict = plan.Verdict{Rule: other.Rule,
						Reason: plan.Because(plan.IsFused, strconv.Quote(e.Tensor.Name))}
				}
			}
			return
		}
		a, b := e.Scheme.Bits(), finest.Scheme.Bits()
		if a > b || a == b && e.Grid.GroupWidth() < finest.Grid.GroupWidth() {
			finest = e
		}
	}
	for _, e := range set {
		size := finest.Grid.BlockCols
		if finest.Grid.Across() == 1 {
			size = e.Grid.Cols
		}
		if e.Grid.Cols%size == 0 {
			held := e.Scheme.Held
			e.Scheme, e.Grid.BlockCols = finest.Scheme, size
			e.Scheme.Held = held
		}
	}
}
