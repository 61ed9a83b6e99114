package torch

import (
	"fmt"
	"math/big"
	"sort"

	"github.com/nlpodyssey/gopickle/types"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// storageClass is torch.FloatStorage and its like.
type storageClass struct {
	dtype   tensor.Type // Invalid for UntypedStorage and for types that Nibble does not carry
	size    int64       // bytes of an element
	foreign string      // the type's name when Nibble does not carry it
}

// untyped reports whether it is UntypedStorage, whose bytes are of no type.
func (c storageClass) untyped() bool { return c.dtype == tensor.Invalid && c.foreign == "" }

// storage is what a persistent id resolves to: bytes, seen as values of one type.
type storage struct {
	key   string
	class storageClass
	*body
}

// body is the bytes of a storage. In the formats before 1.6 it is known only after the
// pickle where they lie; a view lies in another body.
type body struct {
	size   int64 // bytes
	placed bool
	tensor.Storage
	whole *body // of which this is a view from a byte on; else nil
	from  int64
	meta  bool // no bytes at all
}

// place is where the bytes lie in the file.
func (b *body) place() (at tensor.Storage, from int64, ok bool) {
	if b.whole != nil {
		return b.whole.Storage, b.from, b.whole.placed
	}
	return b.Storage, 0, b.placed
}

// named is a storage's persistent id: ("storage", class, key, location, elements, ...).
type named struct {
	class    storageClass
	key      string
	location string
	count    int64
	rest     []any
}

// parseID takes a persistent id of so many fields apart.
func (r *reader) parseID(id any, fields int) (named, error) {
	t, ok := id.(*types.Tuple)
	if !ok || t.Len() != fields {
		return named{}, fmt.Errorf("a persistent id is not a storage")
	}
	kind, _ := t.Get(0).(string)
	class, ok := t.Get(1).(storageClass)
	key, ok2 := t.Get(2).(string)
	location, _ := t.Get(3).(string)
	count, ok3 := integer(t.Get(4))
	if kind != "storage" || !ok || !ok2 || !ok3 || count < 0 || count > (1<<60)/class.size {
		return named{}, fmt.Errorf("a persistent id is not a storage")
	}
	if err := r.Spend(1 + len(key)); err != nil {
		return named{}, err
	}
	return named{class, key, location, count, (*t)[5:]}, nil
}

// rawLen is how many entries a dict was set to have, repeated ones included.
func rawLen(v any) int {
	switch d := v.(type) {
	case *types.Dict:
		return len(*d)
	case *ordered:
		return len(d.items)
	case *record:
		return len(d.items)
	}
	return 0
}

// known is a storage that was named before, nil when it was not. Under another type than then it is
// refused: PyTorch takes the first of the two, whatever the second is, and no writer makes both.
func (r *reader) known(n named) (*storage, error) {
	s := r.storages[n.key]
	if s != nil && s.class != n.class {
		return nil, fault.Bad(r.file.Name, "storage %q is of two types", short(n.key)).
			Hint("save the checkpoint again with torch.save")
	}
	return s, nil
}

// load resolves the persistent ids of a zip, whose entries are the storages.
func (a *archive) load(r *reader, folder string) func(id any) (any, error) {
	return func(id any) (any, error) {
		n, err := r.parseID(id, 5)
		if err != nil {
			return nil, err
		}
		if s, err := r.known(n); s != nil || err != nil {
			return s, err
		}
		b := &body{size: n.count * n.class.size}
		if n.location == "meta" {
			b.meta = true
		} else {
			span, err := a.span(folder + n.key)
			if err != nil {
				return nil, err
			}
			if b.size > span.End-span.Start { // more is left alone, as PyTorch does
				return nil, fault.Bad(r.file.Name, "storage %q should hold %d values of %d bytes, its entry has %d bytes", n.key,
					n.count, n.class.size, span.End-span.Start).At(span.Start)
			}
			span.End = span.Start + b.size
			b.Storage, b.placed = span, true
		}
		s := &storage{n.key, n.class, b}
		r.storages[n.key] = s
		return s, nil
	}
}

// refuseSharedStorage refuses storages that share bytes of the file, which no writer makes.
func (r *reader) refuseSharedStorage() error {
	var all []*storage
	for _, s := range r.storages {
		if s.placed && s.End > s.Start {
			all = append(all, s)
		}
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		return a.Start < b.Start || a.Start == b.Start && a.key < b.key
	})
	for i := 1; i < len(all); i++ {
		if all[i].Start < all[i-1].End {
			return fault.Bad(r.file.Name, "storages %q and %q overlap in the file", all[i-1].key, all[i].key).At(all[i].Start)
		}
	}
	return nil
}

func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case *big.Int:
		return v.Int64(), v.IsInt64()
	}
	return 0, false
}
