package layout

import (
	"fmt"
	"strings"
)

// Warning is what a user should look at. About names the sentence for translations; Names are the tensors or files
// that it is about.
type Warning struct {
	About WarningCode `json:"about"`
	Text  string      `json:"text"`
	Names []string    `json:"names"`
}

// WarningCode names a warning.
type WarningCode string

// Codes of warnings that containers and the places where a result is to run give.
const (
	NotLoaded  WarningCode = "not_loaded"  // weights that nobody reads in such a folder
	NotTried   WarningCode = "not_tried"   // the architecture, in the list of names
	SlowGroups WarningCode = "slow_groups" // layers with groups that have no fast kernel
	NoConfig   WarningCode = "no_config"   // the folder's config.json cannot be read, so that it says nothing of the codes
)

// FirstOf lists a few names, and says how many more there are.
func FirstOf(names []string) string {
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + fmt.Sprintf(" and %d more", len(names)-5)
	}
	return strings.Join(names, ", ")
}
