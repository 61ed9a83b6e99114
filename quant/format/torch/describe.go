package torch

import (
	"fmt"
	"strings"

	"github.com/nlpodyssey/gopickle/types"
)

// leftovers are sentences on what is not carried over, up to a bound.
type leftovers struct {
	notes []string
	more  int
}

// add says what an entry is.
func (l *leftovers) add(path string, it pair) {
	if len(l.notes) >= maxNotes {
		l.more++
		return
	}
	if path != "" {
		path += "."
	}
	l.notes = append(l.notes, fmt.Sprintf("%s%s (%s) is not part of the state dict and is left out", path, short(it.key),
		describe(it.value)))
}

// all are the sentences, and how many more there would be.
func (l *leftovers) all() []string {
	if l.more > 0 {
		return append(l.notes, fmt.Sprintf("and %d more entries that are left out", l.more))
	}
	return l.notes
}

// short is a key for people, cut where it is long.
func short(key any) string {
	switch k := key.(type) {
	case string:
		if len(k) > 80 {
			k = k[:80] + "..."
		}
		return strings.ToValidUTF8(k, "?")
	case int, float64, bool:
		return fmt.Sprint(k)
	}
	return describe(key)
}

// describe names a Python value in a few words.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "a bool"
	case int:
		return "an integer"
	case float64:
		return "a float"
	case string:
		return "text"
	case *types.List:
		return fmt.Sprintf("a list of %d", len(*v))
	case *types.Tuple:
		return fmt.Sprintf("a tuple of %d", len(*v))
	case *types.Set:
		return fmt.Sprintf("a set of %d", len(*v))
	case *types.Dict:
		return fmt.Sprintf("a dict of %d", len(*v))
	case *ordered:
		return fmt.Sprintf("a dict of %d", len(v.items))
	case *value:
		return "a tensor"
	case *storage:
		return "a storage"
	case *unreadable:
		return v.what
	case dtypeName:
		return "a dtype"
	case *record:
		switch full := v.class.module + "." + v.class.name; {
		case strings.HasSuffix(full, "multiarray._reconstruct") || strings.HasSuffix(full, "numeric._frombuffer"):
			return "a NumPy array"
		case strings.HasSuffix(full, "multiarray.scalar"):
			return "a NumPy number"
		case v.items != nil:
			return strings.ToValidUTF8(fmt.Sprintf("a %.80s of %d", v.class.name, len(v.items)), "?")
		case v.called:
			return strings.ToValidUTF8(fmt.Sprintf("an object made by %.80s.%.80s", v.class.module, v.class.name), "?")
		}
		return strings.ToValidUTF8(fmt.Sprintf("an object of class %.80s.%.80s", v.class.module, v.class.name), "?")
	case *class:
		return strings.ToValidUTF8(fmt.Sprintf("the class %.80s.%.80s", v.module, v.name), "?")
	}
	return "a Python object"
}
