package checkpoint

import (
	"slices"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/format/torch"
	"nibble/quant/tensor"
)

// undecided refuses a file of several models of which none was chosen.
func (c *Checkpoint) undecided() error {
	return fault.Not(c.Name, "the file holds %d models: %s", len(c.State.Parts), torch.PartNames(c.State.Parts)).
		Code("choose_part").Hint("choose one or more of them")
}

// parted takes apart a state dict that holds an average of its weights beside them, in formats whose reader does not.
// Without a wish the average is left out.
func parted(c *Checkpoint, want []string) error {
	average := tensor.Part{Name: strings.TrimSuffix(tensor.Average, "."), EMA: true}
	live := tensor.Part{Name: torch.Live}
	inAverage := func(t tensor.Tensor) bool { return strings.HasPrefix(t.Name, tensor.Average) }
	for i := range c.State.Tensors {
		p := &live
		if inAverage(c.State.Tensors[i]) {
			p = &average
		}
		p.Tensors++
		p.Bytes += c.State.Tensors[i].Bytes()
	}
	if average.Tensors == 0 || live.Tensors == 0 {
		if len(want) > 0 {
			return torch.NoPart(c.Name, want[0], nil)
		}
		return nil
	}
	parts := []tensor.Part{live, average}
	for _, name := range want {
		if name != live.Name && name != average.Name {
			return torch.NoPart(c.Name, name, parts)
		}
	}
	parts[0].Chosen = len(want) == 0 || slices.Contains(want, live.Name)
	parts[1].Chosen = slices.Contains(want, average.Name)
	for _, p := range parts {
		if !p.Chosen {
			c.State.LeftOut += p.Bytes
		}
	}
	c.State.Tensors = slices.DeleteFunc(c.State.Tensors, func(t tensor.Tensor) bool {
		return inAverage(t) && !parts[1].Chosen || !inAverage(t) && !parts[0].Chosen
	})
	c.State.Parts = parts
	return nil
}
