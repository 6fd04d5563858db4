package statedir

import (
	"slices"

	"replypath/uplinks"
)

// originalsName is the name of the file of the saved originals.
const originalsName = "found"

// Originals are the values that the host's tunables had before replypath changed them, and the names of the firewall
// tables that replypath made. Every change is on disk before it is in memory, unless MayStayUnsaved. Not safe for concurrent
// use.
type Originals struct {
	// MayStayUnsaved keeps a change that cannot be written in memory alone: a service works on while the disk is full.
	MayStayUnsaved bool

	path    string
	unsaved error // of the last write, with MayStayUnsaved
	saved   originalsFile
	index   map[TunableKey]int // of the tunable in saved.Tunables
	links   map[int]string     // names by ifindex, as Present last got them
}

// TunableKey identifies a tunable by the ifindex of its link (0: none), as a link can be renamed.
type TunableKey struct {
	LinkIndex int
	Name      string
}

type originalsFile struct {
	Tunables []savedTunable `json:"tunables,omitempty"`
	Made     []string       `json:"made,omitempty"` // firewall tables
}

type savedTunable struct {
	Link  string `json:"link,omitempty"`
	Index int    `json:"ifindex,omitempty"`
	Name  string `json:"name"`
	Was   string `json:"was"`
	Set   string `json:"set"`
}

func (t savedTunable) key() TunableKey { return TunableKey{t.Index, t.Name} }

// Originals reads the saved originals.
func (d Dir) Originals() (*Originals, error) {
	o := &Originals{path: d.file(originalsName)}
	return o, o.Reload()
}

// Reload reads the file again, which another process may have changed.
func (o *Originals) Reload() error {
	var f originalsFile
	_, err := readJSON(o.path, &f)
	if err != nil {
		f = originalsFile{}
	}
	o.set(f)
	return err
}

func (o *Originals) set(f originalsFile) {
	o.saved, o.index = f, make(map[TunableKey]int, len(f.Tunables))
	for i, t := range slices.Backward(f.Tunables) {
		o.index[t.key()] = i
	}
}

// Unsaved returns why the originals are in memory alone, nil when they are on disk.
func (o *Originals) Unsaved() error { return o.unsaved }

// SaveAgain writes originals that could not be written before.
func (o *Originals) SaveAgain() {
	if o.unsaved != nil {
		_ = o.write(o.saved) // Unsaved returns the error
	}
}

// write saves to disk, then in memory. Nothing to save is no file.
func (o *Originals) write(f originalsFile) error {
	var err error
	if len(f.Tunables)+len(f.Made) == 0 {
		err = remove(o.path)
	} else {
		err = writeJSON(o.path, f)
	}
	if o.unsaved = nil; err != nil && o.MayStayUnsaved {
		o.unsaved, err = err, nil
	}
	if err != nil {
		return err
	}
	o.set(f)
	return nil
}

// Present returns the originals of links that exist, under the names that these have now.
func (o *Originals) Present(f uplinks.Facts) map[uplinks.Tunable]uplinks.Original {
	names := map[int]string{0: ""}
	for name, l := range f.Links {
		names[l.Index] = name
	}
	o.links = names
	present := map[uplinks.Tunable]uplinks.Original{}
	for _, t := range o.saved.Tunables {
		if name, exists := names[t.Index]; exists {
			present[uplinks.Tunable{Link: name, Name: t.Name}] = uplinks.Original{LinkIndex: t.Index, Value: t.Was, Applied: t.Set}
		}
	}
	return present
}

// Has reports whether an original of the name is saved, of any link.
func (o *Originals) Has(name string) bool {
	return slices.ContainsFunc(o.saved.Tunables, func(t savedTunable) bool { return t.Name == name })
}

// Add saves the value that the step replaces, given the ifindex of its link. A value saved before stays the original. A
// step that restores the original writes nothing, so that a full disk does not prevent it.
func (o *Originals) Add(s uplinks.SetTunable, linkIndex int) error {
	i, exists := o.index[TunableKey{linkIndex, s.Tunable.Name}]
	if exists && o.saved.Tunables[i].Was == s.Value {
		o.saved.Tunables[i].Link = s.Tunable.Link
		return nil
	}
	tunables := slices.Clone(o.saved.Tunables)
	if !exists {
		return o.write(originalsFile{o.dropStale(append(tunables, newSavedTunable(s, linkIndex))), o.saved.Made})
	}
	tunables[i].Link, tunables[i].Set = s.Tunable.Link, s.Value
	if tunables[i] == o.saved.Tunables[i] {
		return nil
	}
	return o.write(originalsFile{tunables, o.saved.Made})
}

// AddAll saves the values that the steps replace and that are not saved yet, with one write. It skips steps whose link
// does not exist. When the write fails it saves nothing, and reports nothing: Add then fails for each step.
func (o *Originals) AddAll(steps []uplinks.SetTunable, linkIndex func(link string) (int, error)) {
	tunables := slices.Clone(o.saved.Tunables)
	for _, s := range steps {
		index, err := linkIndex(s.Tunable.Link)
		if _, exists := o.index[TunableKey{index, s.Tunable.Name}]; err == nil && !exists {
			tunables = append(tunables, newSavedTunable(s, index))
		}
	}
	if len(tunables) > len(o.saved.Tunables) {
		_ = o.write(originalsFile{o.dropStale(tunables), o.saved.Made})
	}
}

func newSavedTunable(s uplinks.SetTunable, linkIndex int) savedTunable {
	return savedTunable{s.Tunable.Link, linkIndex, s.Tunable.Name, s.Old, s.Value}
}

// dropStale removes the originals of a link that is gone when a later link has its name: a ppp link, which is
// recreated at each dial-in, would otherwise leave one each time.
func (o *Originals) dropStale(all []savedTunable) []savedTunable {
	last := make(map[uplinks.Tunable]int, len(all))
	for _, t := range all {
		last[uplinks.Tunable{Link: t.Link, Name: t.Name}] = t.Index
	}
	return slices.DeleteFunc(all, func(t savedTunable) bool {
		_, exists := o.links[t.Index]
		return !exists && last[uplinks.Tunable{Link: t.Link, Name: t.Name}] != t.Index
	})
}

// DropRestored removes, with one write, the originals that are in force again, given the values that were set.
func (o *Originals) DropRestored(values map[TunableKey]string) error {
	if len(values) == 0 {
		return nil
	}
	tunables := slices.DeleteFunc(slices.Clone(o.saved.Tunables), func(t savedTunable) bool {
		value, set := values[t.key()]
		return set && value == t.Was
	})
	if len(tunables) == len(o.saved.Tunables) {
		return nil
	}
	return o.write(originalsFile{tunables, o.saved.Made})
}

// AddTable saves the name of a firewall table that does not exist yet, before it is made.
func (o *Originals) AddTable(name string) error {
	if o.HasTable(name) {
		return nil
	}
	return o.write(originalsFile{o.saved.Tunables, append(slices.Clone(o.saved.Made), name)})
}

// HasTable reports whether replypath made the firewall table.
func (o *Originals) HasTable(name string) bool { return slices.Contains(o.saved.Made, name) }

// DropTable removes the name of a firewall table that is gone.
func (o *Originals) DropTable(name string) error {
	i := slices.Index(o.saved.Made, name)
	if i < 0 {
		return nil
	}
	return o.write(originalsFile{o.saved.Tunables, slices.Delete(slices.Clone(o.saved.Made), i, i+1)})
}

// Clear removes all originals.
func (o *Originals) Clear() error { return o.write(originalsFile{}) }
