package fault

// Code names an error that somebody other than a reader acts on: the page, which says it in its own language, the
// command, which knows an option for it, tests. Most errors have none, and are read as they are.
type Code string

// The codes, and the arguments with which each comes.
const (
	ChoosePart       Code = "choose_part"       // of a file that holds several models
	NoPart           Code = "no_part"           // name that no part has, or several
	OtherPart        Code = "other_part"        // parts that the config is for
	Distributed      Code = "distributed"       // a part of torch.distributed.checkpoint
	ZeRO3            Code = "zero3"             // one rank's part of DeepSpeed's ZeRO-3
	AlreadyQuantized Code = "already_quantized" // by what
	NoneQuantized    Code = "none_quantized"    // code of the reason that keeps most
	Tied             Code = "tied"              // two names of one weight
	NoPlace          Code = "no_place"          // type that a container has no place for
	Reserved         Code = "reserved"          // a name that a container keeps for itself
	Unfit            Code = "unfit"             // reason why a weight cannot be quantized
	NeedsFolder      Code = "needs_folder"      // place where a model runs that is a folder with its config
	NoArchitecture   Code = "no_architecture"   // place that finds a model's class by it
	FamilyRefused    Code = "family_refused"    // model type, place
	CodesStay        Code = "codes_stay"        // of a model that is quantized already, whatever a recipe says
)

// Codes are all of them, for those who have a sentence for each.
var Codes = []Code{ChoosePart, NoPart, OtherPart, Distributed, ZeRO3, AlreadyQuantized, NoneQuantized, Tied, NoPlace,
	Reserved, Unfit, NeedsFolder, NoArchitecture, FamilyRefused, CodesStay}
