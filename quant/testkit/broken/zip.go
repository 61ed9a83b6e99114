package broken

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"nibble/quant/fault"
)

// zipped is a zip of stored entries, in the order of pairs of name and content, and of the version
// without which PyTorch reads none.
func zipped(pairs ...string) []byte {
	return zippedWith(func(i int, h *zip.FileHeader) {}, pairs...)
}

// zippedWith lets change set the header of entry i.
func zippedWith(change func(i int, h *zip.FileHeader), pairs ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if root, _, inFolder := strings.Cut(pairs[0], "/"); inFolder && !slices.Contains(pairs, root+"/version") {
		pairs = append(slices.Clone(pairs), root+"/version", "3\n")
	}
	for i := 0; i < len(pairs); i += 2 {
		h := &zip.FileHeader{Name: pairs[i], Method: zip.Store}
		change(i/2, h)
		w, err := z.CreateHeader(h)
		if err != nil {
			panic(err)
		}
		w.Write([]byte(pairs[i+1]))
	}
	z.Close()
	return b.Bytes()
}

// good is a sound checkpoint of one tensor.
func good() []byte {
	return zipped("archive/data.pkl", stateDict(storage4, dense22), "archive/data/0", strings.Repeat("\x00", 16))
}

// goodZip is good with bytes changed; at finds the n-th directory entry's offset.
func goodZip(change func(b []byte, directory func(n int) int)) func() []byte {
	return func() []byte {
		b := good()
		change(b, func(n int) int {
			at := -1
			for range n + 1 {
				at += 1 + bytes.Index(b[at+1:], []byte("PK\x01\x02"))
			}
			return at
		})
		return b
	}
}

func zips(pairs ...string) func() []byte { return func() []byte { return zipped(pairs...) } }

func put32(b []byte, at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }

const (
	emptyDict = "\x80\x02}."
	sizeAt    = 20 // compressed size in a directory entry, then the uncompressed one
	offsetAt  = 42 // of the local header
	methodAt  = 10
)

var zipCases = []Case{
	{Name: "zip without an end", Kind: fault.Format, At: -1, Says: "cut short",
		Make: func() []byte { return good()[:200] }},
	{Name: "zip whose directory was cut off", Kind: fault.Format, At: -1,
		Says: `the file begins like a zip but has no directory at its end`,
		Make: func() []byte { b := good(); return b[:bytes.Index(b, []byte("PK\x01\x02"))] }},
	{Name: "zip of nothing but its first bytes", Kind: fault.Format, At: -1,
		Says: `the file begins like a zip but has no directory at its end`, Make: always("PK\x03\x04")},
	{Name: "zip whose end lies about the directory", Kind: fault.Format, At: -1,
		Says: `the file begins like a zip but its directory cannot be read `,
		Make: goodZip(func(b []byte, _ func(int) int) { put32(b, len(b)-22+16, 1<<31) })},
	{Name: "zip whose end claims 60,000 entries", Kind: fault.Format, At: -1, Says: "directory cannot be read",
		Make: goodZip(func(b []byte, _ func(int) int) { put32(b, len(b)-22+8, 60000<<16|60000) })},
	{Name: "zip with a directory of 40 MB", Kind: fault.Format, At: -1, Says: "longer than that of any checkpoint",
		Make: longDirectory},
	{Name: "zip64 that announces billions of entries", Kind: fault.Format, At: -1,
		Says: `the file begins like a zip but its directory cannot be read `, Make: manyAnnounced},
	{Name: "zip64 whose end lies", Kind: fault.Format, At: -1,
		Says: `the zip's zip64 record would lie beyond the end of the file`,
		Make: func() []byte { b := manyAnnounced(); put32(b, len(b)-22-12+4, 1<<20); return b }},
	{Name: "zip without a pickle", Kind: fault.Unsupported, At: -1, Says: "no data.pkl",
		Make: zips("readme.txt", "hello")},
	{Name: "zip whose end is too far from its end", Kind: fault.Format, At: -1, Says: "no directory at its end",
		Make: func() []byte {
			return append(append(append([]byte("PK\x03\x04"), make([]byte, 100)...), "PK\x05\x06"...),
				make([]byte, 65_535+22+76-5)...)
		}},
	{Name: "zip whose comment is as long as it may be", Kind: fault.Unsupported, At: -1, Says: "no data.pkl",
		Make: func() []byte {
			b := zipped("readme.txt", "hello")
			b[len(b)-2], b[len(b)-1] = 0xff, 0xff
			return append(b, make([]byte, 65_535)...)
		}},
	{Name: "zip with the pickle two folders down", Kind: fault.Format, At: -1,
		Says: `the zip's data.pkl does not lie in the folder of its first f`, Make: zips("a/b/data.pkl", emptyDict)},
	{Name: "zip with two pickles", Kind: fault.Format, At: -1,
		Says: `the zip holds "b/data.pkl" beside the folder "a/", which PyT`,
		Make: zips("a/data.pkl", emptyDict, "b/data.pkl", emptyDict)},
	{Name: "zip with two pickles, one at the root", Kind: fault.Format, At: -1, Says: "two pickles",
		Make: zips("data.pkl", emptyDict, "b/data.pkl", emptyDict)},
	{Name: "zip with a doubled entry", Kind: fault.Format, At: -1, Says: `two entries named "a/data/0"`,
		Make: zips("a/data.pkl", emptyDict, "a/data/0", "", "a/data/0", "")},
	{Name: "zip, big endian", Kind: fault.Unsupported, At: -1, Says: `byte order "big"`,
		Make: zips("m/data.pkl", emptyDict, "m/byteorder", "big")},
	{Name: "zip, no such byte order", Kind: fault.Unsupported, At: -1, Says: "byte order",
		Make: zips("m/data.pkl", emptyDict, "m/byteorder", "middle")},
	{Name: "zip, byte order of 1 MB", Kind: fault.Format, At: -1, Says: "byteorder claims 1048576 bytes",
		Make: zips("m/data.pkl", emptyDict, "m/byteorder", strings.Repeat("little", 1<<20/6+1)[:1<<20])},
	{Name: "zip bomb for a pickle", Kind: fault.Format, At: -1, Says: "data.pkl claims 104857600 bytes",
		Make: func() []byte { return deflated("a/data.pkl", strings.Repeat("\x00", 100<<20)) }},
	{Name: "zip bomb that hides its size", Kind: fault.Format, At: -1, Says: `data.pkl unpacks to more than 10 bytes`,
		Make: hiddenBomb},
	{Name: "zip, pickle in an unknown method", Kind: fault.Unsupported, At: -1,
		Says: `data.pkl is encrypted, a folder or packed in an unusual way`,
		Make: goodZip(func(b []byte, d func(int) int) { b[d(0)+methodAt] = 99 })},
	{Name: "zip, storage compressed", Kind: fault.Unsupported, At: -1,
		Says: `data/0 is compressed or encrypted inside the zip, or a folde`, Make: func() []byte {
			return zippedWith(func(i int, h *zip.FileHeader) { h.Method = []uint16{zip.Store, zip.Deflate, zip.Store}[i] },
				"a/data.pkl", stateDict(storage4, dense22), "a/data/0", strings.Repeat("\x00", 16))
		}},
	{Name: "zip, storage that claims another size", Kind: fault.Format, At: 247, Says: "should hold 4 values of 4 bytes",
		Make: goodZip(func(b []byte, d func(int) int) { put32(b, d(1)+sizeAt, 12); put32(b, d(1)+sizeAt+4, 12) })},
	{Name: "zip, storage beyond the file", Kind: fault.Format, At: -1, Says: "beyond the end",
		Make: goodZip(func(b []byte, d func(int) int) { put32(b, d(1)+sizeAt, 1<<30); put32(b, d(1)+sizeAt+4, 1<<30) })},
	{Name: "zip, two sizes of one storage", Kind: fault.Format, At: -1,
		Says: `the file begins like a zip but its directory cannot be read `,
		Make: goodZip(func(b []byte, d func(int) int) { put32(b, d(1)+sizeAt, 15) })},
	{Name: "zip, storage without a local header", Kind: fault.Format, At: 5, Says: "broken zip header",
		Make: goodZip(func(b []byte, d func(int) int) { put32(b, d(1)+offsetAt, 5) })},
	{Name: "zip, storage far outside", Kind: fault.Format, At: -1, Says: "",
		Make: goodZip(func(b []byte, d func(int) int) { put32(b, d(1)+offsetAt, 1<<31) })},
	{Name: "zip, pickle without a local header", Kind: fault.Format, At: -1, Says: "data.pkl",
		Make: goodZip(func(b []byte, d func(int) int) { put32(b, d(0)+offsetAt, 3) })},
	{Name: "zip, storages overlap", Kind: fault.Format, At: 372, Says: `storages "0" and "1" overlap`, Make: overlapping},
	{Name: "zip, storage is not there", Kind: fault.Format, At: -1, Says: "data/0, which is not in the zip",
		Make: zips("a/data.pkl", stateDict(storage4, dense22))},
	{Name: "zip, key that is a path", Kind: fault.Format, At: -1, Says: "data/../x, which is not in the zip",
		Make: zips("a/data.pkl", stateDict(storageOf("../x", 4), dense22), "a/data/0", strings.Repeat("\x00", 16))},
	{Name: "zip, torch.package", Kind: fault.Unsupported, At: -1, Says: "torch.package",
		Make: zips("p/.data/extern_modules", "torch", "p/m.py", "")},
	{Name: "zip, NumPy", Kind: fault.Unsupported, At: -1, Says: "NumPy archive", Make: zips("arr_0.npy", "\x93NUMPY")},
	{Name: "zip, Keras", Kind: fault.Unsupported, At: -1, Says: "Keras",
		Make: zips("config.json", "{}", "model.weights.h5", "\x89HDF")},
	{Name: "zip, Core ML", Kind: fault.Unsupported, At: -1, Says: "Core ML",
		Make: zips("m.mlpackage/Data/com.apple.CoreML/model.mlmodel", "")},
	{Name: "zip with a checkpoint in it", Kind: fault.Unsupported, At: -1, Says: "zip file with model files in it",
		Make: zips("folder/model.safetensors", "")},
}

// deflated is a zip of one compressed entry.
func deflated(name, text string) []byte {
	return zippedWith(func(_ int, h *zip.FileHeader) { h.Method = zip.Deflate }, name, text)
}

// hiddenBomb is 100 MB in a directory entry that claims ten bytes.
func hiddenBomb() []byte {
	b := deflated("a/data.pkl", strings.Repeat("\x00", 100<<20))
	put32(b, bytes.Index(b, []byte("PK\x01\x02"))+sizeAt+4, 10)
	return b
}

// twoStorages is a checkpoint of two tensors.
func twoStorages() []byte {
	two := "\x80\x02}" + text("w") + rebuild(storageOf("0", 4), dense22) + "s" +
		text("v") + rebuild(storageOf("1", 4), dense22) + "s."
	return zipped("a/data.pkl", two, "a/data/0", strings.Repeat("\x00", 16), "a/data/1", strings.Repeat("\x00", 16))
}

// overlapping has two storages, and the second's directory entry points to the first.
func overlapping() []byte {
	b := twoStorages()
	first, second := bytes.Index(b, []byte("PK\x01\x02")), 0
	first += 4 + bytes.Index(b[first+4:], []byte("PK\x01\x02"))
	second = first + 4 + bytes.Index(b[first+4:], []byte("PK\x01\x02"))
	copy(b[second+offsetAt:second+offsetAt+4], b[first+offsetAt:first+offsetAt+4])
	return b
}

// manyAnnounced has no entries and an end record for 3 billion of them (a file of 100 GB
// made archive/zip ask for 25 GB of memory).
func manyAnnounced() []byte {
	b := append([]byte("PK\x03\x04"), make([]byte, 60)...)
	record := make([]byte, 56)
	copy(record, "PK\x06\x06")
	binary.LittleEndian.PutUint64(record[4:], 44)
	binary.LittleEndian.PutUint64(record[24:], 3<<30)
	binary.LittleEndian.PutUint64(record[32:], 3<<30)
	at := len(b)
	b = append(b, record...)
	b = append(b, "PK\x06\x07\x00\x00\x00\x00"...)
	b = binary.LittleEndian.AppendUint64(b, uint64(at))
	b = append(b, 1, 0, 0, 0)
	b = append(b, "PK\x05\x06\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"...)
	return append(b, 0, 0)
}

// longDirectory has 400,000 entries.
func longDirectory() []byte {
	var d bytes.Buffer
	name := strings.Repeat("n", 54)
	for i := range 400_000 {
		h := make([]byte, 46)
		copy(h, "PK\x01\x02")
		binary.LittleEndian.PutUint16(h[28:], 60)
		d.Write(h)
		d.WriteString(name)
		d.WriteString(string(rune('a'+i%26)) + "12345")
	}
	end := make([]byte, 22)
	copy(end, "PK\x05\x06")
	n := uint16(400_000 % 65536)
	binary.LittleEndian.PutUint16(end[8:], n)
	binary.LittleEndian.PutUint16(end[10:], n)
	put32(end, 12, uint32(d.Len()))
	put32(end, 16, 4)
	return append(append([]byte("PK\x03\x04"), d.Bytes()...), end...)
}
