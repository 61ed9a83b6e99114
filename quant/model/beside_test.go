package model

import (
	"slices"
	"testing"

	"nibble/quant/format/safetensors"
	"nibble/quant/tensor"
)

// Small files whose names some systems cannot unpack are left out where a zip is made, each with a note.
func TestLeaveOut(t *testing.T) {
	c := &Model{}
	for _, name := range []string{"m/config.json", "m/a:b.json", `m/a\b`, "m/a*", "m/a?", `m/"a"`, "m/<a>", "m/a|b",
		"m/a\nb", "m/naïve 模型.txt"} {
		c.Beside = append(c.Beside, &tensor.File{Name: name})
	}
	c.LeaveOut(Portable)
	var left []string
	for _, f := range c.Beside {
		left = append(left, f.Name)
	}
	if !slices.Equal(left, []string{"m/config.json", "m/naïve 模型.txt"}) {
		t.Errorf("what stays is %q", left)
	}
	if len(c.State.Notes) != 8 || c.State.Notes[0] != "a:b.json has a name that not every system can unpack and "+
		"is left out" {
		t.Errorf("%q", c.State.Notes)
	}
}

// What shards say alike is held once, and counted once.
func TestShare(t *testing.T) {
	first := &safetensors.Body{Metadata: map[string]string{"recipe": "long", "own": "a"}}
	if n := shareMetadata(first, nil); n != len("recipe")+len("long")+len("own")+len("a") {
		t.Errorf("the first counts %d", n)
	}
	if n := shareMetadata(&safetensors.Body{Metadata: map[string]string{"recipe": "long", "own": "b"}},
		[]any{first}); n != len("recipe")+len("own")+len("b") {
		t.Errorf("the second counts %d", n)
	}
}
