package torch_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"nibble/quant/fault"
	"nibble/quant/format/torch"
	"nibble/quant/testkit"
)

// word is a pickled text.
func word(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

const empty = "ccollections\nOrderedDict\n)R"

// module pickles a module whose children are memo entries, and memoizes it.
func module(class string, memo byte, parameters string, children ...string) string {
	dict := empty
	if len(children) > 0 {
		dict += "(" + strings.Join(children, "") + "u"
	}
	return "c" + class + "\n)\x81q" + string(memo) + "}(" +
		word("_parameters") + empty + parameters + word("_modules") + dict + "ub"
}

func get(memo byte) string { return "h" + string(memo) }

func read(pickle string) error {
	_, _, err := torch.Read(testkit.File("x",
		testkit.Zip("archive/data.pkl", "\x80\x02"+pickle+".", "archive/data/0", strings.Repeat("\x00", 16),
			"archive/version", "3\n")), nil)
	return err
}

// A tree that is small in the file and endless when it is walked is refused, soon.
func TestTreesOfModulesWithoutEnd(t *testing.T) {
	doubling := module("a\nM", 0, "")
	for i := byte(1); i < 60; i++ {
		doubling += module("a\nM", i, "", word("l"), get(i-1), word("r"), get(i-1))
	}
	many := make([]string, 0, 2000)
	for range 1000 {
		many = append(many, word(strings.Repeat("n", 100)), get(0))
	}
	for name, pickle := range map[string]string{
		"doubling":     doubling,
		"holds itself": module("a\nM", 0, "", word("me"), get(0)),
		"long names": module("a\nM", 0, "") + module("a\nM", 1, "",
			append([]string{word(strings.Repeat("x", 1<<20)), get(0), word("self"), get(1)}, many...)...),
	} {
		began := time.Now()
		if err := read(pickle); fault.KindOf(err) != fault.Format || !strings.Contains(err.Error(), "nest or repeat") {
			t.Errorf("%s: %v", name, err)
		}
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("%s took %v", name, d)
		}
	}
}

// halfModule is an object that has some of the attributes that every module has; weights sets a parameter of a module.
var (
	halfModule = "ca\nM\n)\x81}" + word("_parameters") + empty + "sb"
	weights    = word("weight") + "ctorch._utils\n_rebuild_tensor_v2\n((" + word("storage") + "ctorch\nFloatStorage\n" +
		word("0") + word("cpu") +
		"K\x04tQK\x00K\x02K\x02\x86K\x02K\x01\x86\x89" + empty + "tRs"
)

// Classes are names: none can be called, and what looks like a module in part is none.
func TestObjectsThatAreNoModels(t *testing.T) {
	for name, c := range map[string]struct{ pickle, says string }{
		"called": {"ctorch.nn.modules.linear\nLinear\nK\x02K\x03\x86R",
			"the file holds an object made by torch.nn.modules.linear.Linear, not a state dict"},
		"called in a dict": {"}" + word("a") + "cos\nsystem\n" + word("ls") + "\x85Rs",
			"Python would run os.system when it loads this file"},
		"an object": {"ca.b\nC\n)\x81}" + word("x") + "K\x01sb",
			"the file holds an object of class a.b.C, not a state dict"},
		"half a module": {halfModule, "an object of class a.M that lacks _parameters or _modules"},
		"a module in half a one": {
			"ca\nM\n)\x81}" + word("_modules") + "}" + word("x") + module("a\nM", 0, weights) + "ssb",
			"lacks _parameters or _modules",
		},
		"half a module inside": {
			module("a\nM", 0, "", word("x"), halfModule),
			"the module x is an object of class a.M, whose weights are not known",
		},
		"no tensors":       {module("a\nM", 0, ""), "the file holds no tensors by name"},
		"a class":          {"cmine\nThing\n", "the file holds the class mine.Thing, not a state dict"},
		"state of a class": {"cmine\nThing\n}b", "the pickle is broken"},
		"children that are none": {module("a\nM", 0, "", word("a"), "K\x05", "K\x05", get(0)),
			"the module a is an integer, whose weights are not known"},
	} {
		if err := read(c.pickle); fault.KindOf(err) == "" || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
