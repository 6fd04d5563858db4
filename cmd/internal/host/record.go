package host

import (
	"errors"
	"fmt"
	"slices"

	"replypath/marks"
	"replypath/marks/xtables"
	"replypath/uplinks"
)

// record is what was before us: the values that tunables had, and the firewall tables that were not there. It is a file
// of its own for each network namespace, so that a folder that two namespaces share mixes nothing up.
type record struct {
	path string
	notes
	at    map[place]int  // where the value of a tunable is noted
	links map[int]string // as they were when the notes were last asked for
}

// place is a tunable of the link with that index, whatever its name is now.
type place struct {
	index int
	name  string
}

type notes struct {
	Tunables []entry  `json:"tunables,omitempty"`
	Made     []string `json:"made,omitempty"` // family and backend of the tables that we made
}

type entry struct {
	Link  string `json:"link,omitempty"`
	Index int    `json:"ifindex,omitempty"`
	Name  string `json:"name"`
	Was   string `json:"was"`
	Set   string `json:"set"`
}

func openRecord(dir string) (record, error) {
	m, err := Remember(dir)
	if err != nil {
		return record{}, err
	}
	r := record{path: m.path("found")}
	return r, r.load()
}

func (r *record) load() error {
	found, err := load[notes](r.path)
	if found == nil {
		found = &notes{}
	}
	r.take(*found)
	return err
}

// take makes these the notes.
func (r *record) take(n notes) {
	r.notes, r.at = n, make(map[place]int, len(n.Tunables))
	for i, e := range slices.Backward(n.Tunables) {
		r.at[place{e.Index, e.Name}] = i
	}
}

// of gives the entries that still mean something: a link may have gone, or been renamed, or another have its name.
func (r *record) of(f uplinks.Facts) map[uplinks.Tunable]uplinks.Found {
	names := map[int]string{0: ""}
	for name, l := range f.Links {
		names[l.Index] = name
	}
	r.links = names
	found := map[uplinks.Tunable]uplinks.Found{}
	for _, e := range r.Tunables {
		if name, exists := names[e.Index]; exists {
			found[uplinks.Tunable{Link: name, Name: e.Name}] = uplinks.Found{Index: e.Index, Was: e.Was, Set: e.Set}
		}
	}
	return found
}

// remember notes the value that goes, unless an older one is noted for the same link. It is on disk before the value
// changes; what cannot be written is not noted. To go back to what is noted needs no note, and so no room on the disk.
func (r *record) remember(s uplinks.SetTunable, index int) error {
	at := r.find(s, index)
	if at >= 0 && r.Tunables[at].Was == s.Value {
		r.Tunables[at].Link = s.Tunable.Link
		return nil
	}
	e := r.entry(s, index, at)
	if at >= 0 && r.Tunables[at] == e {
		return nil
	}
	kept := slices.Clone(r.Tunables)
	if at < 0 {
		kept = r.current(append(kept, e))
	} else {
		kept[at] = e
	}
	return r.put(notes{kept, r.Made})
}

// current leaves out the notes of links that are gone where another has the name by now: one that is made anew each time
// that it is dialled would leave a note each time.
func (r *record) current(all []entry) []entry {
	last := make(map[uplinks.Tunable]int, len(all))
	for _, e := range all {
		last[uplinks.Tunable{Link: e.Link, Name: e.Name}] = e.Index
	}
	return slices.DeleteFunc(all, func(e entry) bool {
		_, there := r.links[e.Index]
		return !there && last[uplinks.Tunable{Link: e.Link, Name: e.Name}] != e.Index
	})
}

// rememberAll notes the values that go and are not noted yet with one write, given what finds links' indexes. When it
// cannot, it notes nothing.
func (r *record) rememberAll(all []uplinks.SetTunable, find func(link string) (int, error)) {
	next := notes{slices.Clone(r.Tunables), r.Made}
	for _, s := range all {
		index, err := find(s.Tunable.Link)
		if at := r.find(s, index); err == nil && at < 0 {
			next.Tunables = append(next.Tunables, r.entry(s, index, at))
		}
	}
	if len(next.Tunables) > len(r.Tunables) {
		next.Tunables = r.current(next.Tunables)
		_ = r.put(next)
	}
}

// find is where the value of that link is noted, -1 when it is not.
func (r *record) find(s uplinks.SetTunable, index int) int {
	if at, noted := r.at[place{index, s.Tunable.Name}]; noted {
		return at
	}
	return -1
}

// entry is the note of a value that goes, given where an older one is.
func (r *record) entry(s uplinks.SetTunable, index, at int) entry {
	if at < 0 {
		return entry{s.Tunable.Link, index, s.Tunable.Name, s.Was, s.Value}
	}
	e := r.Tunables[at]
	e.Link, e.Set = s.Tunable.Link, s.Value
	return e
}

// forget drops the notes of values that are back, given what the tunables have now, with one write. Until then a note
// does no harm: a value that is not the one that we set is left alone.
func (r *record) forget(now map[place]string) error {
	kept := slices.DeleteFunc(slices.Clone(r.Tunables), func(e entry) bool {
		value, set := now[place{e.Index, e.Name}]
		return set && value == e.Was
	})
	if len(kept) == len(r.Tunables) {
		return nil
	}
	return r.put(notes{kept, r.Made})
}

// noteTable notes a table that is not there yet, before we make it.
func (r *record) noteTable(name string) error {
	if slices.Contains(r.Made, name) {
		return nil
	}
	return r.put(notes{r.Tunables, append(slices.Clone(r.Made), name)})
}

// forgetTable drops the note when the table is gone.
func (r *record) forgetTable(name string) error {
	at := slices.Index(r.Made, name)
	if at < 0 {
		return nil
	}
	return r.put(notes{r.Tunables, slices.Delete(slices.Clone(r.Made), at, at+1)})
}

// put makes these the notes, on the disk first.
func (r *record) put(n notes) error {
	if err := (&record{path: r.path, notes: n}).save(); err != nil {
		return err
	}
	r.take(n)
	return nil
}

// Forget drops all notes: what was noted is put back, or somebody else has changed it since. A table that an earlier
// flush had emptied when it was cut off goes now.
func (h *Host) Forget() error {
	var errs []error
	for f, tables := range h.firewall.families {
		for _, t := range []*xtables.Table{tables.NFT, tables.Legacy} {
			if t != nil && slices.Contains(h.found.Made, tableName(f, t.Backend)) {
				errs = append(errs, t.Unmake())
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return h.found.put(notes{})
}

// tableName is a table in the notes.
func tableName(f uplinks.Family, b marks.Backend) string { return fmt.Sprintf("%s %s", f, b) }
