package host

import (
	"errors"
	"fmt"
	"slices"

	"replypath/marks"
	"replypath/marks/iptables"
	"replypath/uplinks"
)

// savedOriginals is what was before us: the values that tunables had, and the firewall tables that were not there. It is a file
// of its own for each network namespace, so that a folder that two namespaces share mixes nothing up.
type savedOriginals struct {
	path string
	originals
	index map[tunableKey]int // where the value of a tunable is noted
	links map[int]string     // as they were when the notes were last asked for
}

// tunableKey is a tunable of the link with that index, whatever its name is now.
type tunableKey struct {
	ifindex int
	name    string
}

type originals struct {
	Tunables []original `json:"tunables,omitempty"`
	Made     []string   `json:"made,omitempty"` // family and backend of the tables that we made
}

type original struct {
	Link  string `json:"link,omitempty"`
	Index int    `json:"ifindex,omitempty"`
	Name  string `json:"name"`
	Was   string `json:"was"`
	Set   string `json:"set"`
}

func openSavedOriginals(dir string) (savedOriginals, error) {
	m, err := OpenStateDir(dir)
	if err != nil {
		return savedOriginals{}, err
	}
	r := savedOriginals{path: m.file("found")}
	return r, r.read()
}

func (r *savedOriginals) read() error {
	found, err := readJSON[originals](r.path)
	if found == nil {
		found = &originals{}
	}
	r.set(*found)
	return err
}

// set makes these the notes.
func (r *savedOriginals) set(n originals) {
	r.originals, r.index = n, make(map[tunableKey]int, len(n.Tunables))
	for i, e := range slices.Backward(n.Tunables) {
		r.index[tunableKey{e.Index, e.Name}] = i
	}
}

// present gives the entries that still mean something: a link may have gone, or been renamed, or another have its name.
func (r *savedOriginals) present(f uplinks.Facts) map[uplinks.Tunable]uplinks.Original {
	names := map[int]string{0: ""}
	for name, l := range f.Links {
		names[l.Index] = name
	}
	r.links = names
	found := map[uplinks.Tunable]uplinks.Original{}
	for _, e := range r.Tunables {
		if name, exists := names[e.Index]; exists {
			found[uplinks.Tunable{Link: name, Name: e.Name}] = uplinks.Original{LinkIndex: e.Index, Value: e.Was, Applied: e.Set}
		}
	}
	return found
}

// add notes the value that goes, unless an older one is noted for the same link. It is on disk before the value
// changes; what cannot be written is not noted. To go back to what is noted needs no note, and so no room on the disk.
func (r *savedOriginals) add(s uplinks.SetTunable, index int) error {
	i := r.find(s, index)
	if i >= 0 && r.Tunables[i].Was == s.Value {
		r.Tunables[i].Link = s.Tunable.Link
		return nil
	}
	e := r.newEntry(s, index, i)
	if i >= 0 && r.Tunables[i] == e {
		return nil
	}
	kept := slices.Clone(r.Tunables)
	if i < 0 {
		kept = r.dropStale(append(kept, e))
	} else {
		kept[i] = e
	}
	return r.write(originals{kept, r.Made})
}

// dropStale leaves out the notes of links that are gone where another has the name by now: one that is made anew each time
// that it is dialled would leave a note each time.
func (r *savedOriginals) dropStale(all []original) []original {
	last := make(map[uplinks.Tunable]int, len(all))
	for _, e := range all {
		last[uplinks.Tunable{Link: e.Link, Name: e.Name}] = e.Index
	}
	return slices.DeleteFunc(all, func(e original) bool {
		_, there := r.links[e.Index]
		return !there && last[uplinks.Tunable{Link: e.Link, Name: e.Name}] != e.Index
	})
}

// addAll notes the values that go and are not noted yet with one write, given what finds links' indexes. When it
// cannot, it notes nothing.
func (r *savedOriginals) addAll(all []uplinks.SetTunable, find func(link string) (int, error)) {
	next := originals{slices.Clone(r.Tunables), r.Made}
	for _, s := range all {
		index, err := find(s.Tunable.Link)
		if at := r.find(s, index); err == nil && at < 0 {
			next.Tunables = append(next.Tunables, r.newEntry(s, index, at))
		}
	}
	if len(next.Tunables) > len(r.Tunables) {
		next.Tunables = r.dropStale(next.Tunables)
		_ = r.write(next)
	}
}

// find is where the value of that link is noted, -1 when it is not.
func (r *savedOriginals) find(s uplinks.SetTunable, index int) int {
	if at, noted := r.index[tunableKey{index, s.Tunable.Name}]; noted {
		return at
	}
	return -1
}

// newEntry is the note of a value that goes, given where an older one is.
func (r *savedOriginals) newEntry(s uplinks.SetTunable, index, i int) original {
	if i < 0 {
		return original{s.Tunable.Link, index, s.Tunable.Name, s.Old, s.Value}
	}
	e := r.Tunables[i]
	e.Link, e.Set = s.Tunable.Link, s.Value
	return e
}

// dropRestored drops the notes of values that are back, given what the tunables have now, with one write. Until then a note
// does no harm: a value that is not the one that we set is left alone.
func (r *savedOriginals) dropRestored(values map[tunableKey]string) error {
	kept := slices.DeleteFunc(slices.Clone(r.Tunables), func(e original) bool {
		value, set := values[tunableKey{e.Index, e.Name}]
		return set && value == e.Was
	})
	if len(kept) == len(r.Tunables) {
		return nil
	}
	return r.write(originals{kept, r.Made})
}

// addTable notes a table that is not there yet, before we make it.
func (r *savedOriginals) addTable(name string) error {
	if slices.Contains(r.Made, name) {
		return nil
	}
	return r.write(originals{r.Tunables, append(slices.Clone(r.Made), name)})
}

// dropTable drops the note when the table is gone.
func (r *savedOriginals) dropTable(name string) error {
	at := slices.Index(r.Made, name)
	if at < 0 {
		return nil
	}
	return r.write(originals{r.Tunables, slices.Delete(slices.Clone(r.Made), at, at+1)})
}

// write makes these the notes, on the disk first.
func (r *savedOriginals) write(n originals) error {
	if err := (&savedOriginals{path: r.path, originals: n}).writeFile(); err != nil {
		return err
	}
	r.set(n)
	return nil
}

// DropOriginals drops all notes: what was noted is put back, or somebody else has changed it since. A table that an earlier
// flush had emptied when it was cut off goes now.
func (h *Host) DropOriginals() error {
	var errs []error
	for f, tables := range h.firewall.families {
		for _, t := range []*iptables.Table{tables.NFT, tables.Legacy} {
			if t != nil && slices.Contains(h.originals.Made, tableName(f, t.Backend)) {
				errs = append(errs, t.DeleteEmpty())
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return h.originals.write(originals{})
}

// tableName is a table in the notes.
func tableName(f uplinks.Family, b marks.Backend) string { return fmt.Sprintf("%s %s", f, b) }
