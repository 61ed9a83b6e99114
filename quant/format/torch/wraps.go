package torch

import (
	"github.com/nlpodyssey/gopickle/types"
)

// wrappers are the keys under which training scripts put the state dict, in the
// order they are tried: Lightning, plain PyTorch, DeepSpeed, BasicSR and others.
var wrappers = []string{"state_dict", "model_state_dict", "model", "module", "params", "network", "net", "weights"}

// averages are keys of EMA weights that the framework's own loader takes before the live ones: timm, F5-TTS,
// BasicSR, and, where the live ones are called model, Ultralytics, RT-DETR and DiT.
var averages = []struct{ ema, live string }{
	{"state_dict_ema", ""}, {"model_ema", ""}, {"ema_model_state_dict", ""}, {"params_ema", ""}, {"ema", "model"},
}

// onlyDict finds the one dict of tensors in a dict that has none itself.
func (r *reader) onlyDict(items []pair) (key string, dict any) {
	for _, it := range items {
		switch v := it.value.(type) {
		case *value, *unreadable:
			return "", nil
		default:
			name, isName := it.key.(string)
			if !isName || isTraining(name) || !r.holdsTensors(v, 1) {
				continue
			}
			if dict != nil {
				return "", nil
			}
			key, dict = name, v
		}
	}
	return key, dict
}

// wrapped finds the entry that holds the real state dict: an average before the live weights where the
// framework's own loader takes it. In a state dict itself no value is a dict with tensors in it.
func (r *reader) wrapped(items []pair) (string, any) { return r.wrappedIn(items, maxWraps) }

// maxWraps bounds wrappers in wrappers; a dict can hold itself.
const maxWraps = 3

func (r *reader) wrappedIn(items []pair, depth int) (string, any) {
	if depth == 0 {
		return "", nil
	}
	byKey := map[string]any{}
	for _, it := range items {
		if key, ok := it.key.(string); ok {
			byKey[key] = it.value
		}
	}
	holds := func(key string) bool {
		v := byKey[key]
		return v != nil && (isModule(v) || r.holdsTensors(v, depth-1))
	}
	for _, a := range averages {
		if _, live := byKey[a.live]; (a.live == "" || live) && holds(a.ema) {
			return a.ema, byKey[a.ema]
		}
	}
	for _, w := range wrappers {
		if holds(w) {
			return w, byKey[w]
		}
	}
	return "", nil
}

// holdsKey is a question that holdsTensors answered once: a dict can stand in very many places.
type holdsKey struct {
	dict  any
	depth int
}

// holdsTensors looks for tensors in a dict and in the wrappers in it.
func (r *reader) holdsTensors(dict any, depth int) bool {
	switch dict.(type) {
	case *types.Dict, *ordered, *record:
	default:
		return false
	}
	q := holdsKey{dict, depth}
	answer, asked := r.holds[q]
	if !asked {
		items, _ := entries(dict)
		answer = r.lookForTensors(items, depth)
		r.holds[q] = answer
	}
	return answer
}

// lookForTensors is holdsTensors for the items of a dict that was not looked at yet.
func (r *reader) lookForTensors(items []pair, depth int) bool {
	if holdsNamed(items) {
		return true
	}
	_, inner := r.wrappedIn(items, depth)
	return inner != nil
}
