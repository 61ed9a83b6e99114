package model

import (
	"slices"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/format/safetensors"
	"nibble/quant/format/torch"
	"nibble/quant/tensor"
)

// chooseError refuses a file of several models of which none was chosen.
func (c *Model) chooseError() error {
	return fault.Not(c.Name, "the file holds %d models: %s", len(c.State.Parts), torch.PartNames(c.State.Parts)).
		Code(fault.ChoosePart).Hint("choose one or more of them")
}

// chooseParts keeps the parts that are wanted of a state dict that holds an average of its weights beside them, in
// formats whose reader does not do it. Without a wish the average is left out. Our own outputs are whole as they are.
func chooseParts(c *Model, want []string) error {
	parts, prefix := liveAndAverage(c)
	if len(parts) == 0 {
		if len(want) > 0 {
			return torch.NoPart(c.Name, want[0], nil)
		}
		return nil
	}
	for _, name := range want {
		if name != parts[0].Name && name != parts[1].Name {
			return torch.NoPart(c.Name, name, parts)
		}
	}
	for i := range parts {
		parts[i].Chosen = slices.Contains(want, parts[i].Name) || len(want) == 0 && !parts[i].EMA
		if !parts[i].Chosen {
			c.State.LeftOut += parts[i].Bytes
		}
	}
	c.State.Tensors = slices.DeleteFunc(c.State.Tensors,
		func(t tensor.Tensor) bool { return !parts[partOf(t, prefix)].Chosen })
	c.State.Parts = parts
	return nil
}

// liveAndAverage are the live weights and their average, and how the names of the average begin; nil where there is
// no such pair.
func liveAndAverage(c *Model) ([]tensor.Part, string) {
	if safetensors.Meta(c.Bodies, safetensors.NibbleContainer) != "" {
		return nil, ""
	}
	for _, prefix := range tensor.Averages {
		out := []tensor.Part{{Name: torch.Live}, {Name: strings.TrimSuffix(prefix, "."), EMA: true}}
		matrices := [2]int{}
		for _, t := range c.State.Tensors {
			p := partOf(t, prefix)
			out[p].Tensors++
			out[p].Bytes += t.Bytes()
			if len(t.Shape) > 1 {
				matrices[p]++
			}
		}
		if matrices[0] > 0 && matrices[1] > 0 {
			return out, prefix
		}
	}
	return nil, ""
}

// partOf is 1 for a tensor of the average, 0 for others.
func partOf(t tensor.Tensor, prefix string) int {
	if strings.HasPrefix(t.Name, prefix) {
		return 1
	}
	return 0
}
