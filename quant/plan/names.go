package plan

import (
	"regexp"
	"slices"
	"strings"
)

// What names say. Each function reads the last part of a module's name, in lower case; what is cheap
// comes first, since names can be long.

var (
	attentionParam = regexp.MustCompile(`^(in_proj|q_proj|k_proj|v_proj)_weight$`)
	recurrentParam = regexp.MustCompile(`^weight_(ih|hh|hr)(_l\d+(_reverse)?)?$`)
	outputName     = regexp.MustCompile(`unembed|embed_out|embed.*proj`) // a Linear in spite of its name
)

// longest bounds a name that is looked at word by word.
const longest = 64

// lastOf is the last part of a module's name that is no number, as those in a ModuleList are.
func lastOf(module string) string {
	for {
		outer, last := split(module)
		if last != "" && strings.Trim(last, "0123456789") == "" && outer != "" {
			module = outer
			continue
		}
		return strings.ToLower(last)
	}
}

// wordsOf cuts a name at its underlines, without the numbers at the words' ends.
func wordsOf(last string) []string {
	if len(last) > longest {
		return nil
	}
	words := strings.FieldsFunc(last, func(r rune) bool { return r == '_' || r == '-' })
	for i, w := range words {
		words[i] = strings.TrimRight(w, "0123456789")
	}
	return words
}

// anyWord reports whether one of the words of a name is one of these.
func anyWord(last string, of ...string) bool {
	return slices.ContainsFunc(wordsOf(last), func(w string) bool { return slices.Contains(of, w) })
}

// saysEmbedding reports embed, emb, tok and the like, unless it is what projects them.
func saysEmbedding(last string) bool {
	if outputName.MatchString(last) {
		return false
	}
	switch last {
	case "wte", "wpe", "relative_attention_bias":
		return true
	}
	return strings.Contains(last, "embed") || strings.Contains(last, "codebook") || strings.HasSuffix(last, "_emb") ||
		anyWord(last, "emb", "embs", "tok", "token", "tokens", "lookup") &&
			!anyWord(last, "proj", "projection", "head", "out", "fc", "linear", "to", "gate", "mixer", "mixing", "mlp", "ffn",
				"attn")
}

// saysNorm reports norm, ln, bn and the like.
func saysNorm(last string) bool {
	if anyWord(last, "proj", "linear", "fc", "head") {
		return false
	}
	return anyWord(last, "ln", "bn", "gn") || slices.ContainsFunc(wordsOf(last), func(w string) bool {
		return strings.HasSuffix(w, "norm") || strings.HasPrefix(w, "normali")
	})
}

// saysConv reads a whole name for conv.
func saysConv(module string) bool { return strings.Contains(strings.ToLower(module), "conv") }

// saysTransposed reads a whole name for what only a ConvTranspose is called.
func saysTransposed(module string) bool {
	low := strings.ToLower(module)
	return strings.Contains(low, "deconv") || strings.Contains(low, "transpose")
}

// saysUp reports what makes a picture or a signal larger, which a ConvTranspose may do.
func saysUp(last string) bool {
	return strings.Contains(last, "upsampl") || strings.Contains(last, "upconv") || strings.Contains(last, "upscal") ||
		strings.Contains(last, "resize") || anyWord(last, "up", "ups", "unpool", "proto", "tconv", "convt", "trans")
}

// saysDown reports what a Conv with a kernel of even length is called.
func saysDown(last string) bool {
	return strings.Contains(last, "conv") || strings.Contains(last, "patch") || strings.Contains(last, "embed") ||
		anyWord(last, "stem", "down", "downsample", "downsampler", "reduction", "proj")
}

// saysRouter reports what decides which experts work.
func saysRouter(last string) bool { return anyWord(last, "router") }

// saysGate reports a gate, which decides which experts work where it stands beside them.
func saysGate(last string) bool {
	return anyWord(last, "gate", "gates", "gating") && !anyWord(last, "proj", "up")
}

// holdsExperts reports what Transformers and MLX call the module with the experts in it.
func holdsExperts(last string) bool {
	return last == "experts" || last == "local_experts" || last == "switch_mlp" || last == "switch_glu"
}
