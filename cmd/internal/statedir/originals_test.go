package statedir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/uplinks"
)

var srcValidMark = uplinks.Tunable{Link: "eth1", Name: uplinks.SrcValidMark}

// newOriginals returns originals in a folder that does not exist yet, as after boot.
func newOriginals(t *testing.T) *Originals {
	t.Helper()
	d, err := Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Originals()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// reopen reads the file as the next process does.
func reopen(t *testing.T, r *Originals) *Originals {
	t.Helper()
	next := &Originals{path: r.path}
	if err := next.Reload(); err != nil {
		t.Fatal(err)
	}
	return next
}

func addOriginal(t *testing.T, r *Originals, tunable uplinks.Tunable, index int, was string) {
	t.Helper()
	if err := r.Add(uplinks.SetTunable{Tunable: tunable, Old: was, Value: "1"}, index); err != nil {
		t.Fatal(err)
	}
}

func factsWithLinks(named map[string]int) uplinks.Facts {
	f := uplinks.Facts{Links: map[string]uplinks.Link{}}
	for name, index := range named {
		f.Links[name] = uplinks.Link{Name: name, Index: index}
	}
	return f
}

func TestFirstOriginalIsKept(t *testing.T) {
	r := newOriginals(t)
	addOriginal(t, r, srcValidMark, 3, "0")
	addOriginal(t, reopen(t, r), srcValidMark, 3, "7") // another program set 7, which is repaired
	want := uplinks.Original{LinkIndex: 3, Value: "0", Applied: "1"}
	if got := reopen(t, r).Present(factsWithLinks(map[string]int{"eth1": 3}))[srcValidMark]; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestRestoredValueIsDropped(t *testing.T) {
	r := newOriginals(t)
	addOriginal(t, r, srcValidMark, 3, "0")
	addOriginal(t, r, uplinks.Tunable{Name: uplinks.Reflect4}, 0, "0")
	for tunable, index := range map[uplinks.Tunable]int{srcValidMark: 3, {Name: uplinks.Reflect4}: 0} {
		if err := r.DropRestored(map[TunableKey]string{{index, tunable.Name}: "5"}); err != nil || len(reopen(t, r).Present(factsWithLinks(map[string]int{"eth1": 3}))) == 0 {
			t.Errorf("an original that is not in force was dropped: %v", err)
		}
		if err := r.DropRestored(map[TunableKey]string{{index, tunable.Name}: "0"}); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(r.path); !os.IsNotExist(err) {
		t.Errorf("there is a file without originals: %v", err)
	}
}

func TestOriginalsFollowTheLinkIndex(t *testing.T) {
	r := newOriginals(t)
	addOriginal(t, r, srcValidMark, 3, "0")
	addOriginal(t, r, uplinks.Tunable{Name: uplinks.FwmarkAccept}, 0, "0")
	for name, c := range map[string]struct {
		links map[string]int
		want  []uplinks.Tunable
	}{
		"the same link":                {map[string]int{"eth1": 3}, []uplinks.Tunable{srcValidMark, {Name: uplinks.FwmarkAccept}}},
		"a link with a new name":       {map[string]int{"wan": 3}, []uplinks.Tunable{{Link: "wan", Name: uplinks.SrcValidMark}, {Name: uplinks.FwmarkAccept}}},
		"another link of the old name": {map[string]int{"eth1": 9}, []uplinks.Tunable{{Name: uplinks.FwmarkAccept}}},
		"a link that is gone":          {nil, []uplinks.Tunable{{Name: uplinks.FwmarkAccept}}},
	} {
		got := reopen(t, r).Present(factsWithLinks(c.links))
		for _, tunable := range c.want {
			if got[tunable].Value != "0" {
				t.Errorf("%s: the original of %v is missing in %v", name, tunable, got)
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestOriginalsOfRecreatedLinksAreDropped(t *testing.T) {
	r := newOriginals(t)
	addOriginal(t, r, srcValidMark, 3, "0") // now wan
	for index := 4; index < 100; index++ {
		r.Present(factsWithLinks(map[string]int{"wan": 3, "eth1": index}))
		addOriginal(t, r, srcValidMark, index, "0")
	}
	if got := reopen(t, r).saved.Tunables; len(got) != 2 || got[0].Index != 3 || got[1].Index != 99 {
		t.Errorf("originals %+v", got)
	}
}

func TestUnreadableOriginalsAreAnErrorAndStay(t *testing.T) {
	for _, garbage := range []string{"", "{", "null garbage", `{"tunables":7}`, "\x00\x00\x00"} {
		r := newOriginals(t)
		if err := os.MkdirAll(filepath.Dir(r.path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(r.path, []byte(garbage), 0o600); err != nil {
			t.Fatal(err)
		}
		err := r.Reload()
		if err == nil || !strings.Contains(err.Error(), r.path) || !strings.Contains(err.Error(), "delete it") {
			t.Errorf("%q: %v", garbage, err)
		}
		if kept, err := os.ReadFile(r.path); err != nil || string(kept) != garbage {
			t.Errorf("%q was changed to %q, %v: it is all that is left of the originals", garbage, kept, err)
		}
	}
}

// TestHalfWrittenFileIsIgnored leaves the temporary file of a crash beside the old one.
func TestHalfWrittenFileIsIgnored(t *testing.T) {
	r := newOriginals(t)
	addOriginal(t, r, srcValidMark, 3, "0")
	if err := os.WriteFile(r.path+".123", []byte(`{"tunables":[{"li`), 0o600); err != nil {
		t.Fatal(err)
	}
	next := reopen(t, r)
	if next.Present(factsWithLinks(map[string]int{"eth1": 3}))[srcValidMark].Value != "0" {
		t.Errorf("the old originals are lost: %+v", next)
	}
	addOriginal(t, next, uplinks.Tunable{Name: uplinks.Reflect4}, 0, "0")
	if got := reopen(t, next).Present(factsWithLinks(map[string]int{"eth1": 3})); len(got) != 2 {
		t.Errorf("after the crash: %v", got)
	}
}

func TestFailedWriteLeavesTheOldFile(t *testing.T) {
	r := newOriginals(t)
	addOriginal(t, r, srcValidMark, 3, "0")
	folder := filepath.Dir(r.path)
	r.path = filepath.Join(folder, "missing", "\x00")
	if err := r.write(r.saved); err == nil {
		t.Error("no error")
	}
	found, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(found) > 2 {
		t.Errorf("left behind: %v, %v", found, err)
	}
}

// TestUnwrittenOriginalsAreNotKeptInMemory makes every write fail, so that Add must fail each time.
func TestUnwrittenOriginalsAreNotKeptInMemory(t *testing.T) {
	r := newOriginals(t)
	addOriginal(t, r, srcValidMark, 3, "0")
	r.path += "/\x00"
	other := uplinks.Tunable{Name: uplinks.Reflect4}
	for range 2 {
		if r.Add(uplinks.SetTunable{Tunable: other, Old: "0", Value: "1"}, 0) == nil || r.AddTable("IPv4 nft") == nil {
			t.Error("no error for a new original")
		}
		if r.Add(uplinks.SetTunable{Tunable: srcValidMark, Old: "1", Value: "2"}, 3) == nil {
			t.Error("no error for a changed original")
		}
	}
	want := uplinks.Original{LinkIndex: 3, Value: "0", Applied: "1"}
	if got := r.Present(factsWithLinks(map[string]int{"eth1": 3})); len(got) != 1 || got[srcValidMark] != want || len(r.saved.Made) != 0 {
		t.Errorf("kept in memory: %+v, %v", got, r.saved.Made)
	}
}

func TestRestoreNeedsNoDiskSpace(t *testing.T) {
	r := newOriginals(t)
	addOriginal(t, r, srcValidMark, 3, "0")
	r.path += "/\x00"
	if err := r.Add(uplinks.SetTunable{Tunable: srcValidMark, Old: "1", Value: "0", Restore: true}, 3); err != nil {
		t.Error(err)
	}
}

// A directory in the place of the file refuses every write, also one by root.
func TestServiceKeepsOriginalsThatCannotBeWritten(t *testing.T) {
	d, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o, err := d.Originals()
	if err != nil {
		t.Fatal(err)
	}
	obstacle := filepath.Join(o.path, "obstacle")
	if err := os.MkdirAll(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	step := uplinks.SetTunable{Tunable: uplinks.Tunable{Name: uplinks.Reflect4}, Old: "0", Value: "1"}
	if err := o.Add(step, 0); err == nil || len(o.saved.Tunables) > 0 {
		t.Fatalf("a command goes on without saved originals: %v, %v", err, o.saved)
	}
	o.MayStayUnsaved = true
	if err := o.Add(step, 0); err != nil || o.Unsaved() == nil || len(o.saved.Tunables) != 1 {
		t.Fatalf("the service does not go on: %v, unsaved %v, %v", err, o.Unsaved(), o.saved)
	}
	if err := os.RemoveAll(o.path); err != nil {
		t.Fatal(err)
	}
	o.SaveAgain()
	if err := o.Unsaved(); err != nil {
		t.Fatal(err)
	}
	if next, err := d.Originals(); err != nil || len(next.saved.Tunables) != 1 {
		t.Errorf("the next process reads %v, %v", next.saved, err)
	}
}
