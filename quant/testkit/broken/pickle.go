package broken

import (
	"encoding/binary"
	"fmt"
	"strings"

	"nibble/quant/fault"
)

// Pickles are put together of opcodes (names in CPython's Lib/pickletools.py).

// text is BINUNICODE.
func text(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

// number is BININT.
func number(n int32) string { return "J" + string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }

// storageOf is the persistent id of a storage of floats.
func storageOf(key string, count int32) string {
	return "(" + text("storage") + "ctorch\nFloatStorage\n" + text(key) + text("cpu") + number(count) + "tQ"
}

// rebuild is a tensor on a storage; args are offset, size and stride.
func rebuild(storage, args string) string {
	return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + args + "\x89ccollections\nOrderedDict\n)RtR"
}

// stateDict is a pickle {"w": tensor}.
func stateDict(storage, args string) string {
	return "\x80\x02}" + text("w") + rebuild(storage, args) + "s."
}

var storage4 = storageOf("0", 4)

const dense22 = "K\x00K\x02K\x02\x86K\x02K\x01\x86" // offset 0, size (2, 2), stride (2, 1)

// pickled is a checkpoint around a pickle, with one storage of 16 bytes.
func pickled(p string) func() []byte {
	return zips("archive/data.pkl", p, "archive/version", "3\n", "archive/data/0", strings.Repeat("\x00", 16))
}

// code is a pickle of protocol 2.
func code(ops string) func() []byte { return pickled("\x80\x02" + ops) }

// weight is a state dict with one value.
func weight(value string) func() []byte { return code("}" + text("w") + value + "s.") }

func times(s string, n int) string { return strings.Repeat(s, n) }

// manyTexts makes pairs of a text of its own each and one value.
func manyTexts(n int, value string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(text(fmt.Sprint(i)) + value)
	}
	return b.String()
}

// manyKeys makes pairs of a key of its own each and one value.
func manyKeys(n int, value string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "I%d\n%s", i, value)
	}
	return b.String()
}

const pickleAt = 46 // offset of data.pkl's content in the files of code and pickled

var pickleCases = []Case{
	// What Python would run.
	{Name: "os.system", Kind: fault.Unsupported, At: -1, Says: "Python would run os.system",
		Make: code("cos\nsystem\n" + text("ls") + "\x85R.")},
	{Name: "posix.system beside the weights", Kind: fault.Unsupported, At: -1, Says: "Python would run posix.system",
		Make: code("}(" + text("w") + rebuild(storage4, dense22) + text("x") + "cposix\nsystem\n" + text("ls") + "\x85Ru.")},
	{Name: "builtins.eval", Kind: fault.Unsupported, At: -1, Says: "Python would run builtins.eval",
		Make: pickled("\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.")},
	{Name: "builtins.exec of Python 2", Kind: fault.Unsupported, At: -1, Says: "__builtin__.eval",
		Make: code("c__builtin__\neval\n" + text("1") + "\x85R.")},
	{Name: "subprocess.Popen", Kind: fault.Unsupported, At: -1, Says: "subprocess.Popen",
		Make: weight("csubprocess\nPopen\n" + text("ls") + "\x85R")},
	{Name: "runpy in a parameter", Kind: fault.Unsupported, At: -1, Says: "runpy._run_code",
		Make: weight("ctorch._tensor\n_rebuild_from_type_v2\n(crunpy\n_run_code\nctorch\nTensor\n)}tR")},
	{Name: "a class instead of weights", Kind: fault.Unsupported, At: -1,
		Says: "an object of class torch.nn.modules.linear.Linear", Make: code("ctorch.nn.modules.linear\nLinear\n)\x81.")},
	{Name: "what getattr gave", Kind: fault.Unsupported, At: -1, Says: "no tensors by name",
		Make: weight("cbuiltins\ngetattr\ncmine\nThing\n" + text("x") + "\x86R" + text("y") + "\x85R")},
	{Name: "getattr of os", Kind: fault.Unsupported, At: -1, Says: "Python would run os.path",
		Make: weight("cbuiltins\ngetattr\ncos\npath\n" + text("x") + "\x86R" + text("y") + "\x85R")},
	{Name: "an object of what runs commands", Kind: fault.Unsupported, At: -1, Says: "Python would run subprocess.Popen",
		Make: weight("csubprocess\nPopen\n" + text("x") + "\x85\x81")},
	{Name: "a dotted name", Kind: fault.Unsupported, At: -1, Says: "Python would run torch.serialization.os.system",
		Make: weight(text("torch.serialization") + text("os.system") + "\x93" + text("x") + "\x85R")},
	{Name: "handed to map", Kind: fault.Unsupported, At: -1, Says: "Python would run os.system",
		Make: weight("cbuiltins\nmap\ncos\nsystem\n]" + text("x") + "a\x86R")},
	{Name: "handed over in a tuple", Kind: fault.Unsupported, At: -1, Says: "Python would run os.system",
		Make: weight("cfunctools\npartial\ncos\nsystem\n\x85\x85R")},
	{Name: "a method of what runs commands", Kind: fault.Unsupported, At: -1,
		Says: "Python would run builtins.eval.__call__",
		Make: weight(text("builtins") + text("eval.__call__") + "\x93" + text("1") + "\x85R")},
	{Name: "a long way to what runs commands", Kind: fault.Unsupported, At: -1,
		Says: "Python would run os.system.__call__",
		Make: weight(text("os") + text("system"+times(".__call__", 25)) + "\x93" + text("x") + "\x85R")},
	{Name: "set as a state", Kind: fault.Unsupported, At: -1, Says: "Python would run os.system",
		Make: weight("cfunctools\npartial\ncmine\nf\n\x85R(cos\nsystem\n)}Ntb")},
	{Name: "getattr handed on", Kind: fault.Unsupported, At: -1, Says: "Python would run builtins.getattr",
		Make: weight("cfunctools\nreduce\ncbuiltins\ngetattr\n]\x86R")},
	{Name: "a call that changes a tensor", Kind: fault.Format, At: pickleAt, Says: "which could change it",
		Make: weight(rebuild(storage4, dense22) + "q\x05" + text("torch") + text("Tensor.mul_") + "\x93h\x05K\x02\x86R0")},
	{Name: "a name that is a module's, too", Kind: fault.Unsupported, At: 220, Says: "that of a module of Python's",
		Make: code("}" + text("collections") + "q\x05" + rebuild(storage4, dense22) + "sh\x05" + text("OrderedDict") +
			"\x93)R0.")},
	{Name: "what a Counter was made of", Kind: fault.Unsupported, At: -1, Says: "holds a Counter of 1, not a state dict",
		Make: code("ccollections\nCounter\n}" + text("a") + rebuild(storage4, dense22) + "s\x85R" +
			text("b") + rebuild(storage4, dense22) + "s.")},
	{Name: "getattr of a name on the way", Kind: fault.Unsupported, At: -1,
		Says: `Python would run builtins.getattr for "__globals__"`,
		Make: weight("cbuiltins\ngetattr\ncmine\nThing\n" + text("__globals__") + "\x86R")},
	{Name: "300,000 names for one tensor", Kind: fault.Unsupported, At: -1, Says: "more than 262144 tensors",
		Make: code(rebuild(storage4, dense22) + "q\x01}(" + manyTexts(300_000, "h\x01") + "u.")},
	{Name: "40,000 tensors of 64 sizes", Kind: fault.Unsupported, At: -1, Says: "the shapes of its tensors take more room",
		Make: code("(" + times("K\x01", 64) + "tq\x01" + storage4 + "q\x02}(" +
			manyTexts(40_000, "ctorch._utils\n_rebuild_tensor\n(h\x02K\x00h\x01h\x01tR") + "u.")},

	// Opcodes.
	{Name: "empty pickle", Kind: fault.Format, At: pickleAt, Says: "no end", Make: pickled("")},
	{Name: "no STOP", Kind: fault.Format, At: pickleAt + 3, Says: "no end", Make: code("}")},
	{Name: "STOP on an empty stack", Kind: fault.Format, At: pickleAt, Says: "broken", Make: code(".")},
	{Name: "opcode 0xfe", Kind: fault.Unsupported, At: pickleAt + 2, Says: "0xfe", Make: code("\xfe.")},
	{Name: "EXT1", Kind: fault.Unsupported, At: pickleAt + 2, Says: "0x82", Make: code("\x82\x01.")},
	{Name: "INST", Kind: fault.Unsupported, At: pickleAt + 3, Says: "0x69", Make: code("(ios\nsystem\n.")},
	{Name: "OBJ", Kind: fault.Unsupported, At: pickleAt + 2 + 12, Says: "0x6f", Make: code("(cos\nsystem\no.")},
	{Name: "PERSID in text", Kind: fault.Unsupported, At: pickleAt + 2, Says: "0x50", Make: code("P1\n.")},
	{Name: "NEWOBJ_EX", Kind: fault.Unsupported, At: 63, Says: "0x92", Make: code("cos\nsystem\n)}N0\x92.")},
	{Name: "NEXT_BUFFER", Kind: fault.Unsupported, At: pickleAt + 2, Says: "0x97", Make: code("\x97.")},
	{Name: "cut in a text", Kind: fault.Format, At: pickleAt + 2, Says: "ends inside", Make: code("X\xff\x00\x00\x00abc")},
	{Name: "cut in a line", Kind: fault.Format, At: pickleAt + 2, Says: "ends inside", Make: code("ctorch")},
	{Name: "text of 2^64-1 bytes", Kind: fault.Format, At: pickleAt + 2, Says: "ends inside",
		Make: code("\x8d\xff\xff\xff\xff\xff\xff\xff\xff.")},
	{Name: "bytes of 2^63-1", Kind: fault.Format, At: pickleAt + 2, Says: "ends inside",
		Make: code("\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.")},
	{Name: "bytes of -1", Kind: fault.Format, At: pickleAt + 2, Says: "ends inside", Make: code("T\xff\xff\xff\xff.")},
	{Name: "frame beyond the end", Kind: fault.Format, At: pickleAt + 2, Says: "ends inside",
		Make: code("\x95\xff\xff\xff\xff\xff\xff\xff\x7f.")},
	{Name: "integer of 2,000 bytes", Kind: fault.Format, At: pickleAt + 2, Says: "an integer of 2004 bytes",
		Make: code("\x8b\xd0\x07\x00\x00" + times("\x7f", 2000) + ".")},
	{Name: "integer of a million digits", Kind: fault.Format, At: 48,
		Says: `the pickle holds a number or text in a form that no pickler `, Make: code("L" + times("9", 1<<20) + "L\n.")},
	{Name: "integer in words", Kind: fault.Format, At: 48,
		Says: `the pickle holds a number or text in a form that no pickler `, Make: code("Ifive\n.")},
	{Name: "float in words", Kind: fault.Format, At: 48,
		Says: `the pickle holds a number or text in a form that no pickler `, Make: code("Ffive\n.")},
	{Name: "text in bad quotes", Kind: fault.Format, At: 48,
		Says: `the pickle holds a number or text in a form that no pickler `, Make: code("S'abc\n.")},
	{Name: "protocol 9", Kind: fault.Format, At: pickleAt, Says: "broken", Make: pickled("\x80\x09}.")},
	{Name: "POP from nothing", Kind: fault.Format, At: pickleAt + 2, Says: "empty stack", Make: code("0.")},
	{Name: "POP_MARK without a mark", Kind: fault.Format, At: pickleAt + 2, Says: "MARK is missing", Make: code("1.")},
	{Name: "TUPLE below its mark", Kind: fault.Format, At: pickleAt + 4, Says: "empty stack", Make: code("N(\x85.")},
	{Name: "BUILD on a class", Kind: fault.Format, At: pickleAt, Says: "broken", Make: code("cmine\nThing\n}b.")},
	{Name: "REDUCE of a list", Kind: fault.Format, At: 57, Says: "broken", Make: code("]q\x00h\x00ah\x00)R.")},
	{Name: "REDUCE without a tuple", Kind: fault.Format, At: pickleAt, Says: "broken",
		Make: code("ctorch\nSize\nK\x01R.")},
	{Name: "NEWOBJ of a number", Kind: fault.Format, At: 51, Says: "broken", Make: code("K\x01)\x81.")},
	{Name: "SETITEMS of odd count", Kind: fault.Format, At: 52, Says: "broken", Make: code("}(K\x01u.")},
	{Name: "SETITEM on a tuple", Kind: fault.Format, At: pickleAt, Says: "broken", Make: code(")K\x01K\x02s.")},
	{Name: "APPEND to a dict", Kind: fault.Format, At: pickleAt, Says: "broken", Make: code("}K\x01a.")},
	{Name: "ADDITEMS to a list", Kind: fault.Format, At: pickleAt, Says: "broken", Make: code("](K\x01\x90.")},
	{Name: "a list as key", Kind: fault.Format, At: 80, Says: "broken",
		Make: code("ccollections\nOrderedDict\n)R](K\x01es.")},
	{Name: "OrderedDict of a number", Kind: fault.Format, At: 46, Says: `the pickle is broken (a dict of an integer)`,
		Make: code("ccollections\nOrderedDict\nK\x01\x85R.")},
	{Name: "memo never written", Kind: fault.Format, At: pickleAt + 2 + 1 + 6, Says: "memo entry 5",
		Make: code("}" + text("a") + "h\x05s.")},
	{Name: "memo of 2^32-1", Kind: fault.Format, At: pickleAt + 2, Says: "memo entry 4294967295",
		Make: code("j\xff\xff\xff\xff.")},
	{Name: "memo of nothing", Kind: fault.Format, At: pickleAt + 2, Says: "memoizes nothing", Make: code("q\x00.")},
	{Name: "memo index in words", Kind: fault.Format, At: pickleAt + 3, Says: "no memo index", Make: code("}pfive\n.")},

	// Bombs: each of these once took gigabytes or minutes.
	{Name: "100,000 marks", Kind: fault.Format, At: pickleAt + 2 + 257, Says: "nests",
		Make: code(times("(", 100000) + ".")},
	{Name: "3,000,000 dicts", Kind: fault.Format, At: 1048625, Says: "allocates", Make: code(times("}", 3000000) + ".")},
	{Name: "2,000,000 values", Kind: fault.Format, At: pickleAt + 2 + 1048577, Says: "allocates",
		Make: code(times("N", 2000000) + ".")},
	{Name: "3,000,000 copies of one value", Kind: fault.Format, At: pickleAt + 2 + 1048577, Says: "allocates",
		Make: code("N" + times("2", 3000000) + ".")},
	{Name: "pickle: a size of 0 after sizes that overflow", Kind: fault.Format, At: 329, Says: "overflows",
		Make: weight(rebuild(storage4, "K\x00("+number(1<<31-1)+number(1<<31-1)+number(1<<31-1)+
			"K\x00t(K\x00K\x00K\x00K\x01t"))},
	{Name: "a text printed many times", Kind: fault.Format, At: 1049272, Says: "allocates",
		Make: code("X\x00\x00\x10\x00" + times("x", 1<<20) + "q\x000](" + times("h\x00", 1000) + "e)R.")},
	{Name: "600,000 pairs", Kind: fault.Format, At: 1572914, Says: "allocates",
		Make: code("}(" + times("K\x00N", 600000) + "u.")},
	{Name: "100,000 frames in each other", Kind: fault.Format, At: 57,
		Says: `the pickle is broken (a frame begins inside another)`,
		Make: code(times("\x95\x00\x10\x00\x00\x00\x00\x00\x00", 100000) + times("N", 4096) + ".")},
	{Name: "attributes given 400,000 times", Kind: fault.Unsupported, At: -1, Says: "no tensors",
		Make: code("ccollections\nOrderedDict\n)R}(" + manyKeys(100000, "N") + "uq\x00b" + times("h\x00b", 400000) + ".")},
	{Name: "one list of pairs in 2,000 dicts", Kind: fault.Format, At: pickleAt, Says: "more work",
		Make: code("](" + times("K\x01K\x02\x86", 30000) + "eq\x00](" + times("ccollections\nOrderedDict\nh\x00\x85R", 2000) +
			"e.")},
	{Name: "one dict of flags for 2,000 tensors", Kind: fault.Format, At: pickleAt, Says: "more work",
		Make: code(storage4 + "q\x01}(" + times(text("conj")+"\x89", 30000) + "uq\x02](" +
			times("ctorch._utils\n_rebuild_tensor_v2\n(h\x01"+dense22+"\x89Nh\x02tR", 2000) + "e.")},
	{Name: "40 classes with names of 1 MB", Kind: fault.Unsupported, At: -1, Says: "mmm.C, not a state dict",
		Make: code(times("c"+times("m", 1<<20)+"\nC\n", 40) + ".")},
	{Name: "one list in 60,000 places", Kind: fault.Unsupported, At: -1, Says: "no tensors",
		Make: code("](" + times("N", 400_000) + "eq\x000}(" + manyTexts(60_000, "h\x00") + "u.")},
	{Name: "a text called", Kind: fault.Format, At: 4194358, Says: "calls or fills what is no function",
		Make: code(text(times("x", 4<<20)) + ")R.")},
	{Name: "20,000 modules whose parameter has a name of 1 MB", Kind: fault.Format, At: -1, Says: "nest or repeat",
		Make: code("ca\nM\n)\x81q\x00}(" + text("_modules") + "}" + text("_parameters") + "}" +
			text(times("p", 1<<20)) + rebuild(storage4, dense22) + "sub0ca\nM\n)\x81}(" + text("_parameters") + "}" +
			text("_modules") + "}(" + manyTexts(20000, "h\x00") + "uub.")},
	{Name: "a big dict in many places", Kind: fault.Unsupported, At: -1, Says: "no tensors",
		Make: code("}(" + times("I7\n", 2*100000) + "uq\x000}(" + manyKeys(20000, "h\x00") + "u.")},
	{Name: "a dict in itself", Kind: fault.Unsupported, At: -1, Says: "no tensors",
		Make: code("}q\x00" + text("model") + "h\x00s.")},
	{Name: "a list in itself", Kind: fault.Unsupported, At: -1, Says: "a list of 1", Make: code("]q\x00h\x00a.")},
	{Name: "tuples 100,000 deep", Kind: fault.Unsupported, At: -1, Says: "a tuple of 1",
		Make: code(")" + times("\x85", 100000) + ".")},

	// Sound pickles of something else.
	{Name: "a number", Kind: fault.Unsupported, At: -1, Says: "an integer", Make: code("K\x05.")},
	{Name: "a dict of numbers", Kind: fault.Unsupported, At: -1, Says: "no tensors",
		Make: code("}" + text("a") + "K\x01s.")},
	{Name: "a module that hides its parts", Kind: fault.Unsupported, At: -1,
		Says: "the module child is an object of class a.N, whose weights are not known",
		Make: code("ca\nM\n)\x81}(" + text("_parameters") + "}" + text("_modules") + "}" + text("child") +
			"ca\nN\n)\x81sub.")},
	{Name: "a parameter that is an object", Kind: fault.Unsupported, Tensor: "w", At: -1,
		Says: "it is an object made by a.f, whose values are not known",
		Make: code("ca\nM\n)\x81}(" + text("_parameters") + "}" + text("w") + "ca\nf\n)Rs" + text("_modules") + "}ub.")},
	{Name: "a lazy parameter", Kind: fault.Unsupported, Tensor: "w", At: -1, Says: "no values yet (lazy)",
		Make: weight("ctorch.nn.parameter\nUninitializedParameter\n)R")},
	{Name: "a quantized layer", Kind: fault.Unsupported, At: -1, Says: "the module child is a quantized layer",
		Make: code("ca\nM\n)\x81}(" + text("_parameters") + "}" + text("_modules") + "}" + text("child") +
			"ctorch.ao.nn.quantized.dynamic.modules.linear\nLinear\n)\x81}(" + text("_parameters") + "}" + text("_modules") +
			"}ubsub.")},
	{Name: "an optimizer", Kind: fault.Unsupported, At: -1, Says: "state of an optimizer",
		Make: code("}(" + text("state") + "}" + text("param_groups") + "]u.")},
}

var tensorCases = []Case{
	{Name: "persistent id is a number", Kind: fault.Format, At: pickleAt, Says: "not a storage", Make: weight("K\x01Q")},
	{Name: "persistent id of four", Kind: fault.Format, At: pickleAt, Says: "not a storage",
		Make: weight("(" + text("storage") + "ctorch\nFloatStorage\n" + text("0") + text("cpu") + "tQ")},
	{Name: "persistent id of a module", Kind: fault.Format, At: pickleAt, Says: "not a storage",
		Make: weight("(" + text("module") + "ctorch\nFloatStorage\n" + text("0") + text("cpu") + "K\x01tQ")},
	{Name: "storage of no known class", Kind: fault.Format, At: pickleAt, Says: "not a storage",
		Make: weight("(" + text("storage") + "ctorch\nCudaStorage\n" + text("0") + text("cpu") + "K\x04tQ")},
	{Name: "storage of -4 values", Kind: fault.Format, At: pickleAt, Says: "not a storage",
		Make: pickled(stateDict(storageOf("0", -4), dense22))},
	{Name: "storage of 2^62 values", Kind: fault.Format, At: pickleAt, Says: "not a storage",
		Make: weight(rebuild("("+text("storage")+"ctorch\nFloatStorage\n"+text("0")+text("cpu")+
			"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x40tQ", dense22))},
	{Name: "storage of another size", Kind: fault.Format, At: 310, Says: "should hold 5",
		Make: pickled(stateDict(storageOf("0", 5), dense22))},
	{Name: "storage that is missing", Kind: fault.Format, At: -1, Says: "not in the zip",
		Make: pickled(stateDict(storageOf("7", 4), dense22))},
	{Name: "offset beyond the storage", Kind: fault.Format, At: 310, Says: "reaches beyond",
		Make: pickled(stateDict(storage4, "K\x01K\x02K\x02\x86K\x02K\x01\x86"))},
	{Name: "offset of 2^40", Kind: fault.Format, At: 316, Says: "reaches beyond",
		Make: pickled(stateDict(storage4, "\x8a\x06\x00\x00\x00\x00\x00\x01K\x02K\x02\x86K\x02K\x01\x86"))},
	{Name: "negative offset", Kind: fault.Format, At: pickleAt, Says: "no sound offset",
		Make: pickled(stateDict(storage4, number(-1)+"K\x02K\x02\x86K\x02K\x01\x86"))},
	{Name: "stride too wide", Kind: fault.Format, At: 310, Says: "reaches beyond",
		Make: pickled(stateDict(storage4, "K\x00K\x02K\x02\x86K\x03K\x01\x86"))},
	{Name: "negative stride", Kind: fault.Format, At: pickleAt, Says: "no sound offset",
		Make: pickled(stateDict(storage4, "K\x00K\x02K\x02\x86"+number(-1)+"K\x01\x86"))},
	{Name: "stride that overflows", Kind: fault.Format, At: 318, Says: "reaches beyond",
		Make: pickled(stateDict(storage4, "K\x00K\x05K\x02\x86\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x01\x86"))},
	{Name: "ranks differ", Kind: fault.Format, At: pickleAt, Says: "no sound offset",
		Make: pickled(stateDict(storage4, "K\x00K\x02K\x02\x86K\x01\x85"))},
	{Name: "a tensor of 65 axes", Kind: fault.Format, At: 46, Says: "no sound offset",
		Make: pickled(stateDict(storage4, "K\x00("+times("K\x01", 65)+"t("+times("K\x01", 65)+"t"))},
	{Name: "size of 2^63-1", Kind: fault.Format, At: 314, Says: "overflows",
		Make: pickled(stateDict(storage4, "K\x00\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85K\x01\x85"))},
	{Name: "sizes whose product overflows", Kind: fault.Format, At: 320, Says: "overflows",
		Make: pickled(stateDict(storage4, "K\x00"+
			"\x8a\x05\x00\x00\x00\x00\x01\x8a\x05\x00\x00\x00\x00\x01\x86K\x00K\x00\x86"))},
	{Name: "size that is text", Kind: fault.Format, At: pickleAt, Says: "no sound offset",
		Make: pickled(stateDict(storage4, "K\x00"+text("2")+"\x85K\x01\x85"))},
	{Name: "size of 2^80", Kind: fault.Format, At: pickleAt, Says: "no sound offset",
		Make: pickled(stateDict(storage4, "K\x00\x8a\x0b"+times("\x00", 10)+"\x01\x85K\x01\x85"))},
	{Name: "expanded to petabytes", Kind: fault.Unsupported, At: -1, Says: "repeat the same values",
		Make: pickled(stateDict(storage4, "K\x00\x8a\x07\xff\xff\xff\xff\xff\xff\x03\x85K\x00\x85"))},
	{Name: "negated", Kind: fault.Unsupported, Tensor: "w", At: -1, Says: "pending operation (neg)",
		Make: pickled(strings.Replace(stateDict(storage4, dense22), ")RtR", ")R}"+text("neg")+"\x88stR", 1))},
	{Name: "v2 without a storage", Kind: fault.Format, At: 46,
		Says: `the pickle is broken (_rebuild_tensor_v2 without a storage)`, Make: pickled(stateDict("K\x01", dense22))},
	{Name: "v2 of three arguments", Kind: fault.Format, At: pickleAt, Says: "with 3 arguments",
		Make: weight("ctorch._utils\n_rebuild_tensor_v2\n(" + storage4 + "K\x00K\x01\x85tR")},
	{Name: "v2 on an untyped storage", Kind: fault.Format, At: 317, Says: "hold 17 values",
		Make: weight(rebuild("("+text("storage")+"ctorch.storage\nUntypedStorage\n"+text("0")+text("cpu")+"K\x11tQ",
			dense22))},
	{Name: "v3 without a dtype", Kind: fault.Format, At: pickleAt, Says: "without a storage or a dtype",
		Make: weight("ctorch._utils\n_rebuild_tensor_v3\n(" + storage4 + dense22 + "\x89NNtR")},
	{Name: "v3 of an unknown dtype", Kind: fault.Unsupported, Tensor: "w", At: -1, Says: "torch.float128",
		Make: weight("ctorch._utils\n_rebuild_tensor_v3\n(" + storage4 + dense22 + "\x89Nctorch\nfloat128\ntR")},
	{Name: "parameter without a tensor", Kind: fault.Format, At: 46,
		Says: `the pickle is broken (_rebuild_parameter with 0 arguments)`,
		Make: weight("ctorch._utils\n_rebuild_parameter\n)R")},
	{Name: "from_type without arguments", Kind: fault.Format, At: pickleAt, Says: "with 0 arguments",
		Make: weight("ctorch._tensor\n_rebuild_from_type_v2\n)R")},
	{Name: "from_type of a number", Kind: fault.Format, At: pickleAt, Says: "without a function",
		Make: weight("ctorch._tensor\n_rebuild_from_type_v2\n(K\x01ctorch\nTensor\n)}tR")},
	{Name: "sparse", Kind: fault.Unsupported, Tensor: "w", At: -1, Says: "a sparse tensor",
		Make: weight("ctorch._utils\n_rebuild_sparse_tensor\n)R")},
	{Name: "quantized", Kind: fault.Unsupported, Tensor: "w", At: -1, Says: "a quantized tensor",
		Make: weight("ctorch._utils\n_rebuild_qtensor\n)R")},
	{Name: "quantized, in a tuple", Kind: fault.Unsupported, Tensor: "w", At: -1, Says: "a quantized tensor",
		Make: weight("ctorch._utils\n_rebuild_qtensor\n)RN\x86")},
	{Name: "meta", Kind: fault.Unsupported, Tensor: "w", At: -1, Says: "no values",
		Make: weight("ctorch._utils\n_rebuild_meta_tensor_no_storage\n)R")},
	{Name: "meta storage", Kind: fault.Unsupported, Tensor: "w", At: -1, Says: "meta device",
		Make: weight(rebuild("("+text("storage")+"ctorch\nFloatStorage\n"+text("9")+text("meta")+"K\x04tQ", dense22))},
	{Name: "complex128", Kind: fault.Unsupported, Tensor: "w", At: -1, Says: "complex128",
		Make: weight(rebuild("("+text("storage")+"ctorch\nComplexDoubleStorage\n"+text("0")+text("cpu")+"K\x01tQ",
			"K\x00K\x01\x85K\x01\x85"))},
	{Name: "a rank's part", Kind: fault.Unsupported, Tensor: "w", At: -1, Says: "distributed tensor",
		Make: weight("ctorch.distributed.tensor._api\nDTensor\n)R")},
	{Name: "a name that is not UTF-8", Kind: fault.Format, At: 49, Says: "not UTF-8",
		Make: code("}X\x01\x00\x00\x00\xff" + rebuild(storage4, dense22) + "s.")},
	{Name: "modules without end", Kind: fault.Format, At: -1, Says: "nest or repeat",
		Make: code("ca\nM\n)\x81q\x00}(" + text("_parameters") + "}" + text("_modules") + "}" + text("me") + "h\x00sub.")},
}
