package broken

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"strings"

	"nibble/quant/fault"
)

const (
	magic       = "\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
	version1001 = "\x80\x02M\xe9\x03."
	info        = "\x80\x02}."
	keys0       = "\x80\x02]" + "X\x01\x00\x00\x000" + "a."
)

func int64le(n int64) string { return string(binary.LittleEndian.AppendUint64(nil, uint64(n))) }

// viewID is the persistent id of a view of storage "0" of four floats: key, offset, size.
func viewID(view string) string {
	return "(" + text("storage") + "ctorch\nFloatStorage\n" + text("0") + text("cpu") + "K\x04" + view + "tQ"
}

// legacy joins the parts of an old file.
func legacy(parts ...string) func() []byte { return always(strings.Join(parts, "")) }

var (
	oldDict  = stateDict(viewID("N"), dense22)
	oldTail  = int64le(4) + times("\x00", 16)
	afterOld = int64(len(magic + version1001 + info + oldDict))
)

var legacyCases = []Case{
	{Name: "old: nothing after the magic", Kind: fault.Format, At: int64(len(magic)),
		Says: "the file ends where a pickle belongs", Make: legacy(magic)},
	{Name: "old: version 1000", Kind: fault.Unsupported, At: int64(len(magic + version1001)), Says: "version 1000",
		Make: legacy(magic, "\x80\x02M\xe8\x03.", info, oldDict, keys0, oldTail)},
	{Name: "old: version is text", Kind: fault.Unsupported, At: 26, Says: "version abc",
		Make: legacy(magic, "\x80\x02"+text("abc")+".", info)},
	{Name: "old: big endian", Kind: fault.Unsupported, At: -1, Says: `byte order "big"`,
		Make: legacy(magic, version1001, "\x80\x02}"+text("little_endian")+"\x89s.", oldDict)},
	{Name: "old: no pickle", Kind: fault.Format, At: int64(len(magic + version1001 + info)),
		Says: "ends where a pickle belongs", Make: legacy(magic, version1001, info)},
	{Name: "old: cut in the pickle", Kind: fault.Format, At: 34, Says: "ends inside",
		Make: legacy(magic, version1001, info, oldDict[:30])},
	{Name: "old: no list of storages", Kind: fault.Format, At: afterOld, Says: "ends where a pickle belongs",
		Make: legacy(magic, version1001, info, oldDict)},
	{Name: "old: storages are no list", Kind: fault.Format, At: 169, Says: "list of storages is an integer",
		Make: legacy(magic, version1001, info, oldDict, "\x80\x02K\x01.", oldTail)},
	{Name: "old: storage of no tensor", Kind: fault.Format, At: 175, Says: `names "9"`,
		Make: legacy(magic, version1001, info, oldDict, "\x80\x02]"+text("9")+"a.", oldTail)},
	{Name: "old: storage named twice", Kind: fault.Format, At: 206, Says: "named before",
		Make: legacy(magic, version1001, info, oldDict, "\x80\x02](X\x01\x00\x00\x000X\x01\x00\x00\x000e.", oldTail,
			oldTail)},
	{Name: "old: storage left out", Kind: fault.Format, Tensor: "w", At: -1, Says: "are not in the file",
		Make: legacy(magic, version1001, info, oldDict, "\x80\x02].")},
	{Name: "old: storage announces more", Kind: fault.Format, At: afterOld + int64(len(keys0)),
		Says: "should hold 4 values, 5 are announced",
		Make: legacy(magic, version1001, info, oldDict, keys0, int64le(5)+times("\x00", 20))},
	{Name: "old: storage announces 2^64-1", Kind: fault.Format, At: afterOld + int64(len(keys0)),
		Says: "18446744073709551615 are announced", Make: legacy(magic, version1001, info, oldDict, keys0, int64le(-1))},
	{Name: "old: storage cut short", Kind: fault.Format, At: afterOld + int64(len(keys0)) + 8, Says: "beyond the end",
		Make: legacy(magic, version1001, info, oldDict, keys0, oldTail[:20])},
	{Name: "old: file ends before a storage", Kind: fault.Format, At: afterOld + int64(len(keys0)),
		Says: "ends before storage", Make: legacy(magic, version1001, info, oldDict, keys0)},
	{Name: "old: view beyond its storage", Kind: fault.Format, At: -1, Says: "a view of 3 values from 2",
		Make: legacy(magic, version1001, info, stateDict(viewID("("+text("v")+"K\x02K\x03t"), dense22), keys0, oldTail)},
	{Name: "old: view with a negative offset", Kind: fault.Format, At: -1, Says: "a view of 3 values from -1",
		Make: legacy(magic, version1001, info, stateDict(viewID("("+text("v")+number(-1)+"K\x03t"), dense22), keys0,
			oldTail)},
	{Name: "old: view of two fields", Kind: fault.Format, At: 25, Says: "no key, offset and size",
		Make: legacy(magic, version1001, info, stateDict(viewID("("+text("v")+"K\x02t"), dense22), keys0, oldTail)},
	{Name: "old: tensor larger than its view", Kind: fault.Format, At: -1, Says: `beyond storage "v" of 2 values`,
		Make: legacy(magic, version1001, info, stateDict(viewID("("+text("v")+"K\x02K\x02t"), dense22), keys0, oldTail)},
	{Name: "old: os.system in the facts", Kind: fault.Unsupported, At: -1, Says: "os.system",
		Make: legacy(magic, version1001, "\x80\x02cos\nsystem\n"+text("ls")+"\x85R.", oldDict)},
	{Name: "old: persistent id in the facts", Kind: fault.Format, At: 21, Says: "a persistent id where none belongs",
		Make: legacy(magic, version1001, "\x80\x02K\x01Q.")},
}

// tarred is a tar of files, in the order of pairs of name and content.
func tarred(pairs ...string) func() []byte {
	return func() []byte {
		var b bytes.Buffer
		t := tar.NewWriter(&b)
		for i := 0; i < len(pairs); i += 2 {
			t.WriteHeader(&tar.Header{Name: pairs[i], Size: int64(len(pairs[i+1])), Mode: 0o644, Format: tar.FormatUSTAR})
			t.Write([]byte(pairs[i+1]))
		}
		t.Close()
		return b.Bytes()
	}
}

// oldTar is a tar of 2016 with its parts given; empty ones are sound.
func oldTar(storages, tensors, value string) func() []byte {
	if storages == "" {
		storages = "\x80\x02K\x01." + tarStorage + oldTail + "\x80\x02]."
	}
	if tensors == "" {
		tensors = "\x80\x02K\x01." + tarTensor + shape22
	}
	if value == "" {
		value = "\x80\x02}" + text("w") + text("7") + "Qs."
	}
	return tarred("sys_info", "\x80\x02}.", "pickle", value, "tensors", tensors, "storages", storages)
}

const (
	tarStorage = "\x80\x02K\x01X\x03\x00\x00\x00cpuctorch\nFloatStorage\n\x87."
	tarTensor  = "\x80\x02K\x07K\x01N\x87."
)

var shape22 = shapeOf(2, 2)

// shapeOf is the rank, sizes, strides and offset of a tensor.
func shapeOf(rows, columns int64) string {
	return int64le(2) + int64le(rows) + int64le(columns) + int64le(2) + int64le(1) + int64le(0)
}

var tarCases = []Case{
	{Name: "tar of something else", Kind: fault.Unsupported, At: -1, Says: "tar archive without a PyTorch checkpoint",
		Make: tarred("readme", "hello")},
	{Name: "tar with a bad checksum", Kind: fault.Format, At: 512, Says: "cannot be read on",
		Make: func() []byte { b := oldTar("", "", "")(); b[3]++; return b }},
	{Name: "tar cut in a header", Kind: fault.Format, At: 1100, Says: "cannot be read on",
		Make: func() []byte { return oldTar("", "", "")()[:1100] }},
	{Name: "tar whose file reaches beyond", Kind: fault.Format, At: 3584, Says: "reaches beyond the end of the file",
		Make: func() []byte { b := oldTar("", "", "")(); return b[:len(b)-1024-512+10] }},
	{Name: "tar with a doubled file", Kind: fault.Format, At: 1536, Says: `two files named "pickle"`,
		Make: tarred("pickle", "a", "pickle", "b")},
	{Name: "tar: storages are text", Kind: fault.Format, At: 3584, Says: "its count of storages or tensors is abc",
		Make: oldTar("\x80\x02"+text("abc")+".", "", "")},
	{Name: "tar: a billion storages", Kind: fault.Format, At: 3584, Says: "its count of storages",
		Make: oldTar("\x80\x02J\x00\x00\x00\x40.", "", "")},
	{Name: "tar: minus one storage", Kind: fault.Format, At: 3584, Says: "its count of storages",
		Make: oldTar("\x80\x02"+number(-1)+".", "", "")},
	{Name: "tar: two storages announced", Kind: fault.Format, At: 3647, Says: "",
		Make: oldTar("\x80\x02K\x02."+tarStorage+oldTail, "", "")},
	{Name: "tar: storage without a class", Kind: fault.Format, At: 3589, Says: "has no class",
		Make: oldTar("\x80\x02K\x01.\x80\x02K\x01NN\x87."+oldTail, "", "")},
	{Name: "tar: storage is no triple", Kind: fault.Format, At: 3589, Says: "is described by",
		Make: oldTar("\x80\x02K\x01.\x80\x02K\x01.", "", "")},
	{Name: "tar: storage of too many values", Kind: fault.Format, At: 3623, Says: "beyond the storages",
		Make: oldTar("\x80\x02K\x01."+tarStorage+int64le(1<<61), "", "")},
	{Name: "tar: view of nothing", Kind: fault.Format, At: 3647, Says: "that is not there",
		Make: oldTar("\x80\x02K\x01."+tarStorage+oldTail+"\x80\x02](K\x02K\x09K\x00K\x01ta.", "", "")},
	{Name: "tar: view beyond", Kind: fault.Format, At: -1, Says: "a view of 9 values",
		Make: oldTar("\x80\x02K\x01."+tarStorage+oldTail+"\x80\x02](K\x02K\x01K\x00K\x09ta.", "", "")},
	{Name: "tar: tensor of rank 1000", Kind: fault.Format, At: 2574, Says: "rank 1000",
		Make: oldTar("", "\x80\x02K\x01."+tarTensor+"\xe8\x03\x00\x00\x00\x00\x00\x00", "")},
	{Name: "tar: tensor of negative size", Kind: fault.Format, At: 2582, Says: "offset of -2",
		Make: oldTar("", "\x80\x02K\x01."+tarTensor+shapeOf(-2, 2), "")},
	{Name: "tar: tensor beyond its storage", Kind: fault.Format, At: 3631, Says: "reaches beyond",
		Make: oldTar("", "\x80\x02K\x01."+tarTensor+shapeOf(3, 2), "")},
	{Name: "tar: tensor of no storage", Kind: fault.Format, At: 2565, Says: `lies in storage "5"`,
		Make: oldTar("", "\x80\x02K\x01.\x80\x02K\x07K\x05N\x87."+shape22, "")},
	{Name: "tar: tensors cut short", Kind: fault.Format, At: 2582, Says: "cut short",
		Make: oldTar("", "\x80\x02K\x01."+tarTensor+shape22[:20], "")},
	{Name: "tar: value names no tensor", Kind: fault.Format, At: 1536, Says: "it refers to 8",
		Make: oldTar("", "", "\x80\x02}"+text("w")+text("8")+"Qs.")},
	{Name: "tar: value names a storage", Kind: fault.Unsupported, At: -1, Says: "no tensors",
		Make: oldTar("", "", "\x80\x02}"+text("w")+text("1")+"Qs.")},
}
